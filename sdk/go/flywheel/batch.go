package flywheel

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

const (
	// eventTag begins an event of a CollectStreamRequest: field 2, length-delimited.
	eventTag = 2<<3 | byte(protowire.BytesType)
	// headBytes is the size of the field before the events, the batch's id.
	headBytes = 2 + len(ID{})
)

// batch is an encoded CollectStreamRequest. Its bytes never change: a retry repeats
// them.
type batch struct {
	id     ID
	data   []byte
	events int
	// order is the position among all batches; what is split off keeps it.
	order uint64

	// attempts is how often it was sent, crashes how often the collector failed over
	// it alone, notBefore when it may be sent again.
	attempts, crashes int
	notBefore         time.Time
}

// newBatch makes a batch of encoded events, which it copies.
func newBatch(id ID, order uint64, events int, encoded ...[]byte) *batch {
	size := headBytes
	for _, e := range encoded {
		size += len(e)
	}
	data := make([]byte, 0, size)
	data = protowire.AppendTag(data, 1, protowire.BytesType)
	data = protowire.AppendBytes(data, id[:])
	for _, e := range encoded {
		data = append(data, e...)
	}
	return &batch{id: id, data: data, events: events, order: order}
}

// eventBytes is what the batch takes of the queue.
func (b *batch) eventBytes() int { return len(b.data) - headBytes }

// each gives the encoded events with their position.
func (b *batch) each() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		rest := b.data[headBytes:]
		for i := 0; len(rest) > 0; i++ {
			_, _, size := protowire.ConsumeField(rest)
			if size < 0 || !yield(i, rest[:size]) {
				return
			}
			rest = rest[size:]
		}
	}
}

// pick makes a batch, with an id of its own, of the events that keep chooses.
func (b *batch) pick(id ID, keep func(i int) bool) *batch {
	var chosen [][]byte
	for i, event := range b.each() {
		if keep(i) {
			chosen = append(chosen, event)
		}
	}
	part := newBatch(id, b.order, len(chosen), chosen...)
	part.attempts = b.attempts
	return part
}

// encodedSize is what an event of so many bytes takes in a batch.
func encodedSize(event int) int { return 1 + protowire.SizeBytes(event) }

// appendEvent appends an event, whose size is known, as it stands in a batch.
func appendEvent(buf []byte, e *flywheelv1.Event, size int) ([]byte, error) {
	start := len(buf)
	buf = append(buf, eventTag)
	buf = protowire.AppendVarint(buf, uint64(size))
	at := len(buf)
	buf = slices.Grow(buf, size)[:at+size]
	if _, err := e.MarshalToSizedBufferVT(buf[at:]); err != nil {
		return buf[:start], fmt.Errorf("encode event: %w", err)
	}
	return buf, nil
}

// codec sends batches as they are and decodes answers.
type codec struct{}

// Name is that of the codec for protobuf, which the bytes are.
func (codec) Name() string { return "proto" }

// Marshal implements [encoding.CodecV2] for batches.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*batch)
	if !ok {
		return nil, fmt.Errorf("encode %T: a batch is needed", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b.data)}, nil
}

// Unmarshal implements [encoding.CodecV2] for answers.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	answer, ok := v.(*flywheelv1.CollectStreamResponse)
	if !ok {
		return fmt.Errorf("decode %T: an answer is needed", v)
	}
	return answer.UnmarshalVT(data.Materialize())
}
