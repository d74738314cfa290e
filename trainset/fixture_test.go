package trainset_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/trainset"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// store is a database of the test's own, with a service that makes training sets from it.
type store struct {
	flywheelv1.TrainingSetServiceClient
	t  testing.TB
	db *warehouse.DB
}

func newStore(t testing.TB) *store {
	t.Helper()
	return newStoreAt(t, enginetest.DSN(t), "")
}

// newStoreAt is a store at an address, on a cluster when it has a name.
func newStoreAt(t testing.TB, dsn, cluster string) *store {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := warehouse.OpenCluster(t.Context(), dsn, cluster, log)
	if err != nil {
		t.Fatalf("open warehouse: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	s := &store{t: t, db: db}
	s.TrainingSetServiceClient = s.serve(log)
	return s
}

// in is the store for a subtest.
func (s *store) in(t testing.TB) *store {
	return &store{TrainingSetServiceClient: s.TrainingSetServiceClient, t: t, db: s.db}
}

// named is a value of a statement's placeholder.
func named(name string, value any) any { return clickhouse.Named(name, value) }

// numbers are the numbers of the interactions of fill, by id.
func (s *store) numbers() map[string]int {
	s.t.Helper()
	rows, err := s.db.Conn().Query(s.t.Context(), "SELECT toString(interaction_id), reinterpretAsUInt64(substring(reinterpret(interaction_id, 'FixedString(16)'), 9)) FROM interactions")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	numbers := map[string]int{}
	for rows.Next() {
		var id string
		var n uint64
		if err := rows.Scan(&id, &n); err != nil {
			s.t.Fatal(err)
		}
		numbers[id] = int(n)
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return numbers
}

// serve starts a service, which ends with the test.
func (s *store) serve(log *slog.Logger) flywheelv1.TrainingSetServiceClient {
	s.t.Helper()
	service, err := trainset.New(trainset.DefaultConfig(), s.db, log)
	if err != nil {
		s.t.Fatal(err)
	}
	lis := bufconn.Listen(1 << 20)
	srv := grpc.NewServer()
	service.Register(srv)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- srv.Serve(lis) }()
	go func() { done <- service.Run(ctx) }()
	conn, err := grpc.NewClient("passthrough:///service", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = conn.Close()
		srv.Stop()
		stop()
		for range 2 {
			if err := <-done; err != nil {
				s.t.Errorf("service: %v", err)
			}
		}
	})
	return flywheelv1.NewTrainingSetServiceClient(conn)
}

func (s *store) exec(sql string, args ...any) {
	s.t.Helper()
	if err := s.db.Conn().Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%.200s: %v", sql, err)
	}
}

// fill stores interactions of yesterday with their texts: of each seven, three are
// accepted, one accepted in part, one accepted modified, one rejected with an alternative,
// one ignored. They are of 40 users, each with sessions of ten.
func (s *store) fill(interactions int) {
	s.t.Helper()
	s.exec(fmt.Sprintf(`
		INSERT INTO interactions
			(tenant, started_at, interaction_id, opportunity_id, session_id, user, repository, surface, model, language, output_chars, shown_at, visible_us,
			outcome_rank, accepted_chars, retained_chars_0, retained_chars_30, alternative_at, alternative_chars)
		WITH cityHash64(number) AS h,
			toUInt64(['3', '3', '3', '3', '3', '2', '0'][1 + number %% 7]) AS class,
			toUInt64([1, 1, 1, 2, 3, 5, 6][1 + number %% 7]) AS outcome,
			toStartOfDay(now('UTC')) - INTERVAL 1 DAY + toIntervalSecond(number %% 80000) AS at
		SELECT 'default', at, %[2]s, %[3]s, %[4]s, concat('user ', toString(intDiv(number, 10) %% 40)), concat('repository ', toString(intDiv(number, 10) %% 7)),
			'inline_completion', concat('tab-', toString(h %% 2)), ['go', 'python'][1 + h %% 2], 30, at, 2000000,
			bitOr(bitShiftLeft(class, 62), bitOr(bitShiftLeft(toUInt64(toUnixTimestamp(at)) * 1000000, 8), outcome)),
			if(outcome = 2, 8, 0), if(outcome < 4, 31, 0), if(outcome < 4, 21, 0), if(outcome = 5, at, toDateTime64(0, 6)), if(outcome = 5, 11, 0)
		FROM numbers(%[1]d)`, interactions, id("interaction"), id("opportunity"), session))
	s.exec(fmt.Sprintf(`
		INSERT INTO content (tenant, started_at, id, consents, prompt, output, final_text, alternative)
		WITH toStartOfDay(now('UTC')) - INTERVAL 1 DAY + toIntervalSecond(number %% 80000) AS at
		SELECT 'default', at, %[2]s, if(number %% 50 = 49, 2, 4),
			%[3]s, concat('completion ', toString(number), ' ', hex(cityHash64(number))),
			if(number %% 7 = 4, concat('completion ', toString(number), ' as modified'), ''), if(number %% 7 = 5, concat('instead ', toString(number)), '')
		FROM numbers(%[1]d)`, interactions, id("interaction"), prompt))
}

// prompt has text of its own for each number.
const prompt = "concat('func f', toString(number), '() { ', hex(cityHash64(number, 1)), ' ', hex(cityHash64(number, 2)), ' ', hex(cityHash64(number, 3)), ' ', hex(cityHash64(number, 4)), ' ', hex(cityHash64(number, 5)))"

// id is an id in SQL, made of a name and the number.
func id(name string) string {
	return "reinterpret(concat(reinterpretAsFixedString(cityHash64('" + name + "', number)), reinterpretAsFixedString(toUInt64(number))), 'UUID')"
}

const session = "reinterpret(concat(reinterpretAsFixedString(cityHash64('session', intDiv(number, 10))), reinterpretAsFixedString(toUInt64(intDiv(number, 10)))), 'UUID')"

// create makes a training set and waits until it is.
func (s *store) create(req *flywheelv1.CreateTrainingSetRequest) *flywheelv1.TrainingSet {
	s.t.Helper()
	resp, err := s.CreateTrainingSet(s.t.Context(), req)
	if err != nil {
		s.t.Fatalf("create: %v", err)
	}
	return s.wait(resp.GetTrainingSet().GetTrainingSetId())
}

// wait waits until a training set is not being made any more.
func (s *store) wait(id string) *flywheelv1.TrainingSet {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := s.GetTrainingSet(s.t.Context(), &flywheelv1.GetTrainingSetRequest{TrainingSetId: id})
		if err != nil {
			s.t.Fatalf("get: %v", err)
		}
		if set := resp.GetTrainingSet(); set.GetState() != flywheelv1.TrainingSetState_TRAINING_SET_STATE_RUNNING {
			return set
		}
		<-tick.C
	}
}

// fileSet is what ReadTrainingSet sent.
type fileSet struct {
	content map[string][]byte
	cursors []string
}

// read reads a training set's files, up to so many of them; 0: all.
func (s *store) read(req *flywheelv1.ReadTrainingSetRequest, most int) fileSet {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	stream, err := s.ReadTrainingSet(ctx, req)
	if err != nil {
		s.t.Fatalf("read: %v", err)
	}
	got := fileSet{content: map[string][]byte{}}
	whole := 0
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.t.Fatalf("read: %v", err)
		}
		got.content[m.GetPath()] = append(got.content[m.GetPath()], m.GetData()...)
		if end := m.GetEnd(); end != nil {
			content := got.content[m.GetPath()]
			if sum := sha256.Sum256(content); uint64(len(content)) != end.GetBytes() || !bytes.Equal(sum[:], end.GetSha256()) {
				s.t.Fatalf("%s: %d bytes, its end says %d or another SHA-256", m.GetPath(), len(content), end.GetBytes())
			}
			got.cursors = append(got.cursors, end.GetCursor())
			if whole++; whole == most {
				break
			}
		}
	}
	return got
}

// rows are the rows of all JSON lines of a split.
func (f fileSet) rows(t testing.TB, split string) (rows []map[string]any) {
	t.Helper()
	for path, content := range f.content {
		if !strings.HasPrefix(path, "data/"+split+"-") {
			continue
		}
		for line := range bytes.Lines(content) {
			row := map[string]any{}
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
			rows = append(rows, row)
		}
	}
	return rows
}
