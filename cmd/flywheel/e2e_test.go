package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test program behave as flywheel itself.
const asProgram = "TEST_AS_FLYWHEEL"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == "engine" {
		main()
		return
	}
	m.Run()
}

// patience bounds every wait in these tests.
const patience = 60 * time.Second

// program is a running flywheel command.
type program struct {
	cmd  *exec.Cmd
	out  *bytes.Buffer
	done chan struct{}
	err  error
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.CommandContext(t.Context(), os.Args[0], args...), out: &bytes.Buffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p
}

// wait returns the output of a command once it has ended.
func (p *program) wait(t *testing.T) (string, error) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * patience):
		t.Fatalf("%v does not end:\n%s", p.cmd.Args, p.out)
	}
	return p.out.String(), p.err
}

// succeed runs a command that must succeed.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	out, err := start(t, args...).wait(t)
	if err != nil {
		t.Fatalf("flywheel %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// up is a running "flywheel up".
type up struct {
	*program
	dir, collector, feedback string
}

// startUp starts "up" on a data folder and waits until it serves. Addresses stay
// those of the first start, so that clients find it again.
func startUp(t *testing.T, dir, collector, feedback string, more ...string) *up {
	t.Helper()
	u := &up{dir: dir, collector: collector, feedback: feedback}
	u.program = start(t, append([]string{
		"up", "--data-dir", dir, "--listen", collector, "--feedback-listen", feedback, "--debug-listen", "127.0.0.1:0", "--log-level", "warn",
	}, more...)...)
	for deadline := time.Now().Add(patience); ; {
		data, err := os.ReadFile(filepath.Join(dir, addressesFile))
		var at addresses
		if err == nil && json.Unmarshal(data, &at) == nil && at.PID == u.cmd.Process.Pid {
			return u
		}
		select {
		case <-u.done:
			t.Fatalf("up ended: %v\n%s", u.err, u.out)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("up does not serve: %v\n%s", err, u.out)
		}
	}
}

// stop stops it as Ctrl-C does.
func (u *up) stop(t *testing.T) {
	t.Helper()
	if err := u.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if out, err := u.wait(t); err != nil {
		t.Fatalf("up: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(u.dir, "running")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data folder is not marked as cleanly stopped: %v", err)
	}
}

// kill kills the whole tree at once, as a power cut of the processes would.
func (u *up) kill(t *testing.T) {
	t.Helper()
	for _, pid := range append(u.children(t), u.cmd.Process.Pid) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	<-u.done
}

// children are the processes that "up" has started: the engine.
func (u *up) children(t *testing.T) []int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pgrep", "-P", strconv.Itoa(u.cmd.Process.Pid)).Output()
	if err != nil {
		t.Fatalf("find the engine: %v", err)
	}
	var pids []int
	for text := range strings.FieldsSeq(string(out)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// freeAddresses picks loopback addresses that nothing listens on.
func freeAddresses(t *testing.T) (a, b string) {
	t.Helper()
	var addresses [2]string
	for i := range addresses {
		lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lis.Close() }()
		addresses[i] = lis.Addr().String()
	}
	return addresses[0], addresses[1]
}

func newUp(t *testing.T) *up {
	t.Helper()
	collector, feedback := freeAddresses(t)
	return startUp(t, filepath.Join(t.TempDir(), "data"), collector, feedback)
}

// replayArgs retype a small part of the Go tree.
func (u *up) replayArgs(tenant string, more ...string) []string {
	return append([]string{
		"replay", "--collector", u.collector, "--feedback", u.feedback, "--tenant", tenant,
		"--interactions", "1200", "--tally", filepath.Join(u.dir, tenant+".json"), "--check", "--log-level", "warn",
	}, more...)
}

// TestReplayEqualsRates sends replays in several ways; replay itself compares every
// count with its own tally. Tenants keep them apart.
func TestReplayEqualsRates(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	base := time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Hour).Format(time.RFC3339)
	var group sync.WaitGroup
	for tenant, more := range map[string][]string{
		"plain":    nil,
		"repeated": {"--repeat", "2", "--base-time", base},
		"shuffled": {"--shuffle", "--base-time", base},
		"both":     {"--repeat", "3", "--shuffle", "--seed", "7"},
	} {
		group.Go(func() { succeed(t, u.replayArgs(tenant, more...)...) })
	}
	group.Wait()
	// The same ids once more, from a new process: nothing may change.
	succeed(t, u.replayArgs("repeated", "--base-time", base)...)
	rates := func(tenant string) string {
		return succeed(t, "rates", "--feedback", u.feedback, "--tenant", tenant, "--format", "json", "--group-by", "model,surface,trigger,source")
	}
	if plain, shuffled := rates("repeated"), rates("shuffled"); plain != shuffled {
		t.Errorf("the order of sending changes rates:\n%s\n%s", plain, shuffled)
	}
	if out := rates("nobody"); strings.Contains(out, "group") {
		t.Errorf("a tenant sees what is not its own: %s", out)
	}

	again := u.restart(t)
	var first, second flywheelRows
	first.read(t, succeed(t, "rates", "--feedback", again.feedback, "--tenant", "both", "--format", "json"))
	succeed(t, again.replayArgs("after-restart")...)
	second.read(t, succeed(t, "rates", "--feedback", again.feedback, "--tenant", "both", "--format", "json"))
	if len(first.Rows) != 2 || len(second.Rows) != 2 {
		t.Errorf("after a restart: %d and %d rows, want 2", len(first.Rows), len(second.Rows))
	}
	again.stop(t)
}

func (u *up) restart(t *testing.T) *up {
	t.Helper()
	u.stop(t)
	return startUp(t, u.dir, u.collector, u.feedback)
}

// flywheelRows is what "rates --format json" writes.
type flywheelRows struct {
	Rows []json.RawMessage `json:"rows"`
}

func (r *flywheelRows) read(t *testing.T, text string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// TestKillInTheMiddle kills everything while a replay sends, three times, and starts
// it again. The replay goes on and finds its own tally in the rates.
func TestKillInTheMiddle(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	sending := start(t, u.replayArgs("killed", "--interactions", "15000")...)
	for range 3 {
		u.waitForEvents(t)
		select {
		case <-sending.done:
			t.Fatalf("the replay ended before the kill: %v\n%s", sending.err, sending.out)
		default:
		}
		u.kill(t)
		u = startUp(t, u.dir, u.collector, u.feedback)
	}
	if out, err := sending.wait(t); err != nil {
		t.Fatalf("replay: %v\n%s\n%s", err, out, u.out)
	}
	u.stop(t)
}

// waitForEvents waits until the log has grown by some thousand events.
func (u *up) waitForEvents(t *testing.T) {
	t.Helper()
	const grown = 1 << 20
	before := u.logBytes(t)
	for deadline := time.Now().Add(patience); u.logBytes(t) < before+grown; {
		if time.Now().After(deadline) {
			t.Fatalf("no events arrive\n%s", u.out)
		}
	}
}

// logBytes is the size of the event log's files, some of which come and go.
func (u *up) logBytes(t *testing.T) (size int64) {
	t.Helper()
	err := filepath.WalkDir(logDir(u.dir), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // the file is gone
		}
		if info, err := entry.Info(); err == nil && !entry.IsDir() {
			size += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestEngineEndsWithItsParent kills "up" alone: the engine must not live on.
func TestEngineEndsWithItsParent(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	children := u.children(t)
	if err := u.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-u.done
	for _, pid := range children {
		for deadline := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; {
			if time.Now().After(deadline) {
				t.Fatalf("engine %d lives on", pid)
			}
		}
	}
	startUp(t, u.dir, u.collector, u.feedback).stop(t)
}

func TestSecondUpIsRefused(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	out, err := start(t, "up", "--data-dir", u.dir, "--listen", "127.0.0.1:0", "--feedback-listen", "127.0.0.1:0", "--debug-listen", "").wait(t)
	if err == nil || !strings.Contains(out, "in use by another flywheel (process "+strconv.Itoa(u.cmd.Process.Pid)+")") {
		t.Errorf("second up on the same folder: %v: %s", err, out)
	}
	out, err = start(t, "up", "--data-dir", t.TempDir(), "--listen", u.collector, "--feedback-listen", "127.0.0.1:0", "--debug-listen", "").wait(t)
	if err == nil || !strings.Contains(out, "listen for --listen") {
		t.Errorf("second up on the same port: %v: %s", err, out)
	}
	u.stop(t)
}

// TestRolesAlone runs each role as a process of its own.
func TestRolesAlone(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"collector"}, {"processor"}, {"feedback"}} {
		out, err := start(t, args...).wait(t)
		if err == nil || !strings.Contains(out, "is needed: a role that runs alone") {
			t.Errorf("flywheel %v: %v: %s", args, err, out)
		}
	}
	out, err := start(t, "rates", "--group-by", "modell").wait(t)
	if err == nil || !strings.Contains(out, `unknown dimension "modell"`) {
		t.Errorf("misspelt dimension: %v: %s", err, out)
	}
	out, err = start(t, "rates", "--feedback", "127.0.0.1:1").wait(t)
	if err == nil || !strings.Contains(out, "ask feedback service at 127.0.0.1:1") {
		t.Errorf("no service: %v: %s", err, out)
	}
}

// TestInterruptedReplay stops a replay early; it says so and leaves a tally.
func TestInterruptedReplay(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	sending := start(t, u.replayArgs("killed", "--interactions", "200000")...)
	u.waitForEvents(t)
	if err := sending.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	out, err := sending.wait(t)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 130 {
		t.Errorf("interrupted replay: %v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(u.dir, "killed.json"))
	if err != nil || !bytes.Contains(data, []byte(`"interrupted": true`)) {
		t.Errorf("tally: %v: %.200s", err, data)
	}
	u.stop(t)
}
