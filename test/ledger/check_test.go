package ledger

import (
	"fmt"
	"log/slog"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/processor/signal"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

const tenant = "acme"

// interactions are how many the tests send.
const interactions = 40

// sentEvents are events that were sent, with the ledger that knows them.
type sentEvents struct {
	*Ledger
	events []*flywheelv1.Event
}

// send notes events as sent and acknowledged.
func send() sentEvents {
	s := sentEvents{Ledger: New()}
	m := newMix(1, 1)
	for range interactions {
		for _, part := range m.interaction() {
			s.events = append(s.events, part...)
		}
	}
	s.sent(tenant, s.events)
	s.answered(s.events, &flywheelv1.CollectResponse{Accepted: uint32(len(s.events))})
	return s
}

// store stores events as processors do, and settles their rates.
func store(t *testing.T, events []*flywheelv1.Event) *warehouse.DB {
	t.Helper()
	db, err := warehouse.Open(t.Context(), enginetest.DSN(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := new(signal.Batch)
	for _, e := range events {
		if err := rows.Add(tenant, e); err != nil {
			t.Fatal(err)
		}
	}
	c := &check{db: db}
	if err := c.store(t.Context(), rows, func(table string) string { return table }); err != nil {
		t.Fatal(err)
	}
	run(t, db, `INSERT INTO bucket_touches SELECT DISTINCT tenant, toStartOfMinute(started_at), 1, now64(3) FROM
		(SELECT tenant, started_at FROM interactions UNION ALL SELECT tenant, started_at FROM opportunities)`)
	settler, err := processor.NewSettler(processor.DefaultSettlerConfig(), db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settler.SettleOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func run(t *testing.T, db *warehouse.DB, sql string) {
	t.Helper()
	if err := db.Conn().Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// place returns the place of the first event for which is holds.
func (s sentEvents) place(is func(*flywheelv1.Event) bool) int {
	for i, e := range s.events {
		if is(e) {
			return i
		}
	}
	return -1
}

// without returns all events but one.
func (s sentEvents) without(place int) []*flywheelv1.Event {
	return append(append([]*flywheelv1.Event{}, s.events[:place]...), s.events[place+1:]...)
}

func isEdit(e *flywheelv1.Event) bool     { return e.GetEdit() != nil }
func isEnded(e *flywheelv1.Event) bool    { return e.GetEnded() != nil }
func isRequest(e *flywheelv1.Event) bool  { return e.GetRequested() != nil }
func isToolCall(e *flywheelv1.Event) bool { return e.GetToolCall() != nil }

func TestCheckFindsNothing(t *testing.T) {
	t.Parallel()
	s := send()
	unknown := newMix(2, 2).interaction()[0]
	s.sent(tenant, unknown)
	s.failed(status.Error(codes.Unavailable, "no answer"))
	for name, events := range map[string][]*flywheelv1.Event{
		"everything":                     s.events,
		"everything, twice":              append(append([]*flywheelv1.Event{}, s.events...), s.events...),
		"everything and what is unknown": append(append([]*flywheelv1.Event{}, s.events...), unknown...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings, err := s.Check(t.Context(), store(t, events), 0)
			if err != nil || len(findings) > 0 {
				t.Errorf("findings %v, error %v", findings, err)
			}
		})
	}
}

func TestCheckFindsLostEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		is    func(*flywheelv1.Event) bool
		table string
	}{
		"an edit":    {isEdit, "edits"},
		"a step":     {isToolCall, "steps"},
		"an outcome": {isEnded, "interactions"},
		"a request":  {isRequest, "opportunities"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := send()
			db := store(t, s.without(s.place(c.is)))
			finds(t, s.Ledger, db, Lost, c.table)
		})
	}
}

func TestCheckFindsWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql   string
		kind  Kind
		table string
	}{
		"a sum of duplicates": {
			"INSERT INTO interactions SELECT * REPLACE (visible_us * 2 AS visible_us) FROM interactions FINAL WHERE visible_us > 0 LIMIT 1", Duplicated, "interactions",
		},
		"a count of rates": {
			"INSERT INTO rates SELECT * REPLACE ('somebody else' AS client) FROM rates FINAL WHERE accepted > 0 LIMIT 1", Duplicated, "rates",
		},
		"an edit again": {
			"INSERT INTO edits SELECT * REPLACE (sequence + 1000 AS sequence) FROM edits FINAL LIMIT 1", Duplicated, "edits",
		},
		"an interaction that nobody sent": {
			"INSERT INTO interactions SELECT * REPLACE ('globex' AS tenant) FROM interactions FINAL LIMIT 1", Invented, "interactions",
		},
		"a step that nobody sent": {
			"INSERT INTO steps SELECT * REPLACE ('globex' AS tenant) FROM steps FINAL LIMIT 1", Invented, "steps",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := send()
			db := store(t, s.events)
			run(t, db, c.sql)
			finds(t, s.Ledger, db, c.kind, c.table)
		})
	}
}

// finds fails the test unless a check has a finding of the kind in the table.
func finds(t *testing.T, l *Ledger, db *warehouse.DB, kind Kind, table string) {
	t.Helper()
	findings, err := l.Check(t.Context(), db, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Kind == kind && f.Table == table {
			return
		}
	}
	t.Errorf("no finding %q in %s, but %s", kind, table, fmt.Sprint(findings))
}
