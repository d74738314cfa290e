package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// receiver takes spans as a collector of OpenTelemetry does.
type receiver struct {
	collectorpb.UnimplementedTraceServiceServer

	address string
	mu      sync.Mutex
	spans   []*tracepb.Span
	// services are the names that the processes gave themselves.
	services map[string]bool
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{address: lis.Addr().String(), services: map[string]bool{}}
	srv := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(srv, r)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(lis); err != nil {
			t.Errorf("receiver: %v", err)
		}
	})
	t.Cleanup(func() {
		srv.Stop()
		serving.Wait()
	})
	return r
}

// Export implements the OTLP service.
func (r *receiver) Export(_ context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range req.GetResourceSpans() {
		for _, attribute := range resource.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				r.services[attribute.GetValue().GetStringValue()] = true
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// only is the one span with that name of which a condition holds.
func (r *receiver) only(t *testing.T, name string, holds func(*tracepb.Span) bool) *tracepb.Span {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*tracepb.Span
	for _, span := range r.spans {
		if span.GetName() == name && holds(span) {
			found = append(found, span)
		}
	}
	if len(found) != 1 {
		var names []string
		for _, span := range r.spans {
			names = append(names, span.GetName())
		}
		t.Fatalf("%d spans %q, want 1, among %q", len(found), name, names)
	}
	return found[0]
}

// childOf holds of the children of a span in its trace.
func childOf(parent *tracepb.Span) func(*tracepb.Span) bool {
	return func(s *tracepb.Span) bool {
		return bytes.Equal(s.GetParentSpanId(), parent.GetSpanId()) && bytes.Equal(s.GetTraceId(), parent.GetTraceId())
	}
}

// linkedTo holds of the spans with a link to a span.
func linkedTo(other *tracepb.Span) func(*tracepb.Span) bool {
	return func(s *tracepb.Span) bool {
		return slices.ContainsFunc(s.GetLinks(), func(l *tracepb.Span_Link) bool {
			return bytes.Equal(l.GetSpanId(), other.GetSpanId()) && bytes.Equal(l.GetTraceId(), other.GetTraceId())
		})
	}
}

// followStored checks that a batch's span goes on into the log, the processor and
// ClickHouse.
func (r *receiver) followStored(t *testing.T, batch *tracepb.Span) {
	t.Helper()
	publish := r.only(t, "publish outcome", childOf(batch))
	flush := r.only(t, "flush outcome", childOf(publish))
	if !linkedTo(batch)(publish) || !linkedTo(publish)(flush) {
		t.Errorf("no links: %v, %v", publish, flush)
	}
	for _, table := range []string{"interactions", "bucket_touches"} {
		insert := r.only(t, "insert "+table, childOf(flush))
		if insert.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR || insert.GetKind() != tracepb.Span_SPAN_KIND_CLIENT {
			t.Errorf("%v", insert)
		}
	}
}

func newID(t *testing.T) []byte {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id[:]
}

// aShownEvent is the smallest event that has an interaction.
func aShownEvent(t *testing.T) *flywheelv1.Event {
	t.Helper()
	return &flywheelv1.Event{
		EventId: newID(t), TimeUnixUs: time.Now().UnixMicro(), SessionId: newID(t), OpportunityId: newID(t), InteractionId: newID(t),
		Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: &flywheelv1.Dimensions{
			Surface: flywheelv1.Surface_SURFACE_INLINE_COMPLETION, Model: "m",
		}}},
	}
}

// TestTracesReachClickHouse follows a batch of a call and one of a stream from the
// client's span to the inserts, and one that the client does not want traced to nowhere.
func TestTracesReachClickHouse(t *testing.T) {
	t.Parallel()
	spans := newReceiver(t)
	events, queries := freeAddresses(t)
	u := startUp(t, t.TempDir(), events, queries, "--otlp-endpoint", "http://"+spans.address)
	conn, err := grpc.NewClient(u.collector, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := flywheelv1.NewCollectorServiceClient(conn)
	const traceID, parentID, unsampledID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "1af7651916cd43dd8448eb211c80319c"
	for _, parent := range []string{"00-" + traceID + "-" + parentID + "-01", "00-" + unsampledID + "-" + parentID + "-00"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", parent)
		if _, err := client.Collect(ctx, &flywheelv1.CollectRequest{BatchId: newID(t), Events: []*flywheelv1.Event{aShownEvent(t)}}); err != nil {
			t.Fatal(err)
		}
	}
	u.drained(t) // so that the next record is not stored together with these
	stream, err := client.CollectStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&flywheelv1.CollectStreamRequest{BatchId: newID(t), Events: []*flywheelv1.Event{aShownEvent(t)}}); err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); err != nil || answer.GetAccepted() != 1 {
		t.Fatal(answer, err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	u.drained(t)
	u.stop(t) // sends the spans that are left

	call := spans.only(t, "flywheel.v1.CollectorService/Collect", func(s *tracepb.Span) bool {
		return hex.EncodeToString(s.GetTraceId()) == traceID && hex.EncodeToString(s.GetParentSpanId()) == parentID
	})
	spans.followStored(t, call)
	streamed := spans.only(t, "flywheel.v1.CollectorService/CollectStream", func(s *tracepb.Span) bool { return len(s.GetParentSpanId()) == 0 })
	batch := spans.only(t, "collect batch", linkedTo(streamed))
	if len(batch.GetParentSpanId()) != 0 {
		t.Errorf("the batch of a stream is no root: %v", batch)
	}
	spans.followStored(t, batch)
	for _, span := range spans.spans {
		if hex.EncodeToString(span.GetTraceId()) == unsampledID {
			t.Errorf("a span of a trace that is not sampled: %v", span)
		}
	}
	if !spans.services["flywheel"] || len(spans.services) != 1 {
		t.Errorf("services %v", spans.services)
	}
}

// TestTracingWithoutReceiver: a receiver that is away harms nothing.
func TestTracingWithoutReceiver(t *testing.T) {
	t.Parallel()
	events, queries := freeAddresses(t)
	nobody, _ := freeAddresses(t)
	u := startUp(t, t.TempDir(), events, queries, "--otlp-endpoint", "http://"+nobody)
	succeed(t, u.replayArgs("acme")...)
	u.stop(t)
	if !strings.Contains(u.out.String(), "lost spans") {
		t.Errorf("lost spans are not reported:\n%s", u.out)
	}
}
