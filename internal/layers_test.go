// Package internal_test checks the rules between packages.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/yirifi/flywheel"

// roles are the packages that must not know of each other.
func roles() []string {
	return []string{"collector", "processor", "feedback", "replay", "sdk/go/flywheel"}
}

// TestLayers checks that imports go cmd → roles → internal → gen, that roles never
// import each other, and that the SDK imports nothing of the server.
func TestLayers(t *testing.T) {
	t.Parallel()
	for path, imports := range importsOf(t) {
		for _, imported := range imports {
			if reason := forbidden(path, imported); reason != "" {
				t.Errorf("%s imports %s: %s", path, imported, reason)
			}
		}
	}
}

// forbidden says why one package may not import another, or nothing.
func forbidden(path, imported string) string {
	from, to := roleOf(path), roleOf(imported)
	switch {
	case from == "sdk/go/flywheel" && !sdkMayImport(imported):
		return "the SDK imports gen, grpc and the standard library only"
	case from != "" && to != "" && from != to && (from != "replay" || to != "sdk/go/flywheel"):
		return "roles do not import each other"
	case strings.HasPrefix(path, "internal/") && to != "":
		return "internal packages do not import roles"
	case strings.HasPrefix(path, "gen/") && !strings.HasPrefix(imported, "gen/"):
		return "generated code imports nothing of ours"
	case strings.HasPrefix(imported, "cmd/") && !strings.HasPrefix(path, "cmd/"):
		return "nothing imports the command"
	}
	return ""
}

func sdkMayImport(imported string) bool {
	return strings.HasPrefix(imported, "gen/") || strings.HasPrefix(imported, "sdk/go/")
}

func roleOf(path string) string {
	i := slices.IndexFunc(roles(), func(role string) bool { return path == role || strings.HasPrefix(path, role+"/") })
	if i < 0 {
		return ""
	}
	return roles()[i]
}

// importsOf lists the module's packages with the module's packages they import,
// test files left out, all relative to the module.
func importsOf(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	all := map[string][]string{}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read package list: %v", err)
		}
		var ours []string
		for _, path := range pkg.Imports {
			if name, found := strings.CutPrefix(path, module+"/"); found {
				ours = append(ours, name)
			}
		}
		all[strings.TrimPrefix(pkg.ImportPath, module+"/")] = ours
	}
	if len(all) < len(roles()) {
		t.Fatalf("only %d packages listed", len(all))
	}
	return all
}
