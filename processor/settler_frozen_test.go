package processor_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yirifi/flywheel/internal/warehouse"
)

// retain sets ages and drops what they let expire.
func (s ratesStore) retain(ages warehouse.Ages, tables ...string) {
	s.tb.Helper()
	if err := s.Retain(s.tb.Context(), ages); err != nil {
		s.tb.Fatal(err)
	}
	for _, table := range tables {
		s.exec("ALTER TABLE " + table + " MATERIALIZE TTL SETTINGS mutations_sync = 1")
		s.exec("OPTIMIZE TABLE " + table + " FINAL")
	}
}

// TestRatesOutliveTheirRows lets interactions, and later minutes, expire: late events of
// those days change nothing, also once the ages are longer again.
func TestRatesOutliveTheirRows(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	settler := s.settler()
	now := time.Now().UTC().Truncate(time.Millisecond)
	old := interactionPart{Tenant: "acme", StartedAt: now.AddDate(0, 0, -10), ID: uuid.New(), User: "ada", ShownAt: now}
	event := func(daysAgo int) interactionPart {
		return interactionPart{Tenant: "acme", StartedAt: now.AddDate(0, 0, -daysAgo), ID: uuid.New(), User: "bob", ShownAt: now, OutcomeRank: accepted}
	}
	s.insert([]interactionPart{old, event(10), event(3), event(0)}, nil)
	settleOnce(t.Context(), t, settler)
	s.requireRecount(750*time.Millisecond, 0)

	sums := func(from string) (shown uint64) {
		t.Helper()
		if err := s.Conn().QueryRow(t.Context(), "SELECT sum(shown) FROM "+from+" WHERE bucket < ?", now.AddDate(0, 0, -7)).Scan(&shown); err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		return shown
	}
	requireOld := func(when string, minutes uint64) {
		t.Helper()
		// More of the old interaction, and an interaction of its day that nobody knew.
		s.insert([]interactionPart{{Tenant: "acme", StartedAt: old.StartedAt, ID: old.ID, User: "ada", OutcomeRank: accepted}, event(10)}, nil)
		for range 2 {
			settleOnce(t.Context(), t, settler)
		}
		for _, c := range []struct {
			table string
			want  uint64
		}{{"rates", minutes}, {"rate_hours", 2}, {"rate_days", 2}, {"user_rate_hours", 2}} {
			if got := sums(c.table + " FINAL"); got != c.want {
				t.Errorf("%s: %s count %d shown on the old day, want %d", when, c.table, got, c.want)
			}
		}
		for _, table := range settledTables() {
			if dirty, err := settler.Look(t.Context(), table); err != nil || dirty.Dirty() != 0 {
				t.Errorf("%s: %d buckets of %s stay dirty, %v", when, dirty.Dirty(), table, err)
			}
		}
	}

	s.retain(warehouse.Ages{Interactions: 5}, "interactions", "opportunities")
	if rows := selectRows[interactionPart](s, "interactions"); len(rows) != 2 {
		t.Fatalf("%d interactions are left, want 2", len(rows))
	}
	requireOld("after the rows expired", 2)
	s.retain(warehouse.Ages{})
	requireOld("after the age was set to for ever", 2)
	s.retain(warehouse.Ages{Rates: 5}, "rates")
	requireOld("after the minutes expired", 0)
	s.retain(warehouse.Ages{})
	requireOld("after minutes are kept again", 0)

	// Younger days go on.
	s.insert([]interactionPart{event(3), event(0)}, nil)
	settleOnce(t.Context(), t, settler)
	young := s.settledIn("rate_days")
	shown := uint64(0)
	for _, row := range young {
		shown += row.Shown
	}
	if shown != 2+4 {
		t.Errorf("%d shown in days, want 6", shown)
	}
}

// TestStaleWriterOfAFrozenMinute leaves a minute of mixed versions alone: nothing could
// repair it.
func TestStaleWriterOfAFrozenMinute(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	settler := s.settler()
	at := time.Now().UTC().AddDate(0, 0, -10)
	s.insert([]interactionPart{{Tenant: "acme", StartedAt: at, ID: uuid.New(), ShownAt: at}}, nil)
	settleOnce(t.Context(), t, settler)
	s.retain(warehouse.Ages{Interactions: 5})
	s.exec("INSERT INTO rates (tenant, bucket, model, version, settled_at, shown) VALUES ('acme', ?, 'gone', 0, now64(3), 1)", at.Truncate(time.Minute))
	if got := settleOnce(t.Context(), t, settler); got != 0 {
		t.Errorf("settled %d minutes of a frozen day", got)
	}
}
