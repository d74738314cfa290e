package flywheel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// sink is a collector that takes everything and decodes nothing but ids, so that
// benchmarks measure the client.
type sink struct {
	flywheelv1.UnimplementedCollectorServiceServer

	listener *bufconn.Listener
}

// serve serves until the benchmark ends.
func (s *sink) serve(b *testing.B) {
	s.listener = bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.ForceServerCodecV2(idCodec{}))
	flywheelv1.RegisterCollectorServiceServer(server, s)
	served := make(chan struct{})
	go serve(server, s.listener, served)
	b.Cleanup(func() {
		server.Stop()
		<-served
	})
}

func (s *sink) dial(ctx context.Context, _ string) (net.Conn, error) {
	return s.listener.DialContext(ctx)
}

func (s *sink) CollectStream(stream grpc.BidiStreamingServer[flywheelv1.CollectStreamRequest, flywheelv1.CollectStreamResponse]) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&flywheelv1.CollectStreamResponse{BatchId: req.GetBatchId()}); err != nil {
			return err
		}
	}
}

// idCodec reads only the batch_id, which is the first field.
type idCodec struct{}

func (idCodec) Name() string { return "proto" }

func (idCodec) Marshal(v any) (mem.BufferSlice, error) {
	data, err := proto.Marshal(v.(proto.Message))
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

func (idCodec) Unmarshal(data mem.BufferSlice, v any) error {
	head := make([]byte, 18)
	data.CopyTo(head)
	id, size := protowire.ConsumeBytes(head[1:])
	if size < 0 {
		return protowire.ParseError(size)
	}
	v.(*flywheelv1.CollectStreamRequest).BatchId = id
	return nil
}
