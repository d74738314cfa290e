package processor

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/yirifi/flywheel/internal/warehouse"
)

// maxSpanLinks bounds how many records the span of a flush names. OpenTelemetry's SDK
// keeps as many unless told otherwise.
const maxSpanLinks = 128

// beginSpan begins the span of storing a batch of which some record is traced: a child
// of the span that published the first such record, with links to those of all.
func (w *writer) beginSpan(ctx context.Context, b *batch) (context.Context, trace.Span) {
	if w.p.cfg.Tracer == nil {
		return ctx, noop.Span{}
	}
	var links []trace.Link
	for _, record := range b.records {
		if span := record.Span(); span.IsSampled() && len(links) < maxSpanLinks {
			links = append(links, trace.Link{SpanContext: span})
		}
	}
	if len(links) == 0 {
		return ctx, noop.Span{}
	}
	return w.p.cfg.Tracer.Start(trace.ContextWithRemoteSpanContext(ctx, links[0].SpanContext), "flush "+w.which.String(),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...),
		trace.WithAttributes(
			attribute.String("flywheel.lane", w.which.String()), attribute.Int("flywheel.records", len(b.records)),
			attribute.Int("flywheel.bytes", b.bytes), attribute.Int("flywheel.rows", b.rows.Rows())))
}

// beginInsertSpan begins the span of one attempt to insert rows, within a flush that is
// traced. ClickHouse is told of it.
func (w *writer) beginInsertSpan(ctx context.Context, table string, columns warehouse.Columns) (context.Context, trace.Span) {
	if columns.Len() == 0 || !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, noop.Span{}
	}
	return w.p.cfg.Tracer.Start(ctx, "insert "+table, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "clickhouse"), attribute.String("db.operation.name", "INSERT"),
			attribute.String("db.collection.name", table), attribute.Int("flywheel.rows", columns.Len())))
}

// endSpan ends a span with what came of it.
func endSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
