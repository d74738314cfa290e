package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk is a folder that is a disk of its own. A test that may not mount one is
// skipped.
func smallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skipf("a small disk is needed, and mounting a tmpfs is not permitted here (it is to root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk leaves so many bytes free on the disk of dir. What takes the room is gone
// when free is called.
func fillDisk(t *testing.T, dir string, left int64) (free func()) {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	_, room, err := diskSpace(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(file, zeros{}, room-left); err != nil && !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(file.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
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

// publishers publish different records until they are stopped, each with the log that
// it is started with.
type publishers struct {
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu           sync.Mutex
	acknowledged []string
	last         error // nil after a success
}

func newPublishers(t *testing.T) *publishers {
	p := &publishers{t: t}
	p.ctx, p.cancel = context.WithCancel(t.Context())
	t.Cleanup(p.stop)
	return p
}

// pace is the pause of a publisher between records: it must not fill the disk itself.
const pace = 20 * time.Millisecond

// start starts one that publishes records of that size.
func (p *publishers) start(name string, log *Log, lane Lane, size int) {
	p.group.Go(func() {
		for i := 0; p.ctx.Err() == nil; i++ {
			record := fmt.Sprintf("%s-%d ", name, i)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), 10*time.Second)
			err := log.Publish(ctx, lane, []byte(record+strings.Repeat("x", size-len(record))))
			cancel()
			p.note(record, err)
			select {
			case <-p.ctx.Done():
			case <-time.After(pace):
			}
		}
	})
}

func (p *publishers) note(record string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = err
	if err == nil {
		p.acknowledged = append(p.acknowledged, record)
	} else if !errors.Is(err, ErrFull) && !errors.Is(err, ErrUnavailable) {
		p.t.Errorf("%s: %v, which nobody would try again", record, err)
	}
}

// waitAcknowledged returns when so many more are acknowledged.
func (p *publishers) waitAcknowledged(more int) {
	p.t.Helper()
	n := p.count() + more
	waitFor(p.t, func() bool { return p.count() >= n })
}

func (p *publishers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.acknowledged)
}

// waitRefused returns when the last record was refused with an error that has the text.
func (p *publishers) waitRefused(text string) {
	p.t.Helper()
	var last string
	defer func() {
		if p.t.Failed() {
			p.t.Logf("wanted %q, the last answer is %q", text, last)
		}
	}()
	waitFor(p.t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		last = fmt.Sprint(p.last)
		return errors.Is(p.last, ErrFull) && strings.Contains(last, text)
	})
}

func (p *publishers) stop() {
	p.cancel()
	p.group.Wait()
}

// storedRecords returns how often each record of a lane is in the log, without its padding.
func storedRecords(t *testing.T, log *Log, lane Lane) map[string]int {
	t.Helper()
	r, err := log.Range(t.Context(), lane, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]int{}
	for m, err := range log.Read(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		name, padding, _ := bytes.Cut(m.Data(), []byte(" "))
		if len(bytes.Trim(padding, "x")) > 0 {
			t.Errorf("record %d is damaged", m.Sequence())
		}
		records[string(name)+" "]++
	}
	return records
}

// wantAcknowledged checks that every acknowledged record is there.
func (p *publishers) wantAcknowledged(records map[string]int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	missing := 0
	for _, record := range p.acknowledged {
		if records[record] == 0 {
			missing++
		}
	}
	if missing > 0 || len(p.acknowledged) == 0 {
		p.t.Errorf("%d of %d acknowledged records are missing", missing, len(p.acknowledged))
	}
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
		free := fillDisk(t, cfg.Dir, 8<<10) // not nothing, which would be refused before
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
	free := fillDisk(t, cfg.Dir, 0)
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
		free := fillDisk(t, cfg.Dir, 24*megabyte)
		trace.waitRefused("takes nothing below 32 MiB")
		outcome.waitAcknowledged(3)
		free()
		trace.waitAcknowledged(1)
		free = fillDisk(t, cfg.Dir, 4*megabyte)
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
