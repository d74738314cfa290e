package feedback_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/yirifi/flywheel/feedback"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// start is the first minute of the data.
var start = time.Date(2026, 11, 20, 10, 30, 0, 0, time.UTC)

// rateRow is a row of rates.
type rateRow struct {
	Tenant        string    `ch:"tenant"`
	Bucket        time.Time `ch:"bucket"`
	Version       uint64    `ch:"version"`
	SettledAt     time.Time `ch:"settled_at"`
	Surface       string    `ch:"surface"`
	Model         string    `ch:"model"`
	Variant       string    `ch:"variant"`
	Experiment    string    `ch:"experiment"`
	Language      string    `ch:"language"`
	Client        string    `ch:"client"`
	ClientVersion string    `ch:"client_version"`
	ClientSetting string    `ch:"client_setting"`
	ViewKind      string    `ch:"view_kind"`
	Source        string    `ch:"source"`
	Trigger       string    `ch:"trigger"`

	Opportunities     uint64            `ch:"opportunities"`
	NotProduced       uint64            `ch:"not_produced"`
	Shown             uint64            `ch:"shown"`
	NotShown          uint64            `ch:"not_shown"`
	Read              uint64            `ch:"read"`
	Accepted          uint64            `ch:"accepted"`
	PartiallyAccepted uint64            `ch:"partially_accepted"`
	AcceptedModified  uint64            `ch:"accepted_modified"`
	AutoAccepted      uint64            `ch:"auto_accepted"`
	Rejected          uint64            `ch:"rejected"`
	Ignored           uint64            `ch:"ignored"`
	Superseded        uint64            `ch:"superseded"`
	Cancelled         uint64            `ch:"cancelled"`
	Undecided         uint64            `ch:"undecided"`
	ThumbsUp          uint64            `ch:"thumbs_up"`
	ThumbsDown        uint64            `ch:"thumbs_down"`
	ShownChars        uint64            `ch:"shown_chars"`
	AcceptedChars     uint64            `ch:"accepted_chars"`
	TaskResults       []uint64          `ch:"task_results"`
	RetentionCount    []uint64          `ch:"retention_count"`
	RetainedChars     []uint64          `ch:"retained_chars"`
	BaseChars         []uint64          `ch:"base_chars"`
	FourGramSum       []uint64          `ch:"four_gram_sum"`
	FourGramCount     []uint64          `ch:"four_gram_count"`
	Latency           map[uint16]uint64 `ch:"latency"`
}

// service is a running feedback service over a database of its own.
type service struct {
	flywheelv1.FeedbackServiceClient
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

// serve starts a service with settings that differ from the default by change.
func serve(t testing.TB, change ...func(*feedback.Config)) *service {
	t.Helper()
	s := &service{log: new(syncBuffer)}
	var err error
	if s.db, err = warehouse.Open(t.Context(), enginetest.DSN(t), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("open warehouse: %v", err)
	}
	t.Cleanup(func() {
		if err := s.db.Close(); err != nil {
			t.Errorf("close warehouse: %v", err)
		}
	})
	if err := s.db.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	cfg := feedback.DefaultConfig()
	for _, f := range change {
		f(&cfg)
	}
	fb, err := feedback.New(cfg, s.db, slog.New(slog.NewTextHandler(s.log, nil)))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	s.FeedbackServiceClient = flywheelv1.NewFeedbackServiceClient(connect(t, fb))
	return s
}

// connect serves fb until the test ends.
func connect(t testing.TB, fb *feedback.Feedback) *grpc.ClientConn {
	t.Helper()
	lis := bufconn.Listen(1 << 16)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- fb.Serve(ctx, lis) }()
	conn, err := grpc.NewClient("passthrough:///feedback",
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

// insert inserts rows of rates; what they leave out is of the default tenant, in
// the first minute and settled a second after it.
func (s *service) insert(t *testing.T, rows ...rateRow) {
	t.Helper()
	batch, err := s.db.Conn().PrepareBatch(t.Context(), "INSERT INTO rates ("+columns()+")")
	if err != nil {
		t.Fatalf("insert rates: %v", err)
	}
	defer func() { _ = batch.Close() }()
	for _, row := range rows {
		if row.Tenant == "" {
			row.Tenant = rpc.DefaultTenant
		}
		if row.Bucket.IsZero() {
			row.Bucket = start
		}
		if row.SettledAt.IsZero() {
			row.SettledAt = row.Bucket.Add(time.Second)
		}
		if err := batch.AppendStruct(&row); err != nil {
			t.Fatalf("insert rates: %v", err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatalf("insert rates: %v", err)
	}
	s.addUp(t)
}

// addUp fills rate_hours and rate_days, as the settler does.
func (s *service) addUp(tb testing.TB) {
	tb.Helper()
	var sums []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[rateRow]()) {
		name := field.Tag.Get("ch")
		switch field.Type.Kind() {
		case reflect.Slice:
			sums = append(sums, "sumForEach("+name+")")
		case reflect.Map:
			sums = append(sums, "sumMap("+name+")")
		case reflect.Uint64:
			sums = append(sums, "sum("+name+")")
		default:
			switch name {
			case "bucket":
				name = "BUCKET"
			case "settled_at":
				name = "max((bucket, settled_at)).2"
			}
			sums = append(sums, name)
		}
	}
	for table, start := range map[string]string{"rate_hours": "toStartOfHour(bucket)", "rate_days": "toStartOfDay(bucket)"} {
		sql := "INSERT INTO " + table + " (" + columns() + ") SELECT " + strings.Join(sums, ", ") +
			" FROM rates FINAL GROUP BY tenant, BUCKET, surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger"
		if err := s.db.Conn().Exec(tb.Context(), strings.ReplaceAll(sql, "BUCKET", start)); err != nil {
			tb.Fatalf("add up rates: %v", err)
		}
	}
}

func columns() string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[rateRow]()) {
		names = append(names, field.Tag.Get("ch"))
	}
	return strings.Join(names, ", ")
}

// as adds a tenant to a call.
func as(ctx context.Context, tenant string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, tenant)
}

// rates asks for rates, which must succeed.
func (s *service) rates(t *testing.T, req *flywheelv1.GetRatesRequest) []*flywheelv1.RatesRow {
	t.Helper()
	resp, err := s.GetRates(t.Context(), req)
	if err != nil {
		t.Fatalf("GetRates: %v", err)
	}
	return resp.GetRows()
}

// overTime asks for rates over time, which must succeed.
func (s *service) overTime(t *testing.T, req *flywheelv1.GetRatesOverTimeRequest) []*flywheelv1.RatesRow {
	t.Helper()
	resp, err := s.GetRatesOverTime(t.Context(), req)
	if err != nil {
		t.Fatalf("GetRatesOverTime: %v", err)
	}
	return resp.GetRows()
}

// shown lists groups with how many interactions were shown in each, for example
// "tab-7b/go=5".
func shown(rows []*flywheelv1.RatesRow) string {
	var list []string
	for _, row := range rows {
		entry := strings.Join(row.GetGroup(), "/")
		if row.GetBucket() != nil {
			entry = row.GetBucket().AsTime().Format("15:04 ") + entry
		}
		list = append(list, entry+"="+uintText(row.GetCounts().GetShown()))
	}
	return strings.Join(list, " ")
}
