package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// crashFolder tells the test program to be the process that is killed.
const crashFolder = "EVENTLOG_TEST_CRASH_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashFolder); dir != "" {
		fmt.Fprintln(os.Stderr, publishUntilKilled(dir)) // returns on an error only
		return
	}
	goleak.VerifyTestMain(m)
}

func config(dir string) Config {
	cfg := DefaultConfig()
	cfg.Dir = dir
	return cfg
}

func open(t testing.TB, cfg Config) *Log {
	t.Helper()
	log, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// reopen is a new process on the same folder: the one that rewinds has no consumers.
func reopen(t *testing.T, log *Log, cfg Config) *Log {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, cfg)
}

func publish(t *testing.T, log *Log, lane Lane, records ...string) {
	t.Helper()
	for _, record := range records {
		if err := log.Publish(t.Context(), lane, []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
}

func next(t *testing.T, consumer *Consumer) *Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	msg, err := consumer.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func consume(t *testing.T, log *Log, lane Lane) *Consumer {
	t.Helper()
	consumer, err := log.Consume(t.Context(), lane)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumer.Close)
	return consumer
}

func waitPending(t *testing.T, log *Log, lane Lane, want uint64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		got, err := log.Pending(t.Context(), lane)
		if err != nil {
			t.Fatal(err)
		}
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pending, want %d", got, want)
		}
	}
}

func TestPublishConsumeAcknowledge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := open(t, config(dir))
	publish(t, log, Outcome, "a", "b")
	publish(t, log, Trace, "c")
	consumer := consume(t, log, Outcome)
	first, second := next(t, consumer), next(t, consumer)
	if string(first.Data()) != "a" || first.Sequence() != 1 || string(second.Data()) != "b" {
		t.Errorf("got %q at %d, then %q", first.Data(), first.Sequence(), second.Data())
	}
	if err := errors.Join(second.InProgress(), first.Ack(), first.Ack()); err != nil {
		t.Error(err)
	}
	if err := second.Nak(0); err != nil {
		t.Error(err)
	}
	if again := next(t, consumer); string(again.Data()) != "b" {
		t.Errorf("got %q again", again.Data())
	} else if err := again.Ack(); err != nil {
		t.Error(err)
	}
	waitPending(t, log, Outcome, 0)
	waitPending(t, log, Trace, 1)
	if err := errors.Join(log.Health(t.Context()), log.Close()); err != nil {
		t.Fatal(err)
	}

	log = open(t, config(dir))
	waitPending(t, log, Outcome, 0)
	if msg := next(t, consume(t, log, Trace)); string(msg.Data()) != "c" {
		t.Errorf("after a restart: %q", msg.Data())
	}
}

func TestNextEndsWithContext(t *testing.T) {
	t.Parallel()
	consumer := consume(t, open(t, config(t.TempDir())), Outcome)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := consumer.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestSecondOpenOfFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, config(dir))
	if _, err := Open(t.Context(), config(dir), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
}

func TestServeOthers(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Listen = "127.0.0.1:0"
	server := open(t, cfg)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			remote := config("")
			remote.URL = server.ServerURL()
			log, err := Open(t.Context(), remote, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(log.Publish(t.Context(), Outcome, []byte("x")), log.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	waitPending(t, server, Outcome, 4)
}

func TestTokenKeepsStrangersOut(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Listen, cfg.Token = "127.0.0.1:0", "secret"
	server := open(t, cfg)
	friend := config("")
	friend.URL = server.ServerURL()
	if err := open(t, friend).Publish(t.Context(), Outcome, []byte("x")); err != nil {
		t.Errorf("with the token: %v", err)
	}
	for _, user := range []string{"", "wrong@"} {
		stranger := config("")
		stranger.URL = strings.Replace(server.ServerURL(), "secret@", user, 1)
		if log, err := Open(t.Context(), stranger, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("opened with %q", user)
			_ = log.Close()
		}
	}
	waitPending(t, server, Outcome, 1)
}

// fill publishes records of 64 KiB until the lane is full.
func fill(t *testing.T, log *Log, lane Lane) (stored int) {
	t.Helper()
	record := make([]byte, 64<<10)
	for {
		err := log.Publish(t.Context(), lane, record)
		if errors.Is(err, ErrFull) {
			return stored
		}
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
}

func TestFullLaneRefusesAndTrimFreesProcessed(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Trace.MaxBytes = 1 << 20
	cfg.KeepProcessed = 0
	log := open(t, cfg)
	stored := fill(t, log, Trace)
	publish(t, log, Outcome, "the other lane has room")
	if err := log.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitPending(t, log, Trace, uint64(stored)) // nothing unprocessed was freed
	consumer := consume(t, log, Trace)
	for range stored - 2 {
		if err := next(t, consumer).Ack(); err != nil {
			t.Fatal(err)
		}
	}
	waitPending(t, log, Trace, 2)
	if err := log.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitPending(t, log, Trace, 2)
	if again := fill(t, log, Trace); again != stored-2 {
		t.Errorf("room for %d records after Trim, want %d", again, stored-2)
	}
}

func TestTrimKeepsYoung(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Trace.MaxBytes = 1 << 20
	log := open(t, cfg)
	consumer := consume(t, log, Trace)
	for range fill(t, log, Trace) {
		if err := next(t, consumer).Ack(); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := log.Publish(t.Context(), Trace, make([]byte, 64<<10)); !errors.Is(err, ErrFull) {
		t.Errorf("error %v, want a lane that is still full", err)
	}
}

func TestRewind(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	log := open(t, cfg)
	publish(t, log, Outcome, "a", "b", "c")
	consumer := consume(t, log, Outcome)
	for range 2 {
		if err := next(t, consumer).Ack(); err != nil {
			t.Fatal(err)
		}
	}
	waitPending(t, log, Outcome, 1)
	log = reopen(t, log, cfg)
	if err := log.Rewind(t.Context(), time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	waitPending(t, log, Outcome, 1)
	if err := log.Rewind(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	waitPending(t, log, Outcome, 3)
	if msg := next(t, consume(t, log, Outcome)); string(msg.Data()) != "a" {
		t.Errorf("first is %q", msg.Data())
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	want := DeadLetter{Lane: Trace, Sequence: 7, Tenant: "acme", Reason: "too odd: ä\nb", Batch: []byte{1, 2}}
	if err := log.DeadLetter(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	n := 0
	for got, err := range log.DeadLetters(t.Context()) {
		n++
		if err != nil {
			t.Fatal(err)
		}
		if got.Lane != want.Lane || got.Sequence != 7 || got.Tenant != "acme" || !strings.HasPrefix(got.Reason, "too odd: ä") || !bytes.Equal(got.Batch, want.Batch) || got.Time.IsZero() {
			t.Errorf("got %+v", got)
		}
	}
	if n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

// publishUntilKilled publishes numbered records and writes each number that was
// acknowledged to standard output.
func publishUntilKilled(dir string) error {
	log, err := Open(context.Background(), config(dir), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := log.Publish(context.Background(), Outcome, fmt.Appendf(nil, "%d", i)); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// TestAcknowledgedSurvivesKill kills a process that publishes, and finds every record
// that it was told is stored.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashFolder+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	if _, err := io.CopyN(&told, out, 200); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := told.ReadFrom(out); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	acknowledged := strings.Count(told.String(), "\n")

	consumer := consume(t, open(t, config(dir)), Outcome)
	for i := range acknowledged {
		if msg := next(t, consumer); string(msg.Data()) != fmt.Sprint(i) {
			t.Fatalf("record %d is %q", i, msg.Data())
		}
	}
}
