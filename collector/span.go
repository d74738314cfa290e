package collector

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// maxSpanLinks bounds how many batches the span of a group names. OpenTelemetry's SDK
// keeps as many unless told otherwise.
const maxSpanLinks = 128

// beginSpan begins the span of a batch that came on a stream. It is the root of a
// trace, because a stream may go on for days, and has a link to the stream's span.
func (c *Collector) beginSpan(stream context.Context) trace.Span {
	if c.cfg.Tracer == nil {
		return noop.Span{}
	}
	_, span := c.cfg.Tracer.Start(stream, "collect batch", trace.WithNewRoot(),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithLinks(trace.LinkFromContext(stream)))
	return span
}

// noteAnswer says on the span of a batch what came of it.
func noteAnswer(span trace.Span, answer *flywheelv1.CollectResponse, refused *refusal) {
	switch {
	case !span.IsRecording():
	case refused != nil:
		span.SetAttributes(attribute.String("flywheel.refused", refused.reason()))
	default:
		span.SetAttributes(
			attribute.Int("flywheel.events.accepted", int(answer.GetAccepted())),
			attribute.Int("flywheel.events.rejected", len(answer.GetRejected())))
	}
}

// addSpan notes the span of a batch that a group has a part of, if it is sampled.
func (g *group) addSpan(span trace.SpanContext) {
	if span.IsSampled() && len(g.links) < maxSpanLinks {
		g.links = append(g.links, trace.Link{SpanContext: span})
	}
}

// beginSpan begins the span of publishing a group of which some batch is traced: a
// child of the first one's span, with links to those of all.
func (c *committer) beginSpan(ctx context.Context, g *group) (context.Context, trace.Span) {
	if c.tracer == nil || len(g.links) == 0 {
		return ctx, noop.Span{}
	}
	return c.tracer.Start(trace.ContextWithSpanContext(ctx, g.links[0].SpanContext), "publish "+c.lane.String(),
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithLinks(g.links...),
		trace.WithAttributes(attribute.String("flywheel.lane", c.lane.String()), attribute.Int("flywheel.bytes", len(g.record))))
}

// endSpan ends a span with what came of it.
func endSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
