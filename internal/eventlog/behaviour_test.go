package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCloseEndsPublishes closes the log under publishers that set no limit of their
// own: all of them must get an answer, and what was confirmed must be there.
func TestCloseEndsPublishes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := open(t, config(dir))
	var group sync.WaitGroup
	var mu sync.Mutex
	confirmed := 0
	for range 16 {
		group.Go(func() {
			record := make([]byte, 256<<10)
			for {
				if err := log.Publish(context.WithoutCancel(t.Context()), Trace, record); err != nil {
					if !errors.Is(err, ErrUnavailable) {
						t.Errorf("error %v", err)
					}
					return
				}
				mu.Lock()
				confirmed++
				mu.Unlock()
			}
		})
	}
	waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return confirmed > 20 })
	if err := log.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("publishers hang after Close")
	}
	pending, err := open(t, config(dir)).Pending(t.Context(), Trace)
	if err != nil || pending < uint64(confirmed) {
		t.Errorf("%d records stored, %d confirmed, %v", pending, confirmed, err)
	}
}

// TestCloseGivesBack: what a consumer had fetched and not given out is delivered to
// another one at once, not after the acknowledgement wait.
func TestCloseGivesBack(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	publish(t, log, Outcome, "a", "b", "c", "d")
	first, err := log.Consume(t.Context(), Outcome)
	if err != nil {
		t.Fatal(err)
	}
	if err := next(t, first).Ack(); err != nil {
		t.Fatal(err)
	}
	first.Close()
	second := consume(t, log, Outcome)
	got := map[string]bool{}
	for range 3 {
		got[string(next(t, second).Data())] = true
	}
	if len(got) != 3 || got["a"] {
		t.Errorf("got %v, want b, c and d", got)
	}
}

// TestPendingIsExact: right after Publish and right after Ack.
func TestPendingIsExact(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	consumer := consume(t, log, Outcome)
	for i := range 100 {
		publish(t, log, Outcome, "x")
		if got, err := log.Pending(t.Context(), Outcome); err != nil || got != 1 {
			t.Fatalf("round %d: %d pending after Publish, %v", i, got, err)
		}
		if err := next(t, consumer).Ack(); err != nil {
			t.Fatal(err)
		}
		if got, err := log.Pending(t.Context(), Outcome); err != nil || got != 0 {
			t.Fatalf("round %d: %d pending after Ack, %v", i, got, err)
		}
	}
}

// TestRewindAboveTheFloor: what was acknowledged out of order, above a record that
// was not, is delivered again too.
func TestRewindAboveTheFloor(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	log := open(t, cfg)
	publish(t, log, Outcome, "a", "b", "c")
	consumer := consume(t, log, Outcome)
	next(t, consumer) // a is in hand when the power goes
	for range 2 {
		if err := next(t, consumer).Ack(); err != nil {
			t.Fatal(err)
		}
	}
	waitPending(t, log, Outcome, 1)
	log = reopen(t, log, cfg)
	if err := log.Rewind(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	again := consume(t, log, Outcome)
	for _, want := range []string{"a", "b", "c"} {
		if got := string(next(t, again).Data()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestTrimAfterRewind: rewound records are not acknowledged any more.
func TestTrimAfterRewind(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Trace.MaxBytes = 1 << 20
	cfg.KeepProcessed = 50 * time.Millisecond
	log := open(t, cfg)
	consumer := consume(t, log, Trace)
	stored := fill(t, log, Trace)
	for range stored {
		if err := next(t, consumer).Ack(); err != nil {
			t.Fatal(err)
		}
	}
	waitPending(t, log, Trace, 0)
	consumer.Close()
	if err := log.Trim(t.Context()); err != nil { // all too young, or all gone
		t.Fatal(err)
	}
	before, err := log.consuming.js.Stream(t.Context(), "FLYWHEEL_TRACE")
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * cfg.KeepProcessed)
	log = reopen(t, log, cfg)
	if err := log.Rewind(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := log.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := log.consuming.js.Stream(t.Context(), "FLYWHEEL_TRACE")
	if err != nil {
		t.Fatal(err)
	}
	if b, a := before.CachedInfo().State.Msgs, after.CachedInfo().State.Msgs; a != b {
		t.Errorf("%d of %d records are left after Rewind and Trim", a, b)
	}
}

// TestBurstWaits: what exceeds the bytes in flight waits, it is not refused.
func TestBurstWaits(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.InFlightBytes = 1
	log := open(t, cfg)
	var group sync.WaitGroup
	for range 12 {
		group.Go(func() {
			if err := log.Publish(t.Context(), Trace, make([]byte, 10_000)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestLongReason: an error text that quotes data does not lose the dead letter.
func TestLongReason(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	d := DeadLetter{Lane: Outcome, Sequence: 1, Tenant: "acme", Reason: strings.Repeat("long\r\n", 50_000), Batch: []byte{1}}
	if err := log.DeadLetter(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for got, err := range log.DeadLetters(t.Context()) {
		if err != nil || !strings.HasPrefix(got.Reason, "long") || !bytes.Equal(got.Batch, d.Batch) {
			t.Errorf("got %d bytes of reason, batch %v, %v", len(got.Reason), got.Batch, err)
		}
	}
}

// TestListenDefaultsToLoopback and, when the port is taken, says so soon.
func TestListenDefaultsToLoopback(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Listen = ":0"
	log := open(t, cfg)
	if !strings.HasPrefix(log.ServerURL(), "nats://127.0.0.1:") {
		t.Errorf("listens at %s", log.ServerURL())
	}
	cfg.Dir = t.TempDir()
	cfg.Listen = strings.TrimPrefix(log.ServerURL(), "nats://")
	if host, port, err := net.SplitHostPort(cfg.Listen); err == nil && host != "127.0.0.1" {
		cfg.Listen = "127.0.0.1:" + port
	}
	start := time.Now()
	if other, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil {
		_ = other.Close()
		t.Error("two servers on one port")
	} else if took := time.Since(start); took > 10*time.Second || !strings.Contains(err.Error(), "in use") {
		t.Errorf("after %v: %v", took, err)
	}
}

// TestErrorsHideThePassword of the server's URL.
func TestErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"nats://user:hush@127.0.0.1:1", "nats://user:hush@[::"} {
		cfg := config("")
		cfg.URL = url
		log, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			_ = log.Close()
		}
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("error %v", err)
		}
	}
}

// TestConsumerOutlivesItsServer stops the server and starts it again, while a
// consumer of another process waits for records.
func TestConsumerOutlivesItsServer(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Listen = "127.0.0.1:0"
	server := open(t, cfg)
	cfg.Listen = strings.TrimPrefix(server.ServerURL(), "nats://")
	remote := config("")
	remote.URL = server.ServerURL()
	client := open(t, remote)
	consumer := consume(t, client, Outcome)
	for i := range 3 {
		publish(t, server, Outcome, fmt.Sprint(i))
		if got := next(t, consumer); string(got.Data()) != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", got.Data(), i)
		} else if err := got.Ack(); err != nil {
			t.Fatal(err)
		}
		waitPending(t, server, Outcome, 0)
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := consumer.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next without a server: %v", err)
		}
		cancel()
		server = open(t, cfg)
	}
	waitFor(t, func() bool { return client.Publish(t.Context(), Outcome, []byte("end")) == nil })
	if got := next(t, consumer); string(got.Data()) != "end" {
		t.Errorf("got %q", got.Data())
	}
}

// TestConsumerOutlivesItsConsumer: somebody deletes it on the server.
func TestConsumerOutlivesItsConsumer(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	consumer := consume(t, log, Outcome)
	publish(t, log, Outcome, "a")
	if err := next(t, consumer).Ack(); err != nil {
		t.Fatal(err)
	}
	if err := log.consuming.js.DeleteConsumer(t.Context(), "FLYWHEEL_OUTCOME", "processor"); err != nil {
		t.Fatal(err)
	}
	publish(t, log, Outcome, "b")
	for got := ""; got != "b"; {
		got = string(next(t, consumer).Data())
	}
}

// TestNextTogether: while one goroutine waits in Next, another's context still ends
// its own call.
func TestNextTogether(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	consumer := consume(t, log, Outcome)
	waiting, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() { _, _ = consumer.Next(waiting) })
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, _ = consumer.Next(ctx)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("Next does not return although its context has ended")
	}
	stop()
	group.Wait()
	<-ended
}

// waitFor polls until the condition holds.
func waitFor(t testing.TB, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !condition(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("waited in vain")
		}
	}
}
