package eventlog

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/yirifi/flywheel/test/smalldisk"
)

// smallDisk is a folder that is a disk of its own.
func smallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := t.TempDir()
	smalldisk.Mount(t, dir, megabytes)
	return dir
}

// lines is what a log has written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) contain(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// TestFullDiskHeals fills the disk under publishers of this and another process, so
// that the server meets its end, and frees it again.
func TestFullDiskHeals(t *testing.T) {
	t.Parallel()
	cfg := config(smallDisk(t, 96))
	cfg.DiskReserve = 1 // as good as none
	cfg.Listen = "127.0.0.1:0"
	said := &lines{}
	log, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	remote := config("")
	remote.URL = log.ServerURL()
	here, elsewhere := newPublishers(t), newPublishers(t)
	here.start("here", log, Outcome, 20_000)
	elsewhere.start("elsewhere", open(t, remote), Outcome, 20_000)

	for range 2 {
		here.waitAcknowledged(3)
		elsewhere.waitAcknowledged(3)
		free := smalldisk.Fill(t, cfg.Dir, 8<<10) // not nothing, which would be refused before
		here.waitRefused("no space left")
		elsewhere.waitRefused("free space there")
		if err := log.Health(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("health with a full disk: %v", err)
		}
		free()
		here.waitAcknowledged(3)
		elsewhere.waitAcknowledged(3)
	}
	here.stop()
	elsewhere.stop()
	if err := log.Health(t.Context()); err != nil {
		t.Errorf("health afterwards: %v", err)
	}
	for _, line := range []string{"free space on the disk of its folder", "event log stores again"} {
		if !said.contain(line) {
			t.Errorf("the log does not say %q", line)
		}
	}
	records := storedRecords(t, log, Outcome)
	here.wantAcknowledged(records)
	elsewhere.wantAcknowledged(records)
	again := storedRecords(t, reopen(t, log, cfg), Outcome)
	here.wantAcknowledged(again)
	elsewhere.wantAcknowledged(again)
}

// TestOpenOnFullDisk: what was acknowledged can be read from a log that is opened on
// a full disk, and it stores as soon as there is room.
func TestOpenOnFullDisk(t *testing.T) {
	t.Parallel()
	cfg := config(smallDisk(t, 64))
	log := open(t, cfg)
	before := newPublishers(t)
	before.start("before", log, Outcome, 20_000)
	before.waitAcknowledged(20)
	before.stop()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	free := smalldisk.Fill(t, cfg.Dir, 0)
	log = open(t, cfg)
	before.wantAcknowledged(storedRecords(t, log, Outcome))
	after := newPublishers(t)
	after.start("after", log, Outcome, 20_000)
	after.waitRefused("takes nothing below")
	free()
	after.waitAcknowledged(3)
	after.stop()
	records := storedRecords(t, log, Outcome)
	before.wantAcknowledged(records)
	after.wantAcknowledged(records)
}

// TestReserve: a disk that fills up refuses trace first and outcome last, here and in
// other processes, before the server meets its end.
func TestReserve(t *testing.T) {
	t.Parallel()
	const megabyte = 1 << 20
	cfg := config(smallDisk(t, 64))
	cfg.DiskReserve = 32 * megabyte
	cfg.Listen = "127.0.0.1:0"
	log := open(t, cfg)
	remote := config("")
	remote.URL = log.ServerURL()
	for name, log := range map[string]*Log{"here": log, "elsewhere": open(t, remote)} {
		trace, outcome := newPublishers(t), newPublishers(t)
		trace.start(name, log, Trace, 100)
		outcome.start(name, log, Outcome, 100)
		trace.waitAcknowledged(1)
		outcome.waitAcknowledged(1)
		free := smalldisk.Fill(t, cfg.Dir, 24*megabyte)
		trace.waitRefused("takes nothing below 32 MiB")
		outcome.waitAcknowledged(3)
		free()
		trace.waitAcknowledged(1)
		free = smalldisk.Fill(t, cfg.Dir, 4*megabyte)
		outcome.waitRefused("takes nothing below 8.0 MiB")
		free()
		trace.waitAcknowledged(1)
		outcome.waitAcknowledged(1)
		trace.stop()
		outcome.stop()
	}
	if err := log.Health(t.Context()); err != nil {
		t.Error(err)
	}
}
