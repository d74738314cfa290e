//go:build unix

package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// frozenFolder tells the test to be the process whose disk fails.
const frozenFolder = "EVENTLOG_TEST_FROZEN_FOLDER"

// TestDiskFails: with a disk that takes no more, publishing fails soon, is not
// silently accepted, and Health says why.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(frozenFolder); dir != "" {
		if err := publishToFailingDisk(dir); err != nil {
			t.Fatal(err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskFails$")
	cmd.Env = append(os.Environ(), frozenFolder+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// publishToFailingDisk stands in for a failing disk with a limit on the size of
// files.
func publishToFailingDisk(dir string) (err error) {
	log, err := Open(context.Background(), config(dir), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
		return err
	}
	for range 2 {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err := log.Publish(ctx, Outcome, make([]byte, 2<<20))
		if took := time.Since(start); !errors.Is(err, ErrUnavailable) || took > 10*time.Second {
			return fmt.Errorf("published after %v: %w", took, err)
		}
	}
	if err := log.Health(context.Background()); err == nil {
		return errors.New("the log says it is healthy")
	}
	return nil
}
