package flywheel_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/yirifi/flywheel/collector"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// openLog opens an embedded log.
func openLog(t *testing.T) *eventlog.Log {
	t.Helper()
	cfg := eventlog.DefaultConfig()
	cfg.Dir = t.TempDir()
	log, err := eventlog.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open log: %v", err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("close log: %v", err)
		}
	})
	return log
}

// startCollector serves the real collector at an address, until stop or the end of
// the test.
func startCollector(t *testing.T, log *eventlog.Log, address string) (at string, stop func()) {
	t.Helper()
	c, err := collector.New(collector.DefaultConfig(), log, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	var listen net.ListenConfig
	lis, err := listen.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- c.Serve(ctx, lis) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return lis.Addr().String(), stop
}

// stored reads the log until it has seen so many different events, and returns how
// many there are of each kind of payload.
func stored(t *testing.T, log *eventlog.Log, want int) map[string]int {
	t.Helper()
	kinds, seen := map[string]int{}, map[string]bool{}
	for _, lane := range eventlog.Lanes() {
		consumer, err := log.Consume(t.Context(), lane)
		if err != nil {
			t.Fatalf("Consume: %v", err)
		}
		defer consumer.Close()
		for {
			left, err := log.Pending(t.Context(), lane)
			if err != nil {
				t.Fatalf("Pending: %v", err)
			}
			if left == 0 {
				break
			}
			message, err := consumer.Next(t.Context())
			if err != nil {
				t.Fatalf("Next: %v", err)
			}
			count(t, message.Data(), kinds, seen)
			if err := message.Ack(); err != nil {
				t.Fatalf("Ack: %v", err)
			}
		}
	}
	if len(seen) != want {
		t.Errorf("%d different events are stored, want %d", len(seen), want)
	}
	return kinds
}

func count(t *testing.T, record []byte, kinds map[string]int, seen map[string]bool) {
	t.Helper()
	var r flywheelv1.LogRecord
	if err := r.UnmarshalVT(record); err != nil {
		t.Fatalf("decode record: %v", err)
	}
	for _, b := range r.GetBatches() {
		if b.GetTenant() != "acme" {
			t.Errorf("tenant %q", b.GetTenant())
		}
		for _, e := range b.GetEvents() {
			if seen[string(e.GetEventId())] {
				continue
			}
			seen[string(e.GetEventId())] = true
			m := e.ProtoReflect()
			kinds[string(m.WhichOneof(m.Descriptor().Oneofs().ByName("payload")).Name())]++
		}
	}
}

// TestAgainstTheCollector sends every kind of event to the real collector, which is
// restarted in the midst: it accepts all of them, and all of them are in the log.
func TestAgainstTheCollector(t *testing.T) {
	t.Parallel()
	const rounds = 300
	log := openLog(t)
	address, stop := startCollector(t, log, "127.0.0.1:0")
	client, err := flywheel.Dial(address, flywheel.WithTenant("acme"), flywheel.WithContent(flywheel.ConsentTraining),
		flywheel.WithBatch(100, 64<<10, 10*time.Millisecond), flywheel.WithBlockWhenFull(), flywheel.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	emitted := make(chan struct{})
	go func() {
		defer close(emitted)
		now := &clock{}
		for range rounds {
			live(client, now)
		}
	}()
	stop()
	<-emitted
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := client.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush with the collector down: %v", err)
	}
	startCollector(t, log, address)
	if err := client.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	perRound := len(lived())
	stats := client.Stats()
	if stats.Accepted != uint64(rounds*perRound) || stats.Rejected+stats.Dropped != 0 {
		t.Errorf("Stats: %+v, want %d accepted", stats, rounds*perRound)
	}
	kinds := stored(t, log, rounds*perRound)
	payloads := (&flywheelv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("payload").Fields().Len()
	if len(kinds) != payloads || kinds["ended"] != 8*rounds {
		t.Errorf("events by kind: %v, want all %d kinds", kinds, payloads)
	}
}
