package eventlog

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// spanHeader returns the headers of W3C Trace Context that carry the span of ctx to
// whoever reads the record, nil when there is no span or it is not sampled.
func spanHeader(ctx context.Context) nats.Header {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	header := nats.Header{}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
	return header
}

// Span is the span in which the record was published. It is not valid when there was
// none or it was not sampled.
func (m *Message) Span() trace.SpanContext {
	header := m.msg.Headers()
	if len(header) == 0 {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(header)))
}
