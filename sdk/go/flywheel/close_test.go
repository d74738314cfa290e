package flywheel_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// TestFlushWithServerDown: Flush keeps to its context and loses nothing.
func TestFlushWithServerDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		f.stop()
		client := dial(t, f)
		s := client.Session(flywheel.SessionInfo{})
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := client.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 3*time.Second {
			t.Errorf("Flush: %v after %s", err, time.Since(begun))
		}
		pass(5 * time.Minute)
		check(t, client, flywheel.Stats{Queued: 1})
		f.start()
		selections(s, 0, 1)
		begun = time.Now()
		flush(t, client)
		if waited := time.Since(begun); waited > 2*time.Second {
			t.Errorf("Flush took %s after a long outage: it must not wait for the backoff", waited)
		}
		stats := client.Stats()
		if stats.Accepted != 2 || stats.Queued+stats.Dropped != 0 {
			t.Errorf("Stats: %+v", stats)
		}
	})
}

// TestFlushWaitsForWhatCameBefore and for nothing else.
func TestFlushWaitsForWhatCameBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		client := dial(t, f, flywheel.WithBatch(100, 1<<20, time.Hour))
		if err := client.Flush(t.Context()); err != nil {
			t.Errorf("Flush of nothing: %v", err)
		}
		s := client.Session(flywheel.SessionInfo{})
		selections(s, 0, 3)
		flush(t, client)
		check(t, client, flywheel.Stats{Sent: 4, Accepted: 4})
		selections(s, 3, 1)
		synctest.Wait()
		check(t, client, flywheel.Stats{Queued: 1, Sent: 4, Accepted: 4})
	})
}

// TestFlushDoesNotMistakeLaterEvents: what was emitted after the call and is done with
// first does not count for it.
func TestFlushDoesNotMistakeLaterEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(n int, req *flywheelv1.CollectStreamRequest) reply {
			if n > 0 {
				return take(req)
			}
			return reply{answer: &flywheelv1.CollectStreamResponse{
				BatchId: req.GetBatchId(), RetryAfter: durationpb.New(10 * time.Second),
				Rejected: []*flywheelv1.RejectedEvent{{Index: 0, Retryable: true}, {Index: 1, Retryable: true}},
			}}
		})
		client := dial(t, f, flywheel.WithBatch(2, 1<<20, time.Second))
		s := client.Session(flywheel.SessionInfo{})
		selections(s, 0, 1)
		pass(time.Second)
		begun := time.Now()
		flushed := make(chan time.Duration, 1)
		go func() {
			flush(t, client)
			flushed <- time.Since(begun)
		}()
		synctest.Wait()
		selections(s, 1, 2)
		synctest.Wait()
		check(t, client, flywheel.Stats{Queued: 2, Sent: 4, Accepted: 2})
		if waited := <-flushed; waited < 8*time.Second {
			t.Errorf("Flush returned after %s, with its events in the queue", waited)
		}
	})
}

func TestCloseDelivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		client := dial(t, f, flywheel.WithBatch(100, 1<<20, time.Hour))
		s := client.Session(flywheel.SessionInfo{})
		selections(s, 0, 250)
		if err := client.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		check(t, client, flywheel.Stats{Sent: 251, Accepted: 251})
		if err := client.Close(t.Context()); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Errorf("Flush after Close: %v", err)
		}
		s.End("too late")
		client.Session(flywheel.SessionInfo{}).Opportunity(flywheel.Dimensions{}).Suggest(flywheel.Suggestion{}).Accepted()
		check(t, client, flywheel.Stats{Sent: 251, Accepted: 251, Dropped: 5})
	})
}

// TestCloseWithServerDown: Close keeps to its context, says how many events are lost,
// and a Flush under way learns of it.
func TestCloseWithServerDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		f.stop()
		client := dial(t, f)
		selections(client.Session(flywheel.SessionInfo{}), 0, 6)
		flushed, closed := make(chan error, 1), make(chan error, 1)
		go func() { flushed <- client.Flush(context.Background()) }()
		synctest.Wait()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		go func() { closed <- client.Close(context.Background()) }()
		err := client.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "7 events") || time.Since(begun) != 3*time.Second {
			t.Errorf("Close: %v after %s", err, time.Since(begun))
		}
		if err := <-flushed; !errors.Is(err, flywheel.ErrClosed) {
			t.Errorf("Flush: %v, want ErrClosed", err)
		}
		if err := <-closed; !errors.Is(err, flywheel.ErrClosed) {
			t.Errorf("the other Close: %v, want ErrClosed", err)
		}
		check(t, client, flywheel.Stats{Dropped: 7})
	})
}

// TestStuckServer: a collector that reads nothing, so that sending blocks, holds up
// neither Close nor, for long, the events.
func TestStuckServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		stuck.Store(true)
		f := newFake(t, func(_ int, req *flywheelv1.CollectStreamRequest) reply {
			if stuck.Load() {
				return reply{hang: true}
			}
			return take(req)
		})
		client := dial(t, f, flywheel.WithBatch(1, 1<<20, time.Second), flywheel.WithContent(flywheel.ConsentTraining))
		s := client.Session(flywheel.SessionInfo{})
		emit := func() {
			for range 50 {
				s.Message(flywheel.Message{Role: flywheel.RoleUser, Text: strings.Repeat("x", 200_000)})
			}
		}
		emit()
		pass(29 * time.Second)
		stuck.Store(false)
		flush(t, client)
		if stats := client.Stats(); stats.Accepted != 51 || stats.Dropped != 0 {
			t.Errorf("Stats: %+v", stats)
		}
		stuck.Store(true)
		emit()
		pass(time.Second)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		if err := client.Close(ended); !errors.Is(err, context.Canceled) || time.Since(begun) != 0 {
			t.Errorf("Close: %v after %s", err, time.Since(begun))
		}
		if stats := client.Stats(); stats.Accepted+stats.Dropped != 101 || stats.Dropped == 0 {
			t.Errorf("Stats: %+v", stats)
		}
	})
}

// TestNothingPanics calls everything on nil and zero values.
func TestNothingPanics(t *testing.T) {
	t.Parallel()
	for _, client := range []*flywheel.Client{nil, {}} {
		for _, s := range []*flywheel.Session{nil, {}, client.Session(flywheel.SessionInfo{})} {
			s.ID()
			s.DocumentOpened(flywheel.Document{})
			s.DocumentClosed(flywheel.Document{})
			s.Edit(flywheel.Edit{})
			s.Selection(flywheel.Selection{})
			s.Message(flywheel.Message{})
			s.ToolCall(flywheel.ToolCall{})
			s.Feedback(flywheel.Feedback{})
			s.Outcome(flywheel.TaskSolved, "")
			for _, o := range []*flywheel.Opportunity{nil, {}, s.Opportunity(flywheel.Dimensions{})} {
				o.ID()
				o.NotProduced(flywheel.NotProducedNoEdit, "", 0)
				for _, i := range []*flywheel.Interaction{nil, {}, o.Suggest(flywheel.Suggestion{}), client.Resume(flywheel.ID{}, flywheel.ID{}, flywheel.ID{})} {
					everyMethod(i)
				}
			}
			s.End("")
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if err := client.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		check(t, client, flywheel.Stats{})
	}
}

// everyMethod calls every method of an interaction.
func everyMethod(i *flywheel.Interaction) {
	i.ID()
	i.Shown(flywheel.Shown{})
	i.NotShown(flywheel.NotShownStale)
	i.Read(0)
	i.Accepted()
	i.PartiallyAccepted(1, 1)
	i.AcceptedModified("")
	i.AutoAccepted()
	i.Rejected("")
	i.Ignored()
	i.Superseded(i)
	i.Cancelled()
	i.Ended(flywheel.Ended{})
	i.Retained(flywheel.Retention{})
	i.Alternative("")
	i.NoAlternative()
	i.Feedback(flywheel.Feedback{})
	i.Outcome(flywheel.TaskMerged, "")
}

// explosive is a log handler that panics.
type explosive struct{ slog.Handler }

func (explosive) Enabled(context.Context, slog.Level) bool { return true }

func (explosive) Handle(context.Context, slog.Record) error { panic("log") }

// TestPanicEndsTheClientOnly: a panic in the background, here of the logger, does not
// end the process. What is in the queue counts as dropped.
func TestPanicEndsTheClientOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(_ int, req *flywheelv1.CollectStreamRequest) reply {
			return reply{answer: &flywheelv1.CollectStreamResponse{
				BatchId: req.GetBatchId(), Rejected: []*flywheelv1.RejectedEvent{{Index: 0}},
			}}
		})
		client := dial(t, f, flywheel.WithLogger(slog.New(explosive{slog.DiscardHandler})))
		s := client.Session(flywheel.SessionInfo{})
		if err := client.Flush(t.Context()); !errors.Is(err, flywheel.ErrClosed) {
			t.Errorf("Flush: %v, want ErrClosed", err)
		}
		s.End("")
		if err := client.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		check(t, client, flywheel.Stats{Sent: 1, Dropped: 2})
	})
}
