package processor

import (
	"errors"
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of LogRecord and LogBatch (see log.proto).
const (
	recordBatches = 1
	batchID       = 1
	batchEvents   = 2
	batchTenant   = 3
	batchReceived = 4
)

var (
	errRecord = errors.New("the record is no LogRecord")
	errBatch  = errors.New("the batch is no LogBatch")
)

// source is what the events of one batch have in common.
type source struct {
	tenant   string
	id       []byte
	received uint64
}

// eventsOf yields the wire bytes of every event of a record, each on its own, so that
// one that cannot be decoded harms no other. Where a record or a batch itself is
// broken, it yields the broken bytes from there on, with an error. The bytes are
// those of the record.
func eventsOf(record []byte) iter.Seq2[rawEvent, error] {
	return func(yield func(rawEvent, error) bool) {
		for len(record) > 0 {
			number, value, rest := nextField(record)
			if rest == nil {
				yield(rawEvent{source: &source{}, wire: record}, errRecord)
				return
			}
			if number == recordBatches && !eventsOfBatch(value, yield) {
				return
			}
			record = rest
		}
	}
}

// rawEvent is an event as it came.
type rawEvent struct {
	source *source
	wire   []byte
}

// eventsOfBatch yields the events of a batch and returns whether to go on.
func eventsOfBatch(batch []byte, yield func(rawEvent, error) bool) bool {
	from := sourceOf(batch)
	for len(batch) > 0 {
		number, value, rest := nextField(batch)
		if rest == nil {
			return yield(rawEvent{source: from, wire: batch}, errBatch)
		}
		if number == batchEvents && !yield(rawEvent{source: from, wire: value}, nil) {
			return false
		}
		batch = rest
	}
	return true
}

// sourceOf reads what comes with the events of a batch, before or after them.
func sourceOf(batch []byte) *source {
	var from source
	for len(batch) > 0 {
		number, value, rest := nextField(batch)
		if rest == nil {
			break
		}
		switch number {
		case batchID:
			from.id = value
		case batchTenant:
			from.tenant = string(value)
		case batchReceived:
			from.received, _ = protowire.ConsumeVarint(value)
		default: // the events, and what a newer collector adds
		}
		batch = rest
	}
	return &from
}

// nextField reads the first field of a message: its number, its value without the
// length, and what follows it, which is nil when the field is broken and otherwise
// is not.
func nextField(message []byte) (number protowire.Number, value, rest []byte) {
	number, kind, n := protowire.ConsumeTag(message)
	if n < 0 {
		return 0, nil, nil
	}
	message = message[n:]
	if kind == protowire.BytesType { // events, most of all
		value, n = protowire.ConsumeBytes(message)
	} else if n = protowire.ConsumeFieldValue(number, kind, message); n >= 0 {
		value = message[:n]
	}
	if n < 0 {
		return 0, nil, nil
	}
	return number, value, message[n:]
}

// appendBatch appends a LogBatch with events, whose bytes may be those of no event.
func appendBatch(b []byte, from *source, wires ...[]byte) []byte {
	if len(from.id) > 0 {
		b = protowire.AppendTag(b, batchID, protowire.BytesType)
		b = protowire.AppendBytes(b, from.id)
	}
	for _, wire := range wires {
		b = protowire.AppendTag(b, batchEvents, protowire.BytesType)
		b = protowire.AppendBytes(b, wire)
	}
	if from.tenant != "" {
		b = protowire.AppendTag(b, batchTenant, protowire.BytesType)
		b = protowire.AppendString(b, from.tenant)
	}
	if from.received > 0 {
		b = protowire.AppendTag(b, batchReceived, protowire.VarintType)
		b = protowire.AppendVarint(b, from.received)
	}
	return b
}
