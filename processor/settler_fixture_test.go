package processor_test

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
)

// rateDimensions are the columns that rates are grouped by.
type rateDimensions struct {
	Surface       string `ch:"surface"`
	Model         string `ch:"model"`
	Variant       string `ch:"variant"`
	Experiment    string `ch:"experiment"`
	Language      string `ch:"language"`
	Client        string `ch:"client"`
	ClientVersion string `ch:"client_version"`
	ClientSetting string `ch:"client_setting"`
	ViewKind      string `ch:"view_kind"`
	Source        string `ch:"source"`
	Trigger       string `ch:"trigger"`
}

// interactionPart is a partial row of interactions: the columns that count.
type interactionPart struct {
	Tenant    string    `ch:"tenant"`
	StartedAt time.Time `ch:"started_at"`
	ID        uuid.UUID `ch:"interaction_id"`
	User      string    `ch:"user"`
	rateDimensions
	OutputChars      uint32    `ch:"output_chars"`
	ShownAt          time.Time `ch:"shown_at"`
	ShownLatencyUs   uint64    `ch:"shown_latency_us"`
	NotShownAt       time.Time `ch:"not_shown_at"`
	VisibleUs        uint64    `ch:"visible_us"`
	OutcomeRank      uint64    `ch:"outcome_rank"`
	AcceptedChars    uint32    `ch:"accepted_chars"`
	RetainedChars0   uint32    `ch:"retained_chars_0"`
	RetainedChars5   uint32    `ch:"retained_chars_5"`
	RetainedChars30  uint32    `ch:"retained_chars_30"`
	RetainedChars120 uint32    `ch:"retained_chars_120"`
	RetainedChars300 uint32    `ch:"retained_chars_300"`
	RetainedChars600 uint32    `ch:"retained_chars_600"`
	RetainedChars900 uint32    `ch:"retained_chars_900"`
	FourGram0        uint16    `ch:"four_gram_0"`
	FourGram5        uint16    `ch:"four_gram_5"`
	FourGram30       uint16    `ch:"four_gram_30"`
	FourGram120      uint16    `ch:"four_gram_120"`
	FourGram300      uint16    `ch:"four_gram_300"`
	FourGram600      uint16    `ch:"four_gram_600"`
	FourGram900      uint16    `ch:"four_gram_900"`
	BranchChanged    uint8     `ch:"branch_changed" merge:"or"`
	ThumbRank        uint64    `ch:"thumb_rank"`
	TaskResults      uint32    `ch:"task_results" merge:"or"`
}

// opportunityPart is a partial row of opportunities: the columns that count.
type opportunityPart struct {
	Tenant    string    `ch:"tenant"`
	StartedAt time.Time `ch:"started_at"`
	ID        uuid.UUID `ch:"opportunity_id"`
	User      string    `ch:"user"`
	rateDimensions
	RequestedAt   time.Time `ch:"requested_at"`
	NotProducedAt time.Time `ch:"not_produced_at"`
}

// rateRow is a row of rates.
type rateRow struct {
	Tenant string    `ch:"tenant"`
	Bucket time.Time `ch:"bucket"`
	rateDimensions
	rateCounts
}

// userRow is a row of user_rate_hours, or of user_rates with a whole day.
type userRow struct {
	Tenant     string    `ch:"tenant"`
	Bucket     time.Time `ch:"bucket"`
	Experiment string    `ch:"experiment"`
	Variant    string    `ch:"variant"`
	User       string    `ch:"user"`
	rateCounts
}

// rateCounts are what a row of rates counts.
type rateCounts struct {
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

// ratesStore is a database of its own with all tables.
type ratesStore struct {
	*warehouse.DB
	tb testing.TB
}

func newRatesStore(tb testing.TB) ratesStore {
	tb.Helper()
	db, err := warehouse.Open(tb.Context(), enginetest.DSN(tb), slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatalf("open warehouse: %v", err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close warehouse: %v", err)
		}
	})
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatalf("migrate: %v", err)
	}
	return ratesStore{db, tb}
}

// settler returns a settler with settings that differ from the default by change.
func (s ratesStore) settler(change ...func(*processor.SettlerConfig)) *processor.Settler {
	s.tb.Helper()
	cfg := processor.DefaultSettlerConfig()
	for _, f := range change {
		f(&cfg)
	}
	settler, err := processor.NewSettler(cfg, s.DB, slog.New(slog.DiscardHandler))
	if err != nil {
		s.tb.Fatalf("NewSettler: %v", err)
	}
	return settler
}

// exec runs a statement.
func (s ratesStore) exec(sql string, args ...any) {
	s.tb.Helper()
	if err := s.Conn().Exec(s.tb.Context(), sql, args...); err != nil {
		s.tb.Errorf("%.60s: %v", sql, err)
	}
}

// insert inserts partial rows and touches their minutes, as processors do.
func (s ratesStore) insert(interactions []interactionPart, opportunities []opportunityPart) {
	s.tb.Helper()
	insertRows(s, "interactions", interactions)
	insertRows(s, "opportunities", opportunities)
	type touch struct {
		Tenant    string    `ch:"tenant"`
		Bucket    time.Time `ch:"bucket"`
		Touches   uint64    `ch:"touches"`
		TouchedAt time.Time `ch:"touched_at"`
	}
	var touches []touch
	for _, row := range interactions {
		touches = append(touches, touch{row.Tenant, row.StartedAt.Truncate(time.Minute), 1, time.Now()})
	}
	for _, row := range opportunities {
		touches = append(touches, touch{row.Tenant, row.StartedAt.Truncate(time.Minute), 1, time.Now()})
	}
	insertRows(s, "bucket_touches", touches)
}

func insertRows[T any](s ratesStore, table string, rows []T) {
	s.tb.Helper()
	if len(rows) == 0 {
		return
	}
	batch, err := s.Conn().PrepareBatch(s.tb.Context(), "INSERT INTO "+table+" ("+columnsOf[T]()+")")
	if err != nil {
		s.tb.Errorf("insert into %s: %v", table, err)
		return
	}
	defer func() { _ = batch.Close() }()
	for _, row := range rows {
		if err := batch.AppendStruct(&row); err != nil {
			s.tb.Errorf("insert into %s: %v", table, err)
		}
	}
	if err := batch.Send(); err != nil {
		s.tb.Errorf("insert into %s: %v", table, err)
	}
}

func selectRows[T any](s ratesStore, from string) []T {
	s.tb.Helper()
	var rows []T
	if err := s.Conn().Select(s.tb.Context(), &rows, "SELECT "+columnsOf[T]()+" FROM "+from); err != nil {
		s.tb.Fatalf("select from %s: %v", from, err)
	}
	return rows
}

// columnsOf lists the columns that T has.
func columnsOf[T any]() string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if name := field.Tag.Get("ch"); name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// settled returns what reports would read of the minutes: all rows that count something.
func (s ratesStore) settled() []rateRow {
	s.tb.Helper()
	return s.settledIn("rates")
}

// settledIn is settled for rates or a table of its sums.
func (s ratesStore) settledIn(table string) []rateRow {
	s.tb.Helper()
	rows := selectRows[rateRow](s, table+" FINAL")
	for i := range rows {
		rows[i].trim()
	}
	return slices.DeleteFunc(rows, func(row rateRow) bool { return cmp.Equal(row.rateCounts, rateCounts{}) })
}

// settledUsers is settled for user_rate_hours FINAL or user_rates. These have fewer
// counts.
func (s ratesStore) settledUsers(from string) []userRow {
	s.tb.Helper()
	rows := selectRows[userRow](s, `(SELECT *, `+strings.ReplaceAll("[] AS task_results, [] AS four_gram_sum, [] AS four_gram_count", "[]", "emptyArrayUInt64()")+`,
		CAST(map(), 'Map(UInt16, UInt64)') AS latency FROM `+from+`)`)
	for i := range rows {
		rows[i].trim()
	}
	return slices.DeleteFunc(rows, func(row userRow) bool { return cmp.Equal(row.rateCounts, rateCounts{}) })
}

// trim removes what counts nothing from arrays and maps, so that equal counts
// compare as equal.
func (c *rateCounts) trim() {
	for _, list := range []*[]uint64{&c.TaskResults, &c.RetentionCount, &c.RetainedChars, &c.BaseChars, &c.FourGramSum, &c.FourGramCount} {
		for len(*list) > 0 && (*list)[len(*list)-1] == 0 {
			*list = (*list)[:len(*list)-1]
		}
		if len(*list) == 0 {
			*list = nil
		}
	}
	if len(c.Latency) == 0 {
		c.Latency = nil
	}
}

// settleOnce settles and fails the test on an error.
func settleOnce(ctx context.Context, tb testing.TB, settler *processor.Settler) int {
	tb.Helper()
	settled, err := settler.SettleOnce(ctx)
	if err != nil {
		tb.Errorf("SettleOnce: %v", err)
	}
	return settled
}
