package registry_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/registry"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// running is a registry that serves a database of its own.
type running struct {
	flywheelv1.ModelServiceClient
	flywheelv1.DefinitionServiceClient
	db  *warehouse.DB
	log *syncBuffer
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// openStore opens and migrates a database of the test's own.
func openStore(t *testing.T) *warehouse.DB {
	t.Helper()
	db, err := warehouse.Open(t.Context(), enginetest.DSN(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open warehouse: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close warehouse: %v", err)
		}
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return db
}

// serve starts a registry with settings that differ from the default by change.
func serve(t *testing.T, change ...func(*registry.Config)) *running {
	t.Helper()
	s := &running{db: openStore(t), log: new(syncBuffer)}
	cfg := registry.DefaultConfig()
	for _, f := range change {
		f(&cfg)
	}
	reg, err := registry.New(cfg, s.db, slog.New(slog.NewTextHandler(s.log, nil)))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	conn := connect(t, reg)
	s.ModelServiceClient = flywheelv1.NewModelServiceClient(conn)
	s.DefinitionServiceClient = flywheelv1.NewDefinitionServiceClient(conn)
	return s
}

// connect serves reg until the test ends.
func connect(t *testing.T, reg *registry.Service) *grpc.ClientConn {
	t.Helper()
	lis := bufconn.Listen(1 << 16)
	ctx, stop := context.WithCancel(context.Background())
	srv := rpc.NewServer(slog.New(slog.DiscardHandler))
	reg.Register(srv)
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(ctx, srv, lis, time.Second) }()
	conn, err := grpc.NewClient("passthrough:///registry",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("close connection: %v", err)
		}
	})
	return conn
}

// as adds a tenant to a call.
func as(ctx context.Context, tenant string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, tenant)
}

// create registers a model, which must succeed.
func (s *running) create(t *testing.T, req *flywheelv1.CreateModelRequest) *flywheelv1.Model {
	t.Helper()
	resp, err := s.CreateModel(t.Context(), req)
	if err != nil {
		t.Fatalf("CreateModel(%v): %v", req, err)
	}
	return resp.GetModel()
}

// names lists models by name.
func names(models []*flywheelv1.Model) string {
	var list []string
	for _, m := range models {
		list = append(list, m.GetModel())
	}
	return strings.Join(list, " ")
}

// violated lists the fields that an error's details name.
func violated(err error) string {
	var fields []string
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				fields = append(fields, violation.GetField())
			}
		}
	}
	return strings.Join(fields, " ")
}
