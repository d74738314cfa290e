package collector

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

// service is a collector while it serves.
type service struct {
	*Collector

	// stopping is closed when streams should end.
	stopping <-chan struct{}
	// receivers are the goroutines that read streams. Each ends when its stream does.
	receivers sync.WaitGroup
}

// serviceDesc describes flywheel.v1.CollectorService as the generated code does,
// with handlers that take the bytes of requests.
func serviceDesc() *grpc.ServiceDesc {
	generated := &flywheelv1.CollectorService_ServiceDesc
	return &grpc.ServiceDesc{
		ServiceName: generated.ServiceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Collect",
			Handler:    handleCollect,
		}},
		Streams: []grpc.StreamDesc{{
			StreamName:    "CollectStream",
			Handler:       handleCollectStream,
			ServerStreams: true,
			ClientStreams: true,
		}},
		Metadata: generated.Metadata,
	}
}

//nolint:revive // the signature is that of grpc.MethodDesc
func handleCollect(srv any, ctx context.Context, receive func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	request := new(rawMessage)
	if err := receive(request); err != nil {
		return nil, err
	}
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: flywheelv1.CollectorService_Collect_FullMethodName}
	return intercept(ctx, request, info, func(ctx context.Context, _ any) (any, error) {
		return srv.(*service).collect(ctx, request)
	})
}

func handleCollectStream(srv any, stream grpc.ServerStream) error {
	return srv.(*service).collectStream(stream)
}

// collect answers one batch.
func (s *service) collect(ctx context.Context, request *rawMessage) (*flywheelv1.CollectResponse, error) {
	tenant, err := rpc.Tenant(ctx)
	if err != nil {
		request.buffer.Free()
		return nil, err
	}
	b := s.begin(tenant, trace.SpanFromContext(ctx), request.buffer) //nolint:contextcheck // a group is not published for one call alone
	defer s.release(b)
	for {
		next, ok := b.decided()
		if ok {
			break
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, gone(ctx).statusError()
		}
	}
	answer, refused := s.finish(b)
	if refused != nil {
		return nil, refused.statusError()
	}
	return answer, nil
}
