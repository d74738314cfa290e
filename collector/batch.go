package collector

import (
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
)

// Field numbers of CollectRequest and CollectStreamRequest.
const (
	batchIDNumber = 1
	eventsNumber  = 2
)

// batch is one client batch on its way to the log and back to the client.
type batch struct {
	// buffer holds the request until it is answered: id and runs are parts of raw.
	buffer   mem.Buffer
	raw      []byte
	id       []byte
	tenant   string
	span     trace.Span
	received time.Time

	events   uint32
	runs     []run
	rejected []*flywheelv1.RejectedEvent
	// refused is why the whole batch was refused before any event went to the log.
	refused *refusal
	// parts are where the events went; those before waited are decided.
	parts  []part
	waited int
}

// run is a stretch of events that are neighbours in the request and in the batch
// and travel in one lane: raw[start:end], each event with its tag and length.
type run struct {
	lane       eventlog.Lane
	first      uint32 // index of its first event in the batch
	events     uint32
	start, end int
}

// part is what one group of the log got of a batch: the runs of its lane among
// runs[from:to]. Without a group, the collector had no room for it.
type part struct {
	lane     eventlog.Lane
	from, to int
	group    *group
}

// laneRuns yields the runs of a part.
func (b *batch) laneRuns(p part) func(yield func(run) bool) {
	return func(yield func(run) bool) {
		for _, r := range b.runs[p.from:p.to] {
			if r.lane == p.lane && !yield(r) {
				return
			}
		}
	}
}

// limits are what a batch is read against.
type limits struct {
	plan     *eventPlan
	bytes    int // of a batch
	events   int // of a batch
	runBytes int
	window   window
}

// read splits the batch into runs of valid events and rejected events. A batch
// that cannot be read as a whole is refused.
func (b *batch) read(l *limits) {
	if len(b.raw) > l.bytes {
		b.refused = invalid("", fmt.Sprintf("the batch has %d bytes, the limit is %d: send fewer events at a time", len(b.raw), l.bytes))
		return
	}
	for offset := 0; offset < len(b.raw); {
		number, wire, next := tag(b.raw, offset)
		if next == 0 {
			b.refused = unreadable(offset)
			return
		}
		switch {
		case number == batchIDNumber && wire == wireBytes && b.id == nil:
			b.id, next = delimited(b.raw, next)
		case number == eventsNumber && wire == wireBytes:
			next = b.readEvent(offset, next, l)
		case number > eventsNumber:
			next = skip(b.raw, next, wire)
		default:
			next = 0
		}
		if b.refused != nil {
			return
		}
		if next == 0 {
			b.refused = unreadable(offset)
			return
		}
		offset = next
	}
	switch {
	case len(b.id) == 0:
		b.refused = invalid("batch_id", "batch_id is missing: set it to a UUIDv7 in 16 bytes, and repeat it on a retry")
	case !isUUID7(b.id):
		b.refused = invalid("batch_id", fmt.Sprintf("batch_id, of %d bytes, is not a UUIDv7 in 16 bytes, big endian", len(b.id)))
	case b.events == 0:
		b.refused = invalid("events", "the batch has no events: send at least one")
	}
}

// readEvent checks the event whose field begins at start and whose length is at
// i, and returns where it ends, 0 when the batch ends within it.
func (b *batch) readEvent(start, i int, l *limits) (end int) {
	event, end := delimited(b.raw, i)
	if end == 0 {
		return 0
	}
	if int(b.events) == l.events {
		b.refused = invalid("events", fmt.Sprintf("the batch has more than %d events: send fewer at a time", l.events))
		return 0
	}
	index := b.events
	b.events++
	lane, bad := l.plan.scan(event, &l.window)
	if bad != nil {
		b.reject(index, event, bad)
		return end
	}
	if len(b.runs) > 0 {
		last := &b.runs[len(b.runs)-1]
		if last.lane == lane && last.end == start && last.first+last.events == index && end-last.start <= l.runBytes {
			last.end = end
			last.events++
			return end
		}
	}
	b.runs = append(b.runs, run{lane: lane, first: index, events: 1, start: start, end: end})
	return end
}

// reject adds an event that is not valid to the answer.
func (b *batch) reject(index uint32, event []byte, bad *problem) {
	b.rejected = append(b.rejected, &flywheelv1.RejectedEvent{
		Index:   index,
		EventId: firstID(event),
		Reason:  bad.reason,
		Field:   bad.field,
		Message: bad.message,
	})
}

// rejectFull adds the events of a part to the answer, for which there was no room.
func (b *batch) rejectFull(p part) {
	for r := range b.laneRuns(p) {
		index := r.first
		for i := r.start; i < r.end; index++ {
			_, _, i = tag(b.raw, i)
			var event []byte
			event, i = delimited(b.raw, i)
			b.rejected = append(b.rejected, &flywheelv1.RejectedEvent{
				Index:     index,
				EventId:   firstID(event),
				Reason:    flywheelv1.RejectReason_REJECT_REASON_LOG_FULL,
				Message:   "the log has no room in the " + r.lane.String() + " lane: send the event again later",
				Retryable: true,
			})
		}
	}
}

// sortRejected puts the rejected events into the order of the batch.
func (b *batch) sortRejected() {
	slices.SortFunc(b.rejected, func(x, y *flywheelv1.RejectedEvent) int { return int(x.GetIndex()) - int(y.GetIndex()) })
}

// firstID returns a copy of field 1 of a message that may be malformed, the
// event_id of an event and the batch_id of a batch; nil where it cannot be read.
func firstID(message []byte) []byte {
	for i := 0; i < len(message); {
		number, wire, next := tag(message, i)
		if next == 0 {
			return nil
		}
		if number == 1 && wire == wireBytes {
			if id, _ := delimited(message, next); len(id) == 16 {
				return slices.Clone(id)
			}
			return nil
		}
		if i = skip(message, next, wire); i == 0 {
			return nil
		}
	}
	return nil
}

// invalid refuses a batch for good: it cannot succeed unchanged.
func invalid(field, message string) *refusal {
	return &refusal{code: codes.InvalidArgument, field: field, message: message}
}

func unreadable(offset int) *refusal {
	return invalid("", fmt.Sprintf("the batch is not a CollectRequest in protobuf, from byte %d on: send it as a protobuf encoder wrote it", offset))
}

// decided reports whether the log has answered for every part of the batch.
// Where not, it gives the channel that the next answer closes.
func (b *batch) decided() (next <-chan struct{}, ok bool) {
	for ; b.waited < len(b.parts); b.waited++ {
		g := b.parts[b.waited].group
		if g == nil {
			continue
		}
		select {
		case <-g.done:
		default:
			return g.done, false
		}
	}
	return nil, true
}
