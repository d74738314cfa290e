package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/yirifi/flywheel/internal/engine"
)

type versionCmd struct{}

// Run writes the versions of the program, of Go and of the embedded engine.
func (*versionCmd) Run(_ context.Context, env environment) error {
	_, err := fmt.Fprintf(env.stdout, "flywheel %s\n%s %s/%s\nembedded ClickHouse %s\n",
		version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, engine.Version)
	return err
}

// version is the module's version and the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return info.Main.Version + " " + setting.Value
		}
	}
	return info.Main.Version
}
