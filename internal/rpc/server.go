package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

// Transport settings. The buffers hold several HTTP/2 frames, so that a batch of
// events costs few system calls; a client may ping an idle connection every
// clientPingInterval without being cut off.
const (
	bufferBytes        = 64 << 10
	clientPingInterval = 10 * time.Second
	serverPingInterval = time.Minute
	serverPingTimeout  = 20 * time.Second
	maxStreamsPerConn  = 1024
)

// ErrGraceEnded is returned by [Serve] when the calls in hand did not end within
// the grace period and were cut off. Their clients saw UNAVAILABLE.
var ErrGraceEnded = errors.New("the grace period ended with calls still in hand")

// NewServer returns a server with Flywheel's transport settings, whose handlers
// may panic without harm to others: the call ends with INTERNAL and the panic is
// logged with its stack. Later options win over the settings; interceptors among
// them run inside the recovery. Register services on it, then call [Serve].
func NewServer(log *slog.Logger, opts ...grpc.ServerOption) *grpc.Server {
	r := recoverer{log: log}
	settings := []grpc.ServerOption{
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPingInterval, Timeout: serverPingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             clientPingInterval,
			PermitWithoutStream: true,
		}),
		grpc.MaxConcurrentStreams(maxStreamsPerConn),
		grpc.ReadBufferSize(bufferBytes),
		grpc.WriteBufferSize(bufferBytes),
		grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))),
		grpc.WaitForHandlers(true),
		grpc.ChainUnaryInterceptor(r.unary),
		grpc.ChainStreamInterceptor(r.stream),
	}
	return grpc.NewServer(append(settings, opts...)...)
}

// Serve registers the health and reflection services and serves until ctx ends.
// It takes ownership of lis and must be called once per server.
//
// While it serves, health reports SERVING for "" and for each registered service.
// When ctx ends, health reports NOT_SERVING, no more connections and calls are
// taken, and the calls in hand get up to grace to end. The result is nil after
// such a stop, [ErrGraceEnded] when calls had to be cut off, and an error when
// the listener failed.
func Serve(ctx context.Context, srv *grpc.Server, lis net.Listener, grace time.Duration) error {
	health := newHealth()
	healthpb.RegisterHealthServer(srv, health)
	reflection.RegisterV1(srv)
	health.serve(srv)

	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(lis) }()
	select {
	case err := <-failed:
		health.stop()
		srv.Stop()
		return fmt.Errorf("serve %s: %w", lis.Addr(), err)
	case <-ctx.Done():
	}
	health.stop()
	err := stopWithin(srv, grace)
	if served := <-failed; served != nil && !errors.Is(served, grpc.ErrServerStopped) {
		err = errors.Join(err, fmt.Errorf("serve %s: %w", lis.Addr(), served))
	}
	return err
}

// stopWithin lets the calls in hand end, and cuts them off after grace.
func stopWithin(srv *grpc.Server, grace time.Duration) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		srv.GracefulStop()
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-stopped:
		return nil
	case <-timer.C:
		srv.Stop()
		<-stopped
		return fmt.Errorf("stop server after %s: %w", grace, ErrGraceEnded)
	}
}
