package telemetry_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReady(t *testing.T) {
	t.Parallel()
	tele := telemetry.New("v1")
	var away atomic.Bool
	tele.Needs("log", func(context.Context) error { return nil })
	tele.Needs("store", func(context.Context) error {
		if away.Load() {
			return errors.New("gone fishing")
		}
		return nil
	})
	ask := func() (int, string) {
		answer := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody)
		tele.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(answer, req)
		return answer.Code, answer.Body.String()
	}
	if code, body := ask(); code != http.StatusOK || body != "log: ready\nstore: ready\n" {
		t.Errorf("all ready: %d %q", code, body)
	}
	away.Store(true)
	if code, body := ask(); code != http.StatusServiceUnavailable || body != "log: ready\nstore: not ready: gone fishing\n" {
		t.Errorf("store away: %d %q", code, body)
	}
	err := testutil.GatherAndCompare(tele.Gatherer(), strings.NewReader(`
# HELP flywheel_dependency_ready 1 when what the process needs answers, else 0.
# TYPE flywheel_dependency_ready gauge
flywheel_dependency_ready{dependency="log"} 1
flywheel_dependency_ready{dependency="store"} 0
`), "flywheel_dependency_ready")
	if err != nil {
		t.Error(err)
	}
}

// calls answers health checks: of "wrong" with an error, of "panic" not at all.
type calls struct {
	healthpb.UnimplementedHealthServer
}

func (calls) Check(_ context.Context, req *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	switch req.GetService() {
	case "wrong":
		return nil, status.Error(codes.NotFound, "no such service")
	case "panic":
		panic("a defect")
	}
	return &healthpb.HealthCheckResponse{}, nil
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	tele := telemetry.New("v1")
	srv := rpc.NewServer(slog.New(slog.DiscardHandler), tele.WatchCalls()...)
	healthpb.RegisterHealthServer(srv, calls{})
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client := healthpb.NewHealthClient(conn)
	for _, service := range []string{"", "", "wrong", "panic"} {
		_, _ = client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	srv.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	err = testutil.GatherAndCompare(tele.Gatherer(), strings.NewReader(`
# HELP flywheel_rpc_handled_total gRPC calls that ended, by their status code.
# TYPE flywheel_rpc_handled_total counter
flywheel_rpc_handled_total{code="Internal",method="/grpc.health.v1.Health/Check"} 1
flywheel_rpc_handled_total{code="NotFound",method="/grpc.health.v1.Health/Check"} 1
flywheel_rpc_handled_total{code="OK",method="/grpc.health.v1.Health/Check"} 2
# HELP flywheel_rpc_in_flight gRPC calls, streams included, that have not ended.
# TYPE flywheel_rpc_in_flight gauge
flywheel_rpc_in_flight{method="/grpc.health.v1.Health/Check"} 0
`), "flywheel_rpc_handled_total", "flywheel_rpc_in_flight")
	if err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(tele.Gatherer()); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}
