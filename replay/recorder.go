package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// pipeBytes is how much may be under way between an SDK and a recorder.
const pipeBytes = 1 << 20

// recorder is a collector in memory: it keeps what an SDK sends to it, once each.
type recorder struct {
	flywheelv1.UnimplementedCollectorServiceServer

	listener *bufconn.Listener
	server   *grpc.Server
	served   chan error

	mu     sync.Mutex
	events []*flywheelv1.Event
}

// newRecorder starts a recorder; the caller must close it.
func newRecorder() *recorder {
	r := &recorder{listener: bufconn.Listen(pipeBytes), server: grpc.NewServer(), served: make(chan error, 1)}
	flywheelv1.RegisterCollectorServiceServer(r.server, r)
	go func() { r.served <- r.server.Serve(r.listener) }()
	return r
}

// dialOption makes an SDK send to the recorder.
func (r *recorder) dialOption() grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return r.listener.DialContext(ctx)
	})
}

// close ends the recorder once what is under way has been answered.
func (r *recorder) close() error {
	r.server.GracefulStop()
	if err := <-r.served; err != nil {
		return fmt.Errorf("serve recorder: %w", err)
	}
	return nil
}

// take returns the events in the order of their ids, each once, whatever the order
// and the number of times in which they came.
func (r *recorder) take() []*flywheelv1.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.events, func(a, b *flywheelv1.Event) int {
		return bytes.Compare(a.GetEventId(), b.GetEventId())
	})
	return slices.CompactFunc(r.events, func(a, b *flywheelv1.Event) bool {
		return bytes.Equal(a.GetEventId(), b.GetEventId())
	})
}

func (r *recorder) keep(events []*flywheelv1.Event) uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, event := range events {
		r.events = append(r.events, proto.CloneOf(event))
	}
	return uint32(len(events))
}

// Collect implements [flywheelv1.CollectorServiceServer].
func (r *recorder) Collect(_ context.Context, req *flywheelv1.CollectRequest) (*flywheelv1.CollectResponse, error) {
	return &flywheelv1.CollectResponse{BatchId: req.GetBatchId(), Accepted: r.keep(req.GetEvents())}, nil
}

// CollectStream implements [flywheelv1.CollectorServiceServer].
func (r *recorder) CollectStream(stream grpc.BidiStreamingServer[flywheelv1.CollectStreamRequest, flywheelv1.CollectStreamResponse]) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer := &flywheelv1.CollectStreamResponse{BatchId: req.GetBatchId(), Accepted: r.keep(req.GetEvents())}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}
