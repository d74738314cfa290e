package verify_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/processor/signal"
	"github.com/yirifi/flywheel/registry"
	"github.com/yirifi/flywheel/verify"
)

// base is the start of an hour at the end of a day.
var base = time.Date(2026, 11, 18, 22, 0, 0, 0, time.UTC)

// store is a database of a test's own, filled as processors do.
type store struct {
	tb      testing.TB
	db      *warehouse.DB
	settler *processor.Settler
	random  *rand.Rand
}

func newStore(tb testing.TB) *store {
	tb.Helper()
	return newStoreAt(tb, enginetest.DSN(tb), "")
}

// newStoreAt is a store at an address, on a cluster when it has a name.
func newStoreAt(tb testing.TB, dsn, cluster string) *store {
	tb.Helper()
	db, err := warehouse.OpenCluster(tb.Context(), dsn, cluster, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	cfg := processor.DefaultSettlerConfig()
	cfg.MinReject = 200 * time.Millisecond
	settler, err := processor.NewSettler(cfg, db, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	return &store{tb: tb, db: db, settler: settler, random: rand.New(rand.NewPCG(1, 2))}
}

func (s *store) exec(sql string, args ...any) {
	s.tb.Helper()
	if err := s.db.Conn().Exec(s.tb.Context(), sql, args...); err != nil {
		s.tb.Fatalf("%.80s: %v", sql, err)
	}
}

func (s *store) settle() {
	s.tb.Helper()
	if _, err := s.settler.SettleOnce(s.tb.Context()); err != nil {
		s.tb.Fatal(err)
	}
}

// verify verifies with short patience.
func (s *store) verify(change ...func(*verify.Config)) *verify.Report {
	s.tb.Helper()
	cfg := verify.DefaultConfig()
	cfg.MinReject, cfg.Wait, cfg.ChunkRows = 200*time.Millisecond, 50*time.Millisecond, 300
	for _, f := range change {
		f(&cfg)
	}
	v, err := verify.New(cfg, s.db, slog.New(slog.DiscardHandler))
	if err != nil {
		s.tb.Fatal(err)
	}
	done, total := 0, 0
	report, err := v.Run(s.tb.Context(), func(d, t int) { done, total = d, t })
	if err != nil {
		s.tb.Fatal(err)
	}
	if done != total {
		s.tb.Errorf("progress ends at %d of %d", done, total)
	}
	return report
}

func text(r *verify.Report) string {
	var b strings.Builder
	_ = r.Write(&b)
	return b.String()
}

// requireEqual fails unless everything is equal.
func (s *store) requireEqual(change ...func(*verify.Config)) *verify.Report {
	s.tb.Helper()
	report := s.verify(change...)
	if len(report.Differences) > 0 || len(report.InFlux) > 0 {
		s.tb.Fatalf("differs: %.3000s", text(report))
	}
	return report
}

// requireDifference fails unless a difference is reported in words that contain all of
// want.
func (s *store) requireDifference(want ...string) {
	s.tb.Helper()
	report := s.verify()
	for _, d := range report.Differences {
		line := fmt.Sprintf("%s %s %s %s/%s", d.Table, d.Key, d.Column, d.Stored, d.Recounted)
		missing := false
		for _, word := range want {
			missing = missing || !strings.Contains(line, word)
		}
		if !missing {
			return
		}
	}
	s.tb.Errorf("no difference with %q: %.3000s", want, text(report))
}

// id is a UUIDv7 of a time.
func (s *store) id(at time.Time) uuid.UUID {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(s.random.Uint32())
	}
	for i := range 6 {
		id[i] = byte(at.UnixMilli() >> (40 - 8*i))
	}
	id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
	return id
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// rows are what a processor inserts at once.
type rows struct {
	interactions  []warehouse.Interaction
	opportunities []warehouse.Opportunity
}

// make makes partial rows of n interactions and as many opportunities within hours.
func (s *store) make(n int, hours float64) (made rows) {
	r := s.random
	for range n {
		at := base.Add(time.Duration(r.Float64() * hours * float64(time.Hour)))
		tenant := pick(r, "acme", "it's\tmine\\", "default")
		d := warehouse.Dimensions{
			User: fmt.Sprint("u", r.IntN(5)), Surface: pick(r, "inline_completion", "chat"), Model: fmt.Sprint("m", r.IntN(3)),
			Experiment: pick(r, "", "e1"), Variant: pick(r, "", "a", "b"), Language: pick(r, "go", strings.Repeat("long", 50)),
		}
		o := warehouse.Opportunity{Tenant: tenant, ID: s.id(at)}
		for range 1 + r.IntN(2) {
			part := o
			part.RequestedAt = pick(r, 0, at.UnixMicro())
			part.NotProducedAt = pick(r, 0, 0, at.UnixMicro())
			part.Dimensions = pick(r, warehouse.Dimensions{}, d)
			made.opportunities = append(made.opportunities, part)
		}
		id := s.id(at)
		for range 1 + r.IntN(4) {
			made.interactions = append(made.interactions, s.part(tenant, id, at, d))
		}
	}
	return made
}

// part is a random partial row.
func (s *store) part(tenant string, id uuid.UUID, at time.Time, d warehouse.Dimensions) warehouse.Interaction {
	r := s.random
	i := warehouse.Interaction{Tenant: tenant, ID: id}
	i.Dimensions = pick(r, warehouse.Dimensions{}, d)
	if r.IntN(20) == 0 {
		i.Model = "another"
	}
	i.OutputChars = pick(r, 0, r.Uint32N(100))
	i.ShownAt = pick(r, 0, at.UnixMicro())
	i.ShownLatencyUs = pick(r, 0, r.Uint64N(1e6))
	i.NotShownAt = pick(r, 0, 0, 0, at.UnixMicro())
	i.VisibleUs = pick(r, 0, r.Uint64N(2e6))
	if o := r.Uint64N(9); o > 0 {
		i.OutcomeRank = r.Uint64N(4)<<62 | uint64(at.UnixMicro())<<8 | o
	}
	i.AcceptedChars = pick(r, 0, r.Uint32N(100))
	for delay := range i.RetainedChars {
		i.RetainedChars[delay] = pick(r, 0, r.Uint32N(100))
		i.FourGram[delay] = pick(r, 0, uint16(r.IntN(10002)))
	}
	i.BranchChanged = pick(r, 0, 1, uint8(r.IntN(128)))
	if r.IntN(4) == 0 {
		i.ThumbRank = uint64(at.UnixMicro())<<8 | r.Uint64N(3)
		i.RatingRank = uint64(at.UnixMicro())<<8 | (1 + r.Uint64N(101))
	}
	i.TaskResults = pick(r, 0, r.Uint32N(512)<<1)
	return i
}

// insert inserts rows, and touches their minutes unless told otherwise.
func (s *store) insert(ctx context.Context, made rows, touch bool) error {
	interactions, opportunities, touches := warehouse.NewInteractions(), warehouse.NewOpportunities(), warehouse.NewTouches()
	interactions.Append(made.interactions)
	opportunities.Append(made.opportunities)
	seen := map[string]bool{}
	note := func(tenant string, id uuid.UUID) {
		at := warehouse.TimeOf(id).Truncate(time.Minute)
		if key := fmt.Sprint(tenant, at); touch && !seen[key] {
			seen[key] = true
			touches.Append([]warehouse.Touch{{Tenant: tenant, Bucket: at, Touches: 1, TouchedAt: time.Now()}})
		}
	}
	for _, i := range made.interactions {
		note(i.Tenant, i.ID)
	}
	for _, o := range made.opportunities {
		note(o.Tenant, o.ID)
	}
	for _, t := range []struct {
		table string
		rows  warehouse.Columns
	}{{"interactions", interactions}, {"opportunities", opportunities}, {"bucket_touches", touches}} {
		if err := s.db.Insert(ctx, t.table, t.rows); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) fill(n int, hours float64) {
	s.tb.Helper()
	if err := s.insert(s.tb.Context(), s.make(n, hours), true); err != nil {
		s.tb.Fatal(err)
	}
}

// define adds a second definition.
func (s *store) define() {
	s.tb.Helper()
	d := signal.DefaultDefinition()
	d.Version, d.Name, d.MinReject = 2, "second", 300*time.Millisecond
	d.Weights.Kept, d.Weights.Delays = 10, [7]uint32{1, 2, 3, 4, 5, 6, 7}
	if err := registry.AddDefinition(s.tb.Context(), s.db, d); err != nil {
		s.tb.Fatal(err)
	}
}

// wholeChunks is the default size of chunks.
func wholeChunks(cfg *verify.Config) { cfg.ChunkRows = verify.DefaultConfig().ChunkRows }
