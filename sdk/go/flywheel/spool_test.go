package flywheel_test

import (
	"bufio"
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

const (
	// spoolChild is set to the spool's folder in a process of [beKilled].
	spoolChild = "FLYWHEEL_TEST_SPOOL_CHILD"
	spoolBytes = 64 << 20
)

// spooledFiles returns the batches on disk below a folder, those set aside left out.
func spooledFiles(t *testing.T, dir string) (files []string, bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil && strings.HasSuffix(path, ".batch") && filepath.Base(filepath.Dir(path)) != "corrupt" {
			files, bytes = append(files, path), bytes+info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read spool: %v", err)
	}
	return files, bytes
}

// leave fills a spool as a client does that closes without a connection, with a batch
// an event. The first event is that of the session.
func leave(t *testing.T, f *fake, events int, opts ...flywheel.Option) {
	t.Helper()
	f.stop()
	client := dial(t, f, append([]flywheel.Option{flywheel.WithBatch(1, 1<<20, time.Second)}, opts...)...)
	selections(client.Session(flywheel.SessionInfo{}), 0, events-1)
	if err := client.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	f.start()
}

// TestSpoolHoldsWhatMemoryCannot: without a connection, events go to disk, far beyond
// the queue; with one, all are sent, in order, and the disk is free again.
func TestSpoolHoldsWhatMemoryCannot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		f.stop()
		client := dial(t, f, flywheel.WithSpool(dir, spoolBytes), flywheel.WithQueue(100, 1<<20), flywheel.WithBatch(10, 1<<20, time.Second))
		s := client.Session(flywheel.SessionInfo{})
		for i := range 20 {
			selections(s, 50*i, 50)
			synctest.Wait()
		}
		pass(time.Minute)
		check(t, client, flywheel.Stats{Spooled: 1001})
		f.start()
		flush(t, client)
		if got := numbers(f.events()); !slices.Equal(got, upTo(1000)) {
			t.Errorf("events arrived as %v", got)
		}
		check(t, client, flywheel.Stats{Sent: 1001, Accepted: 1001})
		if files, _ := spooledFiles(t, dir); len(files) > 0 {
			t.Errorf("%d files are left", len(files))
		}
	})
}

// TestCloseLeavesEventsToTheNextClient: a client that closes without a connection does
// not wait and does not fail; the next one sends what it left, and nothing twice.
func TestCloseLeavesEventsToTheNextClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		begun := time.Now()
		for range 3 {
			leave(t, f, 10, flywheel.WithSpool(dir, spoolBytes))
		}
		if waited := time.Since(begun); waited > 5*time.Second {
			t.Errorf("three Closes took %s", waited)
		}
		client := dial(t, f, flywheel.WithSpool(dir, spoolBytes))
		check(t, client, flywheel.Stats{Spooled: 30})
		flush(t, client)
		check(t, client, flywheel.Stats{Sent: 30, Accepted: 30})
		if got := numbers(f.events()); !slices.Equal(got, slices.Concat(upTo(9), upTo(9), upTo(9))) {
			t.Errorf("events arrived as %v", got)
		}
		if err := client.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		left, err := os.ReadDir(filepath.Join(dir, "default"))
		if err != nil || len(left) > 0 {
			t.Errorf("left after all is sent: %v, %v", left, err)
		}
	})
}

// TestCloseInTheMidst: the batches that were under way when Close ended are on disk
// too.
func TestCloseInTheMidst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, silent)
		client := dial(t, f, flywheel.WithSpool(dir, spoolBytes), flywheel.WithBatch(1, 1<<20, time.Second))
		selections(client.Session(flywheel.SessionInfo{}), 0, 20)
		pass(5 * time.Second)
		ended, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := client.Close(ended); err != nil {
			t.Errorf("Close: %v", err)
		}
		check(t, client, flywheel.Stats{Spooled: 21, Sent: client.Stats().Sent})
		again := newFake(t, nil)
		next := dial(t, again, flywheel.WithSpool(dir, spoolBytes))
		flush(t, next)
		if got := numbers(again.events()); !slices.Equal(got, upTo(20)) {
			t.Errorf("events arrived as %v", got)
		}
	})
}

// TestSpoolIsBounded: when the spool is full, events fill the memory, and only then
// they are dropped. The disk never holds more than was allowed.
func TestSpoolIsBounded(t *testing.T) {
	t.Parallel()
	const bound, size = 4 << 20, 100_000
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var log logs
		f := newFake(t, nil)
		f.stop()
		client := dial(t, f, flywheel.WithSpool(dir, bound), flywheel.WithQueue(1000, 1<<20),
			flywheel.WithContent(flywheel.ConsentTraining), flywheel.WithBatch(1, 1<<20, time.Second), log.option())
		s := client.Session(flywheel.SessionInfo{})
		for range 100 {
			s.Message(flywheel.Message{Role: flywheel.RoleUser, Text: strings.Repeat("x", size)})
			synctest.Wait()
		}
		stats := client.Stats()
		if _, bytes := spooledFiles(t, dir); bytes > bound || bytes < bound-2*size {
			t.Errorf("%d bytes on disk, want nearly %d", bytes, bound)
		}
		if stats.Queued != 7 || stats.Spooled < 40 || stats.Dropped != 101-stats.Queued-stats.Spooled || stats.SpoolErrors != 0 {
			t.Errorf("Stats: %+v", stats)
		}
		if !strings.Contains(log.String(), "the spool is full") {
			t.Errorf("no warning: %s", log.String())
		}
		f.start()
		flush(t, client)
		if got := client.Stats().Accepted; got != stats.Queued+stats.Spooled {
			t.Errorf("%d accepted, want %d", got, stats.Queued+stats.Spooled)
		}
	})
}

// TestCorruptSpool: a file that is damaged is set aside and counted, the others are
// sent.
func TestCorruptSpool(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"cut":          func(path string) error { return os.Truncate(path, 40) },
		"empty":        func(path string) error { return os.Truncate(path, 0) },
		"changed":      func(path string) error { return rewrite(path, func(c []byte) []byte { c[len(c)-1] ^= 1; return c }) },
		"longer":       func(path string) error { return rewrite(path, func(c []byte) []byte { return append(c, 0) }) },
		"another name": func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), "a note.batch")) },
		"other content": func(path string) error {
			return rewrite(path, func([]byte) []byte { return bytes.Repeat([]byte("#"), 5<<20) })
		},
		"a folder": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, nil)
				leave(t, f, 10, flywheel.WithSpool(dir, spoolBytes))
				files, _ := spooledFiles(t, dir)
				slices.Sort(files)
				if err := damage(files[4]); err != nil { // that of selection 3
					t.Fatal(err)
				}
				client := dial(t, f, flywheel.WithSpool(dir, spoolBytes))
				flush(t, client)
				if got := numbers(f.events()); !slices.Equal(got, []int{0, 1, 2, 4, 5, 6, 7, 8}) {
					t.Errorf("events arrived as %v", got)
				}
				stats := client.Stats()
				if stats.Accepted != 9 || stats.SpoolSetAside != 1 || stats.Queued+stats.Spooled != 0 {
					t.Errorf("Stats: %+v", stats)
				}
				aside, err := os.ReadDir(filepath.Join(dir, "default", "corrupt"))
				if err != nil || len(aside) != 1 {
					t.Errorf("set aside: %v, %v", aside, err)
				}
			})
		})
	}
}

func rewrite(path string, change func([]byte) []byte) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, change(content), 0o600)
}

// TestUnusableSpool: where there can be no folder, and when it vanishes later, events
// are held in memory as without a spool.
func TestUnusableSpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dir    string
		before func() error
	}{
		"never": {file, func() error { return nil }},
		"later": {filepath.Join(dir, "gone"), func() error { return os.RemoveAll(filepath.Join(dir, "gone")) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log logs
				f := newFake(t, nil)
				client := dial(t, f, flywheel.WithSpool(test.dir, spoolBytes), log.option())
				if err := test.before(); err != nil {
					t.Fatal(err)
				}
				selections(client.Session(flywheel.SessionInfo{}), 0, 5)
				if err := client.Close(t.Context()); err != nil {
					t.Errorf("Close: %v", err)
				}
				check(t, client, flywheel.Stats{Sent: 6, Accepted: 6, SpoolErrors: 1})
				if !strings.Contains(log.String(), "memory") {
					t.Errorf("no warning: %s", log.String())
				}
			})
		})
	}
}

// TestSpoolsOfOthers: a client leaves alone what a living client has on disk, and what
// is another tenant's.
func TestSpoolsOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		offline := newFake(t, nil)
		offline.stop()
		living := dial(t, offline, flywheel.WithSpool(dir, spoolBytes))
		selections(living.Session(flywheel.SessionInfo{}), 0, 3)
		pass(time.Second)
		f := newFake(t, nil)
		leave(t, f, 5, flywheel.WithSpool(dir, spoolBytes), flywheel.WithTenant("acme"))
		check(t, dial(t, f, flywheel.WithSpool(dir, spoolBytes)), flywheel.Stats{})
		check(t, living, flywheel.Stats{Spooled: 4})
		acme := dial(t, f, flywheel.WithSpool(dir, spoolBytes), flywheel.WithTenant("acme"))
		flush(t, acme)
		check(t, acme, flywheel.Stats{Sent: 5, Accepted: 5})
		for _, b := range f.got() {
			if !slices.Equal(b.tenant, []string{"acme"}) {
				t.Errorf("a batch of tenant %q", b.tenant)
			}
		}
	})
}

// TestSpoolAndRefusals: events refused for good leave the disk, those to be sent again
// stay on it until they are.
func TestSpoolAndRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(n int, req *flywheelv1.CollectStreamRequest) reply {
			if n > 0 {
				return take(req)
			}
			return reply{answer: &flywheelv1.CollectStreamResponse{
				BatchId: req.GetBatchId(), Accepted: 8,
				Rejected: []*flywheelv1.RejectedEvent{{Index: 1}, {Index: 2, Retryable: true}},
			}}
		})
		client := dial(t, f, flywheel.WithSpool(dir, spoolBytes), flywheel.WithBatch(10, 1<<20, time.Second))
		selections(client.Session(flywheel.SessionInfo{}), 0, 9)
		flush(t, client)
		check(t, client, flywheel.Stats{Sent: 10, Accepted: 9, Rejected: 1, Retries: 1})
		if files, _ := spooledFiles(t, dir); len(files) > 0 {
			t.Errorf("left: %v", files)
		}
	})
}

// TestKilledAgent kills a process that has events in its spool and no connection. The
// next one delivers them to the real collector.
func TestKilledAgent(t *testing.T) {
	if dir := os.Getenv(spoolChild); dir != "" {
		t.Fatal(beKilled(dir))
	}
	t.Parallel()
	const events = 501
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledAgent$")
	child.Env = append(os.Environ(), spoolChild+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "spooled\n" {
		t.Fatalf("the agent says %q, %v", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	log := openLog(t)
	address, _ := startCollector(t, log, "127.0.0.1:0")
	client, err := flywheel.Dial(address, flywheel.WithTenant("acme"), flywheel.WithSpool(dir, spoolBytes), flywheel.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	check(t, client, flywheel.Stats{Sent: events, Accepted: events})
	if kinds := stored(t, log, events); kinds["selection"] != events-1 {
		t.Errorf("in the log: %v", kinds)
	}
}

// beKilled is the agent that is killed: it emits, says when everything is on disk, and
// waits for its end.
func beKilled(dir string) error {
	client, err := flywheel.Dial("127.0.0.1:1", flywheel.WithTenant("acme"), flywheel.WithSpool(dir, spoolBytes),
		flywheel.WithBatch(7, 1<<20, 10*time.Millisecond), flywheel.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	selections(client.Session(flywheel.SessionInfo{}), 0, 500)
	for client.Stats().Spooled < 501 {
		<-time.After(time.Millisecond)
	}
	if _, err := os.Stdout.WriteString("spooled\n"); err != nil {
		return err
	}
	select {}
}
