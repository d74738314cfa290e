package flywheel

import (
	"time"

	"google.golang.org/grpc/codes"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// answered takes in the collector's answer to the oldest batch under way.
func (e *exporter) answered(answer *flywheelv1.CollectStreamResponse) {
	b := e.stream.take(answer)
	if b == nil {
		return
	}
	e.careful = max(e.careful-1, 0)
	retryAfter := min(max(answer.GetRetryAfter().AsDuration(), 0), maxRetryAfter)
	if refused := answer.GetError(); refused != nil {
		why := refusal{code: codes.Code(refused.GetCode()), message: refused.GetMessage(), retryAfter: retryAfter}
		if why.verdict() != never {
			e.putOff(why)
		}
		e.refused(b, why)
		return
	}
	e.failures = 0
	e.settled(b, answer, retryAfter)
}

// refused takes in that a batch as a whole was refused. If it is to blame, it is
// halved, so that one bad event does not take the others along.
func (e *exporter) refused(b *batch, why refusal) {
	judged := why.verdict()
	if judged == crash {
		if b.crashes++; b.crashes >= maxCrashes {
			judged = never
		}
	}
	if judged != never {
		e.requeue(b)
		return
	}
	if b.events == 1 {
		e.counters.rejected.Add(1)
		e.warnings.rejected(why.code.String(), "", why.message)
		e.queue.release(b.order, 1, b.eventBytes())
		return
	}
	half := b.events / 2
	for _, part := range []*batch{
		b.pick(e.queue.ids.next(time.Now()), func(i int) bool { return i < half }),
		b.pick(e.queue.ids.next(time.Now()), func(i int) bool { return i >= half }),
	} {
		e.requeue(part)
		if e.careful > 0 {
			e.careful++
		}
	}
}

// settled takes in the answer to a batch that was not refused as a whole. The events
// that may be sent again become a batch of their own; those refused for good are
// counted.
func (e *exporter) settled(b *batch, answer *flywheelv1.CollectStreamResponse, retryAfter time.Duration) {
	retryable := make(map[int]bool, len(answer.GetRejected()))
	refused := 0
	for _, r := range answer.GetRejected() {
		i := int(r.GetIndex())
		if _, twice := retryable[i]; twice || i >= b.events {
			continue
		}
		retryable[i] = r.GetRetryable()
		if !r.GetRetryable() {
			refused++
			e.warnings.rejected(r.GetReason().String(), r.GetField(), r.GetMessage())
		}
	}
	e.counters.accepted.Add(uint64(b.events - len(retryable)))
	e.counters.rejected.Add(uint64(refused))
	left, leftBytes := len(retryable)-refused, 0
	if left > 0 {
		part := b.pick(e.queue.ids.next(time.Now()), func(i int) bool { return retryable[i] })
		part.notBefore = time.Now().Add(retryAfter + jittered(b.attempts))
		leftBytes = part.eventBytes()
		e.requeue(part)
	}
	e.queue.release(b.order, b.events-left, b.eventBytes()-leftBytes)
}
