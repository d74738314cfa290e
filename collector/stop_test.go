package collector

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
)

// ledger holds the events that were acknowledged.
type ledger struct {
	mu     sync.Mutex
	acked  map[string]*flywheelv1.Event
	enough chan struct{} // closed when there are many
}

func (l *ledger) note(events []*flywheelv1.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.acked)
	for _, e := range events {
		l.acked[string(e.GetEventId())] = e
	}
	if before < 5000 && len(l.acked) >= 5000 {
		close(l.enough)
	}
}

// TestStopUnderLoadLosesNothing stops the collector while streams and single calls
// keep sending: every acknowledged event is in the log as it was sent, every
// stream ends cleanly.
func TestStopUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	log := openLog(t, nil)
	c := serve(t, log, nil)
	l := &ledger{acked: make(map[string]*flywheelv1.Event), enough: make(chan struct{})}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() { streamUntilStopped(t, c, l) })
		clients.Go(func() { collectUntilStopped(t, c, l) })
	}
	<-l.enough
	if err := c.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	clients.Wait()

	found := make(map[string]*flywheelv1.Event)
	for _, b := range slices.Concat(readLog(t, log, eventlog.Outcome), readLog(t, log, eventlog.Trace)) {
		for _, e := range b.batch.GetEvents() {
			found[string(e.GetEventId())] = e
		}
	}
	for id, e := range l.acked {
		if !proto.Equal(found[id], e) {
			t.Fatalf("the acknowledged event %x is in the log as %v", id, found[id])
		}
	}
	if got := c.Stats().Accepted; got < uint64(len(l.acked)) {
		t.Errorf("%d events counted, %d acknowledged", got, len(l.acked))
	}
	t.Logf("%d events acknowledged, %d in the log", len(l.acked), len(found))
}

func load(i int) []*flywheelv1.Event {
	return append(many(i%20+1, shown), many(i%3, edit)...)
}

// streamUntilStopped sends ahead of the answers until the stream ends.
func streamUntilStopped(t *testing.T, c *running, l *ledger) {
	stream := c.openStream(t)
	sent := make(chan []*flywheelv1.Event, 1000)
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := 0; ; i++ {
			events := load(i)
			sent <- events
			if stream.Send(streamRequest(events...)) != nil {
				close(sent)
				return
			}
		}
	})
	defer sender.Wait()
	for {
		answer, err := stream.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("the stream ended with %v, want a clean end", err)
			}
			for range sent {
				continue
			}
			return
		}
		events := <-sent
		if int(answer.GetAccepted()) != len(events) {
			t.Errorf("answer %v to %d events", answer, len(events))
		}
		l.note(events)
	}
}

// collectUntilStopped sends batch after batch until the collector is gone.
func collectUntilStopped(t *testing.T, c *running, l *ledger) {
	for i := 0; ; i++ {
		events := load(i)
		_, err := c.client.Collect(t.Context(), request(events...))
		if err != nil {
			if status.Code(err) != codes.Unavailable {
				t.Errorf("Collect: %v", err)
			}
			return
		}
		l.note(events)
	}
}

// TestStopAnswersWhatIsInHand: the stop waits for the log.
func TestStopAnswersWhatIsInHand(t *testing.T) {
	t.Parallel()
	log := newGate(openLog(t, nil))
	c := serve(t, log, nil)
	stream := c.openStream(t)
	if err := stream.Send(streamRequest(shown(time.Now()))); err != nil {
		t.Fatal(err)
	}
	<-log.entered
	stopped := make(chan error, 1)
	go func() { stopped <- c.stop() }()
	log.open()
	if answers := receiveAll(t, stream); len(answers) != 1 || answers[0].GetAccepted() != 1 {
		t.Errorf("got %v, want the answer and a clean end", answers)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestStopDoesNotWaitForIdleStreams: a stream that sends nothing ends at once.
func TestStopDoesNotWaitForIdleStreams(t *testing.T) {
	t.Parallel()
	c := serve(t, openLog(t, nil), func(cfg *Config) { cfg.StopGrace = time.Hour })
	stream := c.openStream(t)
	if err := stream.Send(streamRequest(shown(time.Now()))); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := c.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if answers := receiveAll(t, stream); len(answers) != 0 {
		t.Errorf("got %v, want a clean end", answers)
	}
}

func TestServerDescribesItself(t *testing.T) {
	t.Parallel()
	c := serve(t, openLog(t, nil), nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	health, err := healthpb.NewHealthClient(c.conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "flywheel.v1.CollectorService"})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
	stream, err := reflectionpb.NewServerReflectionClient(c.conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	list := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	var names []string
	for _, s := range list.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	want := []string{"flywheel.v1.CollectorService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"}
	if !slices.Equal(names, want) {
		t.Errorf("services %v, want %v", names, want)
	}
	files := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
		FileContainingSymbol: "flywheel.v1.CollectorService.CollectStream",
	}}).GetFileDescriptorResponse().GetFileDescriptorProto()
	file := &descriptorpb.FileDescriptorProto{}
	if len(files) == 0 || proto.Unmarshal(files[0], file) != nil || file.GetName() != "flywheel/v1/collector.proto" {
		t.Errorf("the file of the service is %q", file.GetName())
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}
