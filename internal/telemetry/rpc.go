package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// rpcMetrics counts the calls of gRPC servers. A stream is one call, however many
// messages it has: nothing is counted per message.
type rpcMetrics struct {
	handled  *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
	took     *prometheus.HistogramVec
}

// WatchCalls registers metrics of gRPC calls and returns the options of the servers
// that have them.
func (t *Telemetry) WatchCalls() []grpc.ServerOption {
	m := &rpcMetrics{
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: Namespace, Name: "rpc_handled_total", Help: "gRPC calls that ended, by their status code.",
		}, []string{"method", "code"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: Namespace, Name: "rpc_in_flight", Help: "gRPC calls, streams included, that have not ended.",
		}, []string{"method"}),
		took: t.NewHistogram("rpc_duration_seconds", "How long gRPC calls that are no streams took.", "method", "code"),
	}
	t.Register(m.handled, m.inFlight)
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(m.unary), grpc.ChainStreamInterceptor(m.stream)}
}

func (m *rpcMetrics) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
	began, code := time.Now(), codes.Internal // of a panic
	m.inFlight.WithLabelValues(info.FullMethod).Inc()
	defer func() {
		m.ended(info.FullMethod, code)
		m.took.WithLabelValues(info.FullMethod, code.String()).Observe(time.Since(began).Seconds())
	}()
	answer, err = handler(ctx, req)
	code = status.Code(err)
	return answer, err
}

func (m *rpcMetrics) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	code := codes.Internal // of a panic
	m.inFlight.WithLabelValues(info.FullMethod).Inc()
	defer func() { m.ended(info.FullMethod, code) }()
	err := handler(srv, stream)
	code = status.Code(err)
	return err
}

func (m *rpcMetrics) ended(method string, code codes.Code) {
	m.inFlight.WithLabelValues(method).Dec()
	m.handled.WithLabelValues(method, code.String()).Inc()
}
