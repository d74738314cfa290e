package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/yirifi/flywheel/internal/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const serviceName = "flywheel.test.Service"

// behaviour is what the test service does with a call.
type behaviour func(ctx context.Context) error

// describe returns a service whose one unary method and one stream run b.
func describe(b behaviour) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Unary",
			Handler: func(srv any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
				in := new(emptypb.Empty)
				if err := dec(in); err != nil {
					return nil, err
				}
				run := func(ctx context.Context, _ any) (any, error) { return in, b(ctx) }
				return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/" + serviceName + "/Unary"}, run)
			},
		}},
		Streams: []grpc.StreamDesc{{
			StreamName:    "Stream",
			Handler:       func(_ any, stream grpc.ServerStream) error { return b(stream.Context()) },
			ServerStreams: true,
			ClientStreams: true,
		}},
	}
}

// server runs b behind rpc.Serve and returns a connection, the function that
// stops the server and gives Serve's result, and the log.
func server(t *testing.T, grace time.Duration, b behaviour) (conn *grpc.ClientConn, stop func() error, log *bytes.Buffer) {
	t.Helper()
	log = new(bytes.Buffer)
	srv := rpc.NewServer(slog.New(slog.NewTextHandler(log, nil)))
	srv.RegisterService(describe(b), struct{}{})
	lis := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(ctx, srv, lis, grace) }()
	conn, err := grpc.NewClient("passthrough:///test",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	result := func() error {
		cancel()
		err := <-served
		served <- err
		return err
	}
	t.Cleanup(func() {
		_ = result()
		if err := conn.Close(); err != nil {
			t.Errorf("close connection: %v", err)
		}
	})
	return conn, result, log
}

func callUnary(ctx context.Context, conn *grpc.ClientConn) error {
	return conn.Invoke(ctx, "/"+serviceName+"/Unary", &emptypb.Empty{}, &emptypb.Empty{})
}

func callStream(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+serviceName+"/Stream")
	if err != nil {
		return err
	}
	return stream.RecvMsg(&emptypb.Empty{})
}

func TestPanicEndsOnlyItsCall(t *testing.T) {
	t.Parallel()
	conn, stop, log := server(t, time.Minute, func(context.Context) error { panic("kaboom") })
	for name, call := range map[string]func(context.Context, *grpc.ClientConn) error{"unary": callUnary, "stream": callStream} {
		err := call(t.Context(), conn)
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "kaboom") {
			t.Errorf("%s: got %v, want INTERNAL without the panic's text", name, err)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if got := log.String(); strings.Count(got, "kaboom") != 2 || !strings.Contains(got, "rpc_test.go") {
		t.Errorf("log does not have both panics with their stacks: %s", got)
	}
}

func TestHealthFollowsTheServer(t *testing.T) {
	t.Parallel()
	conn, stop, _ := server(t, time.Minute, func(context.Context) error { return nil })
	client := healthpb.NewHealthClient(conn)
	for _, service := range []string{"", serviceName} {
		got, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("Check(%q) = %v, %v; want SERVING", service, got, err)
		}
	}
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("Check(none): got %v, want NOT_FOUND", err)
	}

	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: serviceName})
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("watch: got %v, %v; want SERVING", got, err)
	}
	if err := stop(); err != nil {
		t.Fatalf("Serve with an open watch: %v", err)
	}
	for err == nil {
		var got *healthpb.HealthCheckResponse
		if got, err = watch.Recv(); err == nil && got.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			t.Error("the watch still reports SERVING")
		}
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ended with %v, want UNAVAILABLE", err)
	}
}

func TestStopLetsCallsEnd(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	conn, stop, _ := server(t, time.Minute, func(context.Context) error {
		close(entered)
		<-release
		return nil
	})
	result := make(chan error, 1)
	go func() { result <- callUnary(t.Context(), conn) }()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(release)
	if err := <-result; err != nil {
		t.Errorf("the call in hand: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestStopCutsOffAfterGrace(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	conn, stop, _ := server(t, time.Millisecond, func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	})
	result := make(chan error, 1)
	go func() { result <- callStream(t.Context(), conn) }()
	<-entered
	if err := stop(); !errors.Is(err, rpc.ErrGraceEnded) {
		t.Errorf("Serve: got %v, want ErrGraceEnded", err)
	}
	if err := <-result; status.Code(err) != codes.Unavailable {
		t.Errorf("the call in hand: got %v, want UNAVAILABLE", err)
	}
}

func TestServeReportsAFailedListener(t *testing.T) {
	t.Parallel()
	lis := bufconn.Listen(1)
	if err := lis.Close(); err != nil {
		t.Fatal(err)
	}
	srv := rpc.NewServer(slog.New(slog.DiscardHandler))
	if err := rpc.Serve(t.Context(), srv, lis, time.Second); err == nil {
		t.Error("Serve on a closed listener returned nil")
	}
}

func TestTenant(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		names []string
		want  string
		code  codes.Code
	}{
		"none":      {want: rpc.DefaultTenant},
		"one":       {names: []string{"acme-dev_1"}, want: "acme-dev_1"},
		"longest":   {names: []string{strings.Repeat("a", 64)}, want: strings.Repeat("a", 64)},
		"too long":  {names: []string{strings.Repeat("a", 65)}, code: codes.InvalidArgument},
		"empty":     {names: []string{""}, code: codes.InvalidArgument},
		"upper":     {names: []string{"Acme"}, code: codes.InvalidArgument},
		"separator": {names: []string{"a/b"}, code: codes.InvalidArgument},
		"two":       {names: []string{"a", "b"}, code: codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := metadata.NewIncomingContext(t.Context(), metadata.MD{rpc.TenantKey: test.names})
			got, err := rpc.Tenant(ctx)
			if got != test.want || status.Code(err) != test.code {
				t.Errorf("Tenant = %q, %v; want %q, %v", got, err, test.want, test.code)
			}
			if err != nil && len(status.Convert(err).Details()) != 1 {
				t.Errorf("the status %v has no BadRequest detail", err)
			}
		})
	}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	var wrong rpc.Violations
	if err := wrong.Err(); err != nil {
		t.Errorf("nothing wrong: %v", err)
	}
	wrong.Add("a", "%d is too much", 7)
	wrong.Add("b", "missing")
	st := status.Convert(wrong.Err())
	if st.Code() != codes.InvalidArgument || st.Message() != "a: 7 is too much (and 1 more, see the details)" || len(st.Details()) != 1 {
		t.Errorf("two things wrong: %v with %v", st, st.Details())
	}
}

func TestCutShort(t *testing.T) {
	t.Parallel()
	call, cancel := context.WithCancel(t.Context())
	bounded, end := context.WithTimeout(call, time.Hour)
	defer end()
	if err := rpc.CutShort(call, bounded, time.Hour); err != nil {
		t.Errorf("nothing happened: %v", err)
	}
	late, stop := context.WithTimeout(call, 0)
	defer stop()
	if err := rpc.CutShort(call, late, time.Hour); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("too long: %v", err)
	}
	cancel()
	if err := rpc.CutShort(call, bounded, time.Hour); status.Code(err) != codes.Canceled {
		t.Errorf("the client gave up: %v", err)
	}
}
