package processor

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor/signal"
)

// LetterContents is what the bytes of a dead letter say. They share its memory.
type LetterContents struct {
	// BatchID is the client's batch. Empty: not known.
	BatchID []byte
	// Received is when the collector got it. Zero: not known.
	Received time.Time
	// Events are the events, or what is in their place, in their order.
	Events []LetterEvent
}

// LetterEvent is one event of a dead letter.
type LetterEvent struct {
	// Wire is its bytes.
	Wire []byte
	// Event is what they say, nil where they say nothing.
	Event *flywheelv1.Event
	// Err says why this processor cannot make rows of it. Nil: it can, so what refused
	// the event was ClickHouse, or a processor of another version.
	Err error
	// ErrOffset is the position in Wire of the field that cannot be read, where Event is
	// nil.
	ErrOffset int
}

// OpenLetter reads the bytes of a dead letter ([eventlog.DeadLetter]) event by event.
// It takes any bytes: what is no event comes back as one with an error.
func OpenLetter(tenant string, batch []byte) LetterContents {
	var contents LetterContents
	from := sourceOf(batch)
	contents.BatchID = from.id
	if from.received > 0 {
		contents.Received = time.UnixMicro(int64(from.received)).UTC() //nolint:gosec // a time, as the collector wrote it
	}
	eventsOfBatch(batch, func(raw rawEvent, err error) bool {
		contents.Events = append(contents.Events, openEvent(tenant, raw.wire, err))
		return true
	})
	return contents
}

func openEvent(tenant string, wire []byte, err error) LetterEvent {
	opened := LetterEvent{Wire: wire, Err: err}
	var event flywheelv1.Event
	if err == nil {
		err = event.UnmarshalVT(wire)
		if err != nil {
			opened.Err = fmt.Errorf("the event cannot be decoded: %w", err)
		}
	}
	if err != nil {
		opened.ErrOffset = brokenAt(wire, event.ProtoReflect().Descriptor())
		return opened
	}
	opened.Event = &event
	opened.Err = new(signal.Batch).Add(tenant, &event)
	return opened
}

// brokenAt returns where the first field is that cannot be read, down to the innermost
// message, or the length of the message when all can.
func brokenAt(wire []byte, of protoreflect.MessageDescriptor) int {
	at := 0
	for at < len(wire) {
		number, kind, n := protowire.ConsumeTag(wire[at:])
		if n < 0 {
			return at
		}
		size := protowire.ConsumeFieldValue(number, kind, wire[at+n:])
		if size < 0 {
			return at
		}
		field := of.Fields().ByNumber(number)
		if kind == protowire.BytesType && field != nil && field.Message() != nil {
			inner, length := protowire.ConsumeBytes(wire[at+n:])
			if broken := brokenAt(inner, field.Message()); broken < len(inner) {
				return at + n + length - len(inner) + broken
			}
		}
		at += n + size
	}
	return at
}

// EventCount is how many events a dead letter's bytes have, counted as in [OpenLetter].
func EventCount(batch []byte) (n int) {
	eventsOfBatch(batch, func(rawEvent, error) bool {
		n++
		return true
	})
	return n
}
