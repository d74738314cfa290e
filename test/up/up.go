//go:build linux

// Package up runs "flywheel up" for tests: the real program, as a process of its own,
// with its engine.
package up

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/test/ledger"
)

// patience bounds the time from the start until up serves.
const patience = 90 * time.Second

// Build makes the real program.
func Build(t *testing.T) string {
	t.Helper()
	return build(t)
}

// BuildMutant makes the program with other text in a source file, named from the root
// of the repository. The text to replace must be there once.
func BuildMutant(t *testing.T, file, old, replacement string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../..", file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), old); n != 1 {
		t.Fatalf("%s has %q %d times, not once: bring the mutant up to date", file, old, n)
	}
	dir := t.TempDir()
	changed, list := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	mutant := strings.Replace(string(source), old, replacement, 1)
	if err := errors.Join(os.WriteFile(changed, []byte(mutant), 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		t.Fatal(err)
	}
	return build(t, "-overlay", list)
}

func build(t *testing.T, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "flywheel")
	args := append([]string{"build", "-o", program}, append(flags, "github.com/yirifi/flywheel/cmd/flywheel")...)
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// Up is a running "flywheel up". Its methods are for one goroutine.
type Up struct {
	// Collector is the address of the collector, and URL that of ClickHouse, once
	// [Up.Serves] has returned.
	Collector string `json:"collector"`
	URL       string `json:"clickhouse_url"`
	Announced int    `json:"pid"`

	program, dir string
	cmd          *exec.Cmd
	out          string // the file it writes to
	done         chan struct{}
	err          error // how up ended, once done is closed
}

// Start starts up on a data folder, on ports of its own, with further settings. It is
// killed after the test, if it still runs.
func Start(t *testing.T, program, dir string, settings ...string) *Up {
	t.Helper()
	u := &Up{program: program, dir: dir, out: filepath.Join(t.TempDir(), "up.log"), done: make(chan struct{})}
	out, err := os.Create(u.out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	settings = append([]string{
		"up", "--data-dir", dir, "--listen", "127.0.0.1:0", "--feedback-listen", "127.0.0.1:0", "--debug-listen", "127.0.0.1:0",
	}, settings...)
	u.cmd = exec.Command(program, settings...) //nolint:noctx // killed with its engine, see Kill
	u.cmd.Stdout, u.cmd.Stderr = out, out
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(u.done)
		u.err = u.cmd.Wait()
	}()
	t.Cleanup(func() { u.Kill(t) })
	return u
}

// Run lets up run for a while; it must not end.
func (u *Up) Run(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-u.done:
		t.Fatalf("up ended: %v\n%s", u.err, u.Output(t))
	case <-time.After(d):
	}
}

// Serves waits until up does.
func (u *Up) Serves(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); u.Run(t, 20*time.Millisecond) {
		data, err := os.ReadFile(filepath.Join(u.dir, "addresses.json"))
		if err == nil && json.Unmarshal(data, u) == nil && u.Announced == u.PID() {
			return
		}
	}
	t.Fatal("up does not serve in time")
}

// PID is the process id of up.
func (u *Up) PID() int { return u.cmd.Process.Pid }

// Output is what up has written so far.
func (u *Up) Output(t *testing.T) string {
	t.Helper()
	out, err := os.ReadFile(u.out)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Engine is the process id of the embedded ClickHouse, 0 when none runs.
func (u *Up) Engine(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		var pid, parent int
		var state string
		end := strings.LastIndex(string(stat), ")")
		if _, err := fmt.Sscan(string(stat), &pid); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(string(stat[end+1:]), &state, &parent); err != nil {
			t.Fatal(err)
		}
		if parent == u.PID() {
			return pid
		}
	}
	return 0
}

// Command runs a command of Flywheel, which must succeed, on what up serves.
func (u *Up) Command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), u.program, append(args, "--data-dir", u.dir)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Check compares the tables with the ledger until they agree or patience is over.
func (u *Up) Check(t *testing.T, book *ledger.Ledger, patience time.Duration) []ledger.Finding {
	t.Helper()
	db, err := warehouse.Open(t.Context(), u.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	findings, err := book.Check(t.Context(), db, patience)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return findings
}

// Kill ends up and its engine at once, and returns when both have ended.
func (u *Up) Kill(t *testing.T) {
	t.Helper()
	select {
	case <-u.done:
		return
	default:
	}
	// Stopped first, so that it starts no other engine meanwhile.
	err := u.cmd.Process.Signal(syscall.SIGSTOP)
	if engine := u.Engine(t); engine != 0 {
		err = errors.Join(err, end(engine))
	}
	if err = errors.Join(err, u.cmd.Process.Kill()); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	<-u.done
}

// end kills a process that is no child of this one, and waits until it has ended.
func end(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds())); err != nil {
		return fmt.Errorf("wait for process %d: %w", pid, err)
	}
	return nil
}
