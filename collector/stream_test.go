package collector

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
)

type collectStream = grpc.BidiStreamingClient[flywheelv1.CollectStreamRequest, flywheelv1.CollectStreamResponse]

func (r *running) openStream(tb testing.TB) collectStream {
	tb.Helper()
	stream, err := r.client.CollectStream(tb.Context())
	if err != nil {
		tb.Fatalf("CollectStream: %v", err)
	}
	return stream
}

func streamRequest(events ...*flywheelv1.Event) *flywheelv1.CollectStreamRequest {
	return &flywheelv1.CollectStreamRequest{BatchId: newID(time.Now()), Events: events}
}

// receiveAll receives answers until the stream ends.
func receiveAll(tb testing.TB, stream collectStream) []*flywheelv1.CollectStreamResponse {
	tb.Helper()
	var answers []*flywheelv1.CollectStreamResponse
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return answers
		}
		if err != nil {
			tb.Fatalf("receive: %v", err)
		}
		answers = append(answers, answer)
	}
}

// TestStreamAnswersInOrder sends many more batches than may be under way at once,
// of all sizes and some of them wrong, and only then reads the answers.
func TestStreamAnswersInOrder(t *testing.T) {
	t.Parallel()
	log := openLog(t, nil)
	c := serve(t, log, func(cfg *Config) { cfg.MaxStreamBatches = 8 })
	stream := c.openStream(t)
	var requests []*flywheelv1.CollectStreamRequest
	for i := range 300 {
		r := streamRequest(many(i%50, shown)...)
		switch i % 7 {
		case 3:
			r.Events = append(r.Events, edit(time.Now()))
		case 4:
			r.Events = append(r.Events, event(time.Now()))
		case 5:
			r.BatchId = r.GetBatchId()[:15]
		}
		requests = append(requests, r)
		if err := stream.Send(r); err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatalf("close: %v", err)
	}
	answers := receiveAll(t, stream)
	if len(answers) != len(requests) {
		t.Fatalf("%d answers to %d batches", len(answers), len(requests))
	}
	var accepted int
	for i, answer := range answers {
		if i%7 == 5 || len(requests[i].GetEvents()) == 0 {
			if got := answer.GetError(); codes.Code(got.GetCode()) != codes.InvalidArgument || got.GetMessage() == "" || answer.GetAccepted() != 0 {
				t.Errorf("answer %d is %v, want INVALID_ARGUMENT", i, answer)
			}
			continue
		}
		if !bytes.Equal(answer.GetBatchId(), requests[i].GetBatchId()) || answer.GetError() != nil {
			t.Fatalf("answer %d is %v, want batch %x", i, answer, requests[i].GetBatchId())
		}
		if got := int(answer.GetAccepted()) + len(answer.GetRejected()); got != len(requests[i].GetEvents()) {
			t.Errorf("answer %d is about %d events, want %d", i, got, len(requests[i].GetEvents()))
		}
		accepted += int(answer.GetAccepted())
	}
	ids := eventIDs(slices.Concat(readLog(t, log, eventlog.Outcome), readLog(t, log, eventlog.Trace)))
	if len(ids) != accepted {
		t.Errorf("%d events are in the log, %d were acknowledged", len(ids), accepted)
	}
}

// TestStreamOutlivesARefusedBatch: a batch that is a little too large is answered,
// and the stream goes on.
func TestStreamOutlivesARefusedBatch(t *testing.T) {
	t.Parallel()
	c := serve(t, openLog(t, nil), func(cfg *Config) {
		cfg.MaxContentBytes, cfg.MaxEventBytes, cfg.MaxBatchBytes = 1<<10, 10<<10, 10<<10
	})
	stream := c.openStream(t)
	for _, r := range []*flywheelv1.CollectStreamRequest{streamRequest(many(80, shown)...), streamRequest(many(1, shown)...)} {
		if err := stream.Send(r); err != nil {
			t.Fatalf("send: %v", err)
		}
		answer, err := stream.Recv()
		if err != nil || !bytes.Equal(answer.GetBatchId(), r.GetBatchId()) {
			t.Fatalf("got %v, %v; want an answer to %x", answer, err, r.GetBatchId())
		}
		if refused := answer.GetError() != nil; refused != (len(r.GetEvents()) == 80) {
			t.Errorf("%d events: got %v", len(r.GetEvents()), answer)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	receiveAll(t, stream)
}

// TestStreamReadsAheadOnlySoFar: with the log standing still, a stream takes up to
// MaxStreamBatches batches, and answers none before the log does.
func TestStreamReadsAheadOnlySoFar(t *testing.T) {
	t.Parallel()
	log := newGate(openLog(t, nil))
	c := serve(t, log, func(cfg *Config) { cfg.MaxStreamBatches = 4 })
	stream := c.openStream(t)
	const batches = 40
	for range batches {
		if err := stream.Send(streamRequest(many(3, shown)...)); err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	<-log.entered
	if got := c.Stats().Batches; got != 0 {
		t.Errorf("%d batches were answered before the log answered", got)
	}
	log.open()
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if got := len(receiveAll(t, stream)); got != batches {
		t.Errorf("%d answers to %d batches", got, batches)
	}
	if got := c.Stats(); got.Groups < batches/5 {
		t.Errorf("%d batches went into %d groups: more were under way than allowed", batches, got.Groups)
	}
}
