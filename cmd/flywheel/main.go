// Command flywheel collects the events of AI agents, turns them into training
// signals and reports how often the agents' output was accepted.
//
// "flywheel up" runs everything on one machine. Every role also runs alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/yirifi/flywheel/internal/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, errInterrupted) {
		fmt.Fprintln(os.Stderr, "flywheel:", err)
	}
	os.Exit(exitCode(err))
}

// errInterrupted ends a command that the user stopped before it was done.
var errInterrupted = errors.New("interrupted")

// usageError is a command line, environment or file that cannot be used.
type usageError struct{ error }

// Unwrap returns what was wrong.
func (e usageError) Unwrap() error { return e.error }

// exitCode is 0 for success, 2 for a wrong setting, 130 for an interruption and
// 1 for everything else.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, errInterrupted) {
		return 130
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

// run does what the arguments say. It returns when the work is done or, for
// servers, when ctx ends and everything in hand is stored.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "engine" {
		return engine.Main(args[1:])
	}
	app, err := parse(args, stdout, stderr)
	if err != nil || app == nil {
		return err
	}
	return app.run(ctx)
}
