package flywheel_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// silent never answers.
func silent(int, *flywheelv1.CollectStreamRequest) reply { return reply{silent: true} }

// TestFullQueueDrops: with nobody to take the events, the queue fills up: traces leave
// a quarter of it to outcomes. What is too much is counted and logged.
func TestFullQueueDrops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log logs
		f := newFake(t, silent)
		client := dial(t, f, flywheel.WithQueue(100, 1<<20), log.option())
		s := client.Session(flywheel.SessionInfo{})
		selections(s, 0, 149)
		check(t, client, flywheel.Stats{Queued: 75, Dropped: 75})
		for range 30 {
			s.Outcome(flywheel.TaskSolved, "")
		}
		pass(10 * time.Second)
		check(t, client, flywheel.Stats{Queued: 100, Sent: 100, Dropped: 80})
		if n := strings.Count(log.String(), "events were dropped"); n != 1 {
			t.Errorf("%d warnings, want one:\n%s", n, log.String())
		}
	})
}

func TestQueueIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bound = 64 << 10
		f := newFake(t, silent)
		client := dial(t, f, flywheel.WithQueue(1<<20, bound), flywheel.WithContent(flywheel.ConsentTraining))
		s := client.Session(flywheel.SessionInfo{})
		for range 100 {
			s.Feedback(flywheel.Feedback{Comment: strings.Repeat("x", 1000)})
		}
		s.Feedback(flywheel.Feedback{Comment: strings.Repeat("x", bound)})
		stats := client.Stats()
		if stats.Queued < 55 || stats.Queued > 64 || stats.Queued+stats.Dropped != 102 {
			t.Errorf("Stats: %+v", stats)
		}
		pass(2 * time.Second)
		size := 0
		for _, b := range f.got() {
			size += len(b.raw)
		}
		if size > bound || size < bound-2000 {
			t.Errorf("the queue held %d bytes, want almost %d", size, bound)
		}
	})
}

// TestBlockWhenFull: emitting waits for room, and nothing is dropped.
func TestBlockWhenFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events = 1000
		f := newFake(t, nil)
		f.stop()
		client := dial(t, f, flywheel.WithQueue(50, 1<<20), flywheel.WithBatch(512, 1<<20, time.Hour), flywheel.WithBlockWhenFull())
		emitted := make(chan struct{})
		go func() {
			defer close(emitted)
			selections(client.Session(flywheel.SessionInfo{}), 0, events)
		}()
		pass(time.Minute)
		select {
		case <-emitted:
			t.Fatal("emitting did not wait")
		default:
		}
		f.start()
		<-emitted
		flush(t, client)
		if got := numbers(f.events()); !slices.Equal(got, upTo(events)) {
			t.Errorf("%d events arrived", len(got))
		}
		check(t, client, flywheel.Stats{Sent: events + 1, Accepted: events + 1})
	})
}

// TestCloseEndsWaiting: Close lets go of who waits for room.
func TestCloseEndsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, silent)
		client := dial(t, f, flywheel.WithQueue(4, 1<<20), flywheel.WithBlockWhenFull())
		emitted := make(chan struct{})
		go func() {
			defer close(emitted)
			selections(client.Session(flywheel.SessionInfo{}), 0, 9)
		}()
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := client.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		<-emitted
		check(t, client, flywheel.Stats{Sent: 3, Dropped: 10})
	})
}
