package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/rpc"
)

// newCollector returns a collector with changes to the defaults.
func newCollector(tb testing.TB, log Publisher, change func(*Config)) *Collector {
	tb.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg, log, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return c
}

// idle returns a collector that does not serve: a test hands it batches itself.
func idle(tb testing.TB, log Publisher, change func(*Config)) *Collector {
	tb.Helper()
	c := newCollector(tb, log, change)
	tb.Cleanup(func() {
		for _, lane := range c.lanes {
			lane.wait()
		}
		if held := c.waiting.Load(); held != 0 {
			tb.Errorf("%d bytes are still accounted for", held)
		}
	})
	return c
}

func (c *Collector) beginEvents(tb testing.TB, events []*flywheelv1.Event) *batch {
	tb.Helper()
	return c.begin(rpc.DefaultTenant, noop.Span{}, mem.SliceBuffer(encode(tb, request(events...))))
}

// wait waits until the batch is decided and returns its answer.
func (c *Collector) wait(b *batch) (*flywheelv1.CollectResponse, *refusal) {
	defer c.release(b)
	for {
		next, ok := b.decided()
		if ok {
			return c.finish(b)
		}
		<-next
	}
}

// TestGroupGathersWhileTheLogSyncs: the first batch is published at once and
// alone; all that arrive meanwhile share the next record; none is answered before
// the log has acknowledged its record.
func TestGroupGathersWhileTheLogSyncs(t *testing.T) {
	t.Parallel()
	embedded := openLog(t, nil)
	log := newGate(embedded)
	c := idle(t, log, nil)
	const others = 20
	batches := []*batch{c.beginEvents(t, many(5, shown))}
	<-log.entered
	for range others {
		batches = append(batches, c.beginEvents(t, many(5, shown)))
	}
	for i, b := range batches {
		if _, ok := b.decided(); ok {
			t.Errorf("batch %d is decided before the log has answered", i)
		}
	}
	log.open()
	for i, b := range batches {
		if answer, refused := c.wait(b); refused != nil || answer.GetAccepted() != 5 {
			t.Errorf("batch %d: got %v, %v; want 5 accepted", i, answer, refused)
		}
	}
	if got := c.Stats().Groups; got != 2 {
		t.Errorf("%d batches went into %d groups, want 2", len(batches), got)
	}
	inLog := readLog(t, embedded, eventlog.Outcome)
	if len(inLog) != len(batches) || len(eventIDs(inLog)) != 5*len(batches) {
		t.Errorf("the log has %d batches with %d events", len(inLog), len(eventIDs(inLog)))
	}
}

// TestFullGroupsDoNotWait: a group that is full is published beside the one in
// flight, up to MaxInFlight.
func TestFullGroupsDoNotWait(t *testing.T) {
	t.Parallel()
	log := newGate(openLog(t, nil))
	c := idle(t, log, func(cfg *Config) { cfg.GroupBytes, cfg.MaxInFlight = minGroupBytes, 3 })
	var batches []*batch
	for range 40 {
		batches = append(batches, c.beginEvents(t, many(5, shown)))
	}
	for range 3 {
		<-log.entered
	}
	select {
	case <-log.entered:
		t.Error("more groups are in flight than allowed")
	default:
	}
	log.open()
	for _, b := range batches {
		if _, refused := c.wait(b); refused != nil {
			t.Errorf("refused: %+v", refused)
		}
	}
}

// TestPublishFailure: what the log did not confirm is not acknowledged, and may be
// sent again.
func TestPublishFailure(t *testing.T) {
	t.Parallel()
	log := newGate(openLog(t, nil))
	c := serve(t, log, nil)
	for name, test := range map[string]struct {
		err  error
		code codes.Code
	}{
		"full":        {fmt.Errorf("publish: %w", eventlog.ErrFull), codes.ResourceExhausted},
		"unavailable": {eventlog.ErrUnavailable, codes.Unavailable},
		"other":       {errors.New("anything"), codes.Unavailable},
	} {
		go func() { log.pass <- test.err }()
		_, err := c.client.Collect(t.Context(), request(shown(time.Now())))
		st := status.Convert(err)
		if retry := detail[*errdetails.RetryInfo](st); st.Code() != test.code || retry.GetRetryDelay().AsDuration() != c.cfg.RetryAfter {
			t.Errorf("%s: Collect: got %v with %v, want %v with RetryInfo", name, err, retry, test.code)
		}

		go func() { log.pass <- test.err }()
		stream := c.openStream(t)
		if err := stream.Send(streamRequest(shown(time.Now()))); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil || codes.Code(answer.GetError().GetCode()) != test.code || answer.GetRetryAfter().AsDuration() != c.cfg.RetryAfter {
			t.Errorf("%s: CollectStream: got %v, %v; want the error %v", name, answer, err, test.code)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		receiveAll(t, stream)
	}
	if s := c.Stats(); s.Refused != 6 || s.Accepted != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// TestFullLogRefusesTraceFirst: with the trace lane full, its events are refused
// for now, and the outcomes of the same batch are durable.
func TestFullLogRefusesTraceFirst(t *testing.T) {
	t.Parallel()
	log := openLog(t, func(cfg *eventlog.Config) { cfg.Trace.MaxBytes = 1 << 20 })
	c := serve(t, log, nil)
	var err error
	for err == nil {
		if t.Context().Err() != nil {
			t.Fatal("the log never was full")
		}
		_, err = c.client.Collect(t.Context(), request(many(500, edit)...))
	}
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted || detail[*errdetails.RetryInfo](st) == nil || detail[*errdetails.ErrorInfo](st).GetReason() != "LOG_FULL" {
		t.Fatalf("got %v, want RESOURCE_EXHAUSTED with RetryInfo", err)
	}

	events := many(600, edit)
	events[1], events[3] = shown(time.Now()), event(time.Now())
	response, err := c.client.Collect(t.Context(), request(events...))
	if err != nil || response.GetAccepted() != 1 || len(response.GetRejected()) != 599 || response.GetRetryAfter() == nil {
		t.Fatalf("got %d accepted, %d rejected, retry %v, %v", response.GetAccepted(), len(response.GetRejected()), response.GetRetryAfter(), err)
	}
	for i, r := range response.GetRejected() {
		index := uint32(i)
		if i > 0 {
			index++
		}
		full := index != 3
		if r.GetIndex() != index || string(r.GetEventId()) != string(events[index].GetEventId()) || r.GetRetryable() != full || (r.GetReason() == logFullReason) != full {
			t.Fatalf("rejected %d is %v", i, r)
		}
	}
	if ids := eventIDs(readLog(t, log, eventlog.Outcome)); ids[string(events[1].GetEventId())] != 1 {
		t.Error("the outcome is not in the log")
	}
}

// TestMemoryIsBounded: with the log standing still, the collector takes what it
// has room for and refuses trace first.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	log := newGate(openLog(t, nil))
	c := idle(t, log, func(cfg *Config) {
		cfg.MaxContentBytes, cfg.MaxEventBytes, cfg.MaxBatchBytes, cfg.MaxWaitingBytes = 1<<10, 64<<10, 64<<10, 1<<20
	})
	var taken []*batch
	fill := func(create func(time.Time) *flywheelv1.Event) (batches int) {
		for {
			b := c.beginEvents(t, many(100, create))
			if _, ok := b.decided(); !ok {
				taken = append(taken, b)
				batches++
				continue
			}
			if _, refused := c.wait(b); refused == nil || refused.code != codes.ResourceExhausted || refused.retryAfter == 0 {
				t.Errorf("got %+v, want RESOURCE_EXHAUSTED for now", refused)
			}
			return batches
		}
	}
	trace, outcome := fill(edit), fill(shown)
	if trace == 0 || outcome == 0 {
		t.Errorf("%d batches of trace were taken, then %d of outcome; want some of each", trace, outcome)
	}
	if held := c.waiting.Load(); held > int64(c.cfg.MaxWaitingBytes) {
		t.Errorf("%d bytes are held, the limit is %d", held, c.cfg.MaxWaitingBytes)
	}
	log.open()
	for _, b := range taken {
		if answer, refused := c.wait(b); refused != nil || answer.GetAccepted() != 100 {
			t.Errorf("got %v, %+v; want 100 accepted", answer, refused)
		}
	}
}

// TestClientThatLeaves takes nobody with it.
func TestClientThatLeaves(t *testing.T) {
	t.Parallel()
	embedded := openLog(t, nil)
	log := newGate(embedded)
	c := serve(t, log, nil)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := c.client.Collect(ctx, request(shown(time.Now())))
		left <- err
	}()
	<-log.entered
	cancel()
	if err := <-left; status.Code(err) != codes.Canceled {
		t.Errorf("the client that left: %v", err)
	}
	stayed := make(chan error, 1)
	go func() {
		_, err := c.client.Collect(t.Context(), request(shown(time.Now())))
		stayed <- err
	}()
	log.open()
	if err := <-stayed; err != nil {
		t.Errorf("the client that stayed: %v", err)
	}
	if err := c.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if got := len(eventIDs(readLog(t, embedded, eventlog.Outcome))); got != 2 {
		t.Errorf("%d events are in the log, want 2", got)
	}
}

// TestStateIsReportedNowAndThen: a lane that is full and freed in turn says so every
// stateEvery at most, and one that stays as it is says nothing.
func TestStateIsReportedNowAndThen(t *testing.T) {
	t.Parallel()
	var state reportedState
	now := time.Now()
	for i, step := range []struct {
		after   time.Duration
		failing bool
		report  bool
	}{
		{0, false, false},
		{time.Millisecond, true, true},
		{time.Millisecond, false, false},
		{time.Millisecond, true, false},
		{stateEvery, true, false},
		{time.Millisecond, false, true},
		{stateEvery - time.Millisecond, true, false},
		{time.Millisecond, true, true},
		{stateEvery - time.Millisecond, false, false},
		{time.Millisecond, false, true},
	} {
		now = now.Add(step.after)
		if got := state.change(step.failing, now); got != step.report {
			t.Errorf("step %d: reported %v, want %v", i, got, step.report)
		}
	}
}
