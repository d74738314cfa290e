package warehouse

import (
	"strings"
	"testing"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

func migrated(t *testing.T) *DB {
	t.Helper()
	db := open(t, enginetest.DSN(t))
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func exec(t *testing.T, db *DB, sql string) {
	t.Helper()
	if err := db.Conn().Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func retain(t *testing.T, db *DB, ages Ages) {
	t.Helper()
	if err := db.Retain(t.Context(), ages); err != nil {
		t.Fatalf("Retain(%+v): %v", ages, err)
	}
}

// frozenDays is before how many days ago a table's rows are frozen; more than 10,000 for
// none.
func frozenDays(t *testing.T, db *DB, table string) uint64 {
	t.Helper()
	return number(t, db, "SELECT toUInt64(dateDiff('day', max(before), now('UTC'))) FROM frozen WHERE name = '"+table+"'")
}

// TestRetainDropsByAge inserts rows of each of some days and looks at which are left.
func TestRetainDropsByAge(t *testing.T) {
	t.Parallel()
	for _, existing := range []bool{false, true} {
		db := migrated(t)
		fill := func() {
			for _, table := range (Ages{}).tables() {
				exec(t, db, "INSERT INTO "+table.name+" (tenant, "+table.column+") SELECT 'acme', now() - toIntervalDay(number) FROM numbers(12)")
			}
		}
		if existing {
			fill()
		}
		retain(t, db, Ages{Interactions: 6, Content: 1, Edits: 2, Steps: 3, Rates: 4, Rollups: 8})
		if !existing {
			fill()
		}
		for table, days := range map[string]uint64{
			"interactions": 7, "opportunities": 7, "content": 2, "edits": 3, "steps": 4,
			"rates": 5, "rate_hours": 9, "rate_days": 9, "user_rate_hours": 9,
		} {
			if existing {
				exec(t, db, "ALTER TABLE "+table+" MATERIALIZE TTL SETTINGS mutations_sync = 1")
			}
			exec(t, db, "OPTIMIZE TABLE "+table+" FINAL")
			if got := number(t, db, "SELECT count() FROM "+table+" FINAL"); got != days {
				t.Errorf("rows of %d days are left in %s, want %d (rows before the age was set: %v)", got, table, days, existing)
			}
		}
		retain(t, db, Ages{})
		if got := number(t, db, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND engine_full LIKE '% TTL %'"); got != 0 {
			t.Errorf("%d tables still drop rows", got)
		}
	}
}

// TestRetainChangesWhatDiffers looks at whether tables are altered.
func TestRetainChangesWhatDiffers(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	state := func() uint64 {
		return number(t, db, `SELECT sum(cityHash64(name, engine_full, metadata_modification_time, metadata_version)) + (SELECT count() FROM ages)
			FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE 'schema%'`)
	}
	before := state()
	retain(t, db, Ages{})
	if state() != before {
		t.Error("tables were altered to keep rows for ever, as they do")
	}
	ages := Ages{Interactions: 30, Rates: 5}
	retain(t, db, ages)
	if state() == before {
		t.Fatal("nothing was altered")
	}
	before = state()
	retain(t, db, ages)
	if state() != before {
		t.Error("tables were altered that have their age")
	}
	// A process that died after the first of its steps.
	exec(t, db, "ALTER TABLE rates REMOVE TTL")
	retain(t, db, ages)
	if got, err := db.ttlOf(t.Context(), ages.tables()[5]); err != nil || got != ages.tables()[5].ttl() {
		t.Errorf("rates live for %q, %v; want %q", got, err, ages.tables()[5].ttl())
	}
}

// TestWhatMayBeGoneStaysFrozen changes the age again and again.
func TestWhatMayBeGoneStaysFrozen(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	for _, step := range []struct {
		days int
		want uint64
	}{
		{days: 30, want: 29},
		{days: 10, want: 9},
		{days: 0, want: 9},
		{days: 400, want: 9},
		{days: 5, want: 4},
		{days: 20, want: 4},
	} {
		retain(t, db, Ages{Interactions: step.days})
		for _, table := range []string{"interactions", "opportunities"} {
			if got := frozenDays(t, db, table); got != step.want {
				t.Errorf("age of %d days: %s frozen before %d days ago, want %d", step.days, table, got, step.want)
			}
		}
		if got := frozenDays(t, db, "rates"); got < 10_000 {
			t.Errorf("rates are frozen before %d days ago", got)
		}
	}
	// A late start finds what expired meanwhile frozen.
	exec(t, db, "INSERT INTO ages VALUES ('steps', now64(6), 7, 0)")
	if got := frozenDays(t, db, "steps"); got != 6 {
		t.Errorf("frozen before %d days ago, want 6", got)
	}
}

func TestAgesValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ages Ages
		want string
	}{
		"for ever":            {Ages{}, ""},
		"shortest":            {Ages{2, 1, 1, 1, 2, 2}, ""},
		"negative":            {Ages{Content: -1}, "age of content"},
		"too long":            {Ages{Steps: 20_001}, "at most 20000 d"},
		"a day of rates":      {Ages{Rates: 1}, "age of rates 1 d: at least 2 d"},
		"a day of raw rows":   {Ages{Interactions: 1}, "age of interactions 1 d: at least 2 d"},
		"rollups before all":  {Ages{Rollups: 30}, "reports read rollups"},
		"rollups before some": {Ages{Rates: 31, Rollups: 30}, "reports read rollups"},
	} {
		err := c.ages.Validate()
		if got := errorText(err); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if err := (&DB{}).Retain(t.Context(), Ages{Rates: 1}); err == nil {
		t.Error("ages that are not valid were set")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
