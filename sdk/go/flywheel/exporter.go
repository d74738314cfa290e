package flywheel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// exporter sends what is in the queue. The goroutine in run owns all of it.
type exporter struct {
	queue    *queue
	conn     *grpc.ClientConn
	counters *counters
	warnings warnings
	delay    time.Duration

	// pending are the batches to be sent, by their order.
	pending []*batch
	// stream is nil while there is none.
	stream *stream
	// careful is how many batches are still to be sent one at a time, because one of
	// them has ended a stream.
	careful int

	// failures is how many there were since the last success. Nothing is sent before
	// backoffUntil, which was chosen here, and throttledUntil, which the collector
	// asked for.
	failures                     int
	backoffUntil, throttledUntil time.Time

	// openUntil is when the open batch with the number openOrder is sealed. Zero:
	// there is none.
	openOrder uint64
	openUntil time.Time
	// reported is how many dropped events have been logged.
	reported uint64
}

func newExporter(q *queue, conn *grpc.ClientConn, counters *counters, log *slog.Logger, delay time.Duration) *exporter {
	return &exporter{queue: q, conn: conn, counters: counters, warnings: newWarnings(log), delay: delay}
}

// run sends batches until the queue is closed and empty, or ctx ends. What is then
// left in the queue is dropped.
func (e *exporter) run(ctx context.Context) {
	defer e.queue.abandon()
	defer e.recovered()
	defer e.hangUp()
	timer := time.NewTimer(e.delay)
	defer timer.Stop()
	for {
		now := time.Now()
		if finished := e.gather(now); finished {
			e.rest()
			return
		}
		e.send(ctx, now)
		timer.Reset(e.idle(now))
		select {
		case <-ctx.Done():
			return
		case <-e.queue.wake:
		case <-timer.C:
		case answer, ok := <-e.answers():
			if ok {
				e.answered(answer)
			} else {
				e.disconnected()
			}
		}
	}
}

// recovered keeps a panic from ending the process. The client drops events from then
// on.
func (e *exporter) recovered() {
	p := recover()
	if p == nil {
		return
	}
	defer func() { _ = recover() }() // the logger may be what panics
	e.warnings.log.Error("sending of events has ended", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
}

// gather takes over what is sealed, seals the open batch when it is due, and says
// whether there is nothing left to do for good.
func (e *exporter) gather(now time.Time) (finished bool) {
	s := e.queue.take()
	switch {
	case !s.open:
		e.openUntil = time.Time{}
	case e.openUntil.IsZero() || e.openOrder != s.order:
		e.openOrder, e.openUntil = s.order, now.Add(e.delay)
	case !now.Before(e.openUntil):
		e.queue.sealOrder(s.order)
		e.openUntil = time.Time{}
		more := e.queue.take()
		s.sealed = append(s.sealed, more.sealed...)
		s.hurry = s.hurry || more.hurry
	}
	e.pending = append(e.pending, s.sealed...)
	if s.hurry && now.Before(e.backoffUntil) {
		e.failures, e.backoffUntil = 0, time.Time{}
		e.conn.ResetConnectBackoff()
	}
	e.reportDrops(now)
	return s.finished
}

// send sends the batches whose time has come, as far as the stream has room.
func (e *exporter) send(ctx context.Context, now time.Time) {
	for e.hasRoom() {
		next := e.ready(now)
		if next < 0 {
			return
		}
		if e.stream == nil {
			s, err := openStream(ctx, e.conn)
			if err != nil {
				e.failed(refusalOf(err), err)
				return
			}
			e.stream = s
		}
		b := e.pending[next]
		e.pending = slices.Delete(e.pending, next, next+1)
		if b.attempts == 0 {
			e.counters.sent.Add(uint64(b.events))
		} else {
			e.counters.retries.Add(1)
		}
		b.attempts++
		e.stream.send(b, now)
	}
}

// hasRoom says whether a batch could be sent now.
func (e *exporter) hasRoom() bool {
	if e.stream == nil {
		return true
	}
	limit := maxInflight
	if e.careful > 0 {
		limit = 1
	}
	return !e.stream.broken && len(e.stream.inflight) < limit
}

// resume is when something may be sent again.
func (e *exporter) resume() time.Time {
	if e.throttledUntil.After(e.backoffUntil) {
		return e.throttledUntil
	}
	return e.backoffUntil
}

// ready returns the position of the first pending batch whose time has come, or -1.
func (e *exporter) ready(now time.Time) int {
	if now.Before(e.resume()) {
		return -1
	}
	return slices.IndexFunc(e.pending, func(b *batch) bool { return !now.Before(b.notBefore) })
}

// idle returns how long there is nothing to do unless something happens. It closes a
// stream that has not been used for long.
func (e *exporter) idle(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if !e.openUntil.IsZero() {
		sooner(e.openUntil)
	}
	if e.hasRoom() {
		resume := e.resume()
		for _, b := range e.pending {
			if b.notBefore.After(resume) {
				sooner(b.notBefore)
			} else {
				sooner(resume)
			}
		}
	}
	if s := e.stream; s != nil && len(s.inflight) == 0 && !s.broken {
		if unused := s.used.Add(idleTimeout); now.Before(unused) {
			sooner(unused)
		} else {
			e.rest()
		}
	}
	return max(next.Sub(now), 0)
}

// answers gives the answers of the stream; nil while there is none.
func (e *exporter) answers() <-chan *flywheelv1.CollectStreamResponse {
	if e.stream == nil {
		return nil
	}
	return e.stream.answers
}

// rest ends a stream that has no batches left.
func (e *exporter) rest() {
	if e.stream != nil {
		e.stream.finish()
		e.stream = nil
	}
}

// hangUp ends the stream at once.
func (e *exporter) hangUp() {
	if e.stream != nil {
		e.stream.hangUp()
		e.stream = nil
	}
}

// disconnected takes back what the stream that has ended left without an answer.
func (e *exporter) disconnected() {
	s := e.stream
	e.stream = nil
	s.drain()
	why := refusalOf(s.err)
	if errors.Is(s.err, io.EOF) {
		why = refusal{message: "the collector ended the stream"}
	}
	blamed := why.verdict() != again
	switch {
	case blamed && len(s.inflight) == 1:
		e.refused(s.inflight[0], why)
	case blamed:
		e.careful = len(s.inflight)
		fallthrough
	default:
		for _, b := range s.inflight {
			e.requeue(b)
		}
	}
	if len(s.inflight) > 0 || s.answered == 0 {
		e.failed(why, s.err)
	}
}

// failed puts off everything after a failure that is no batch's own.
func (e *exporter) failed(why refusal, err error) {
	e.putOff(why)
	if e.failures > 1 {
		e.warnings.waiting(err, e.queue.queued())
	}
}

// putOff sends nothing for as long as the collector asks, or for a while that grows
// with the failures. Refusals that arrive during the wait are the same failure.
func (e *exporter) putOff(why refusal) {
	now := time.Now()
	if now.Before(e.resume()) && why.retryAfter == 0 {
		return
	}
	if !now.Before(e.resume()) {
		e.failures++
	}
	if why.retryAfter > 0 {
		e.throttledUntil = now.Add(why.retryAfter + jittered(e.failures))
	} else {
		e.backoffUntil = now.Add(jittered(e.failures))
	}
}

// requeue puts a batch back in its place.
func (e *exporter) requeue(b *batch) {
	at, _ := slices.BinarySearchFunc(e.pending, b.order+1, func(other *batch, order uint64) int {
		if other.order < order {
			return -1
		}
		return 1
	})
	e.pending = slices.Insert(e.pending, at, b)
}

// reportDrops logs what was dropped since it was last logged.
func (e *exporter) reportDrops(now time.Time) {
	dropped := e.counters.dropped.Load()
	if dropped > e.reported && e.warnings.dropped(now, dropped-e.reported) {
		e.reported = dropped
	}
}
