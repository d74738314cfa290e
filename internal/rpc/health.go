package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// healthServer is the standard health service, except that its watches end when
// the server stops: a watch has no end of its own and would hold up the stop for
// the whole grace period.
type healthServer struct {
	*health.Server
	stopping chan struct{}
}

func newHealth() *healthServer {
	return &healthServer{Server: health.NewServer(), stopping: make(chan struct{})}
}

// serve reports SERVING for each service that srv has.
func (h *healthServer) serve(srv *grpc.Server) {
	for service := range srv.GetServiceInfo() {
		h.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
	}
}

// stop reports NOT_SERVING for every service and ends the watches.
func (h *healthServer) stop() {
	h.Shutdown()
	close(h.stopping)
}

// Watch reports the status of a service and its changes until the client or the
// server stops. A client takes either as not serving.
func (h *healthServer) Watch(req *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	watched := make(chan struct{})
	defer func() {
		cancel()
		<-watched
	}()
	go func() {
		defer close(watched)
		select {
		case <-h.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := h.Server.Watch(req, &watchStream{ServerStreamingServer: stream, ctx: ctx})
	if stream.Context().Err() == nil && ctx.Err() != nil {
		return status.Error(codes.Unavailable, "the server is stopping: watch again on another connection")
	}
	return err
}

// watchStream is a watch whose context ends with the server.
type watchStream struct {
	grpc.ServerStreamingServer[healthpb.HealthCheckResponse]

	ctx context.Context //nolint:containedctx // it is the stream's context
}

// Context ends when the client or the server stops.
func (s *watchStream) Context() context.Context { return s.ctx }
