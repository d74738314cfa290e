package collector

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress their batches
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// rawMessage receives the bytes of a request as they came. The receiver owns the
// buffer and frees it once.
type rawMessage struct {
	buffer mem.Buffer
}

// response is a message with generated code that marshals it in place.
type response interface {
	SizeVT() int
	MarshalToSizedBufferVT(b []byte) (int, error)
}

// codec gives requests for a rawMessage without decoding them, and without a copy
// when they came in one buffer. Responses are marshalled into pooled buffers. All
// else on the server, health and reflection, goes through the standard codec.
type codec struct {
	standard encoding.CodecV2
	pool     mem.BufferPool
}

func newCodec(pool mem.BufferPool) codec {
	return codec{standard: encoding.GetCodecV2(proto.Name), pool: pool}
}

// Name is the name of the standard codec: the wire format is the same.
func (c codec) Name() string { return proto.Name }

// Unmarshal gives data to a rawMessage, or decodes it into a protobuf message.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if raw, ok := v.(*rawMessage); ok {
		raw.buffer = data.MaterializeToBuffer(c.pool)
		return nil
	}
	return c.standard.Unmarshal(data, v)
}

// Marshal encodes a response of the collector, or any protobuf message.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(response)
	if !ok {
		return c.standard.Marshal(v)
	}
	b := c.pool.Get(message.SizeVT())
	if _, err := message.MarshalToSizedBufferVT(*b); err != nil {
		c.pool.Put(b)
		return nil, fmt.Errorf("encode response: %w", err)
	}
	return mem.BufferSlice{mem.NewBuffer(b, c.pool)}, nil
}
