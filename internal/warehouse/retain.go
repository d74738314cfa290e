package warehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// maxDays is the longest age: what is older was before the times that tables hold.
const maxDays = 20_000

// Ages says for how many days tables keep their rows; 0 is for ever. Days are those of
// the time that is inside the ids, in UTC: a day is dropped when all of it is older.
type Ages struct {
	// Interactions is for interactions and opportunities. Late events of a day that is
	// dropped, or will be within a day, count no more in rates.
	Interactions int
	Content      int
	Edits        int
	Steps        int
	// Rates is for the counts per minute.
	Rates int
	// Rollups is for the sums of rates per hour and day, and for the rates of users.
	Rollups int
}

// Validate returns everything that is wrong with the ages, or nil.
func (a Ages) Validate() error {
	var errs []error
	for _, t := range a.tables() {
		switch {
		case t.days < 0 || t.days > maxDays:
			errs = append(errs, fmt.Errorf("age of %s %d d: at most %d d are possible, 0 keeps rows for ever", t.name, t.days, maxDays))
		case t.counts && t.days == 1:
			errs = append(errs, fmt.Errorf("age of %s 1 d: at least 2 d are needed, so that what arrives within a day after the end of a day counts", t.name))
		}
	}
	if a.Rollups > 0 && (a.Rates == 0 || a.Rollups < a.Rates) {
		errs = append(errs, errors.New("the age of rollups is less than that of rates: reports read rollups, so they have to be kept at least as long"))
	}
	return errors.Join(errs...)
}

// agedTable is a table with an age.
type agedTable struct {
	name, column string
	days         int
	// counts is set when others are made of the table's rows, or they are counts.
	counts bool
	// daily is set when the table is partitioned by day, so that whole parts expire.
	daily bool
}

func (a Ages) tables() []agedTable {
	return []agedTable{
		{"interactions", "started_at", a.Interactions, true, true},
		{"opportunities", "started_at", a.Interactions, true, true},
		{"content", "started_at", a.Content, false, true},
		{"edits", "session_started_at", a.Edits, false, true},
		{"steps", "session_started_at", a.Steps, false, true},
		{"rates", "bucket", a.Rates, true, false},
		{"rate_hours", "bucket", a.Rollups, true, false},
		{"rate_days", "bucket", a.Rollups, true, false},
		{"user_rate_hours", "bucket", a.Rollups, true, false},
	}
}

// ttl is the table's time to live as ClickHouse writes it: a day after the rows froze
// (migration 0022).
func (t agedTable) ttl() string {
	if t.days == 0 {
		return ""
	}
	return fmt.Sprintf("toStartOfDay(%s) + toIntervalDay(%d)", t.column, t.days+1)
}

// Retain makes the tables drop rows by age from now on. Processes that start at once
// take turns; of different ages the last ones apply. A table that has its age already is
// left alone.
//
// What may be gone is frozen, before it can be, for settlers of whatever process, and
// stays frozen when an age grows later: rates are never made again from what has been
// dropped.
func (db *DB) Retain(ctx context.Context, ages Ages) error {
	if err := ages.Validate(); err != nil {
		return fmt.Errorf("set ages: %w", err)
	}
	unlock, err := db.lockSchema(ctx)
	if err != nil {
		return err
	}
	for _, t := range ages.tables() {
		if err = db.retain(ctx, t); err != nil {
			err = fmt.Errorf("set age of %s: %w", t.name, err)
			break
		}
	}
	return errors.Join(err, unlock())
}

// retain sets a table's age. It freezes before rows can be dropped, and thaws nothing
// before they are kept: a process may die at any point.
func (db *DB) retain(ctx context.Context, t agedTable) error {
	noted, err := db.notedAge(ctx, t)
	if err != nil {
		return err
	}
	has, err := db.ttlOf(ctx, t)
	if err != nil || has == t.ttl() && noted == t.days {
		return err
	}
	if t.days > 0 && (noted == 0 || t.days < noted) {
		if err := db.noteAge(ctx, t); err != nil {
			return err
		}
		noted = t.days
	}
	if has != t.ttl() {
		if err := db.alterTTL(ctx, t); err != nil {
			return err
		}
	}
	if noted != t.days {
		if err := db.noteAge(ctx, t); err != nil {
			return err
		}
	}
	db.log.Info("rows expire by age", slog.String("table", t.name), slog.Int("days", t.days))
	return nil
}

// notedAge is the age that settlers go by.
func (db *DB) notedAge(ctx context.Context, t agedTable) (int, error) {
	var days uint32
	err := db.conn.QueryRow(ctx, "SELECT max(days) FROM ages FINAL WHERE name = ?", t.name).Scan(&days)
	return int(days), err
}

// noteAge notes the table's age, and as frozen what was by the earlier ones.
func (db *DB) noteAge(ctx context.Context, t agedTable) error {
	return db.conn.Exec(ctx, `INSERT INTO ages (name, changed_at, days, frozen_before)
		SELECT ?, now64(6), ?, (SELECT max(before) FROM frozen WHERE name = ?)`, t.name, t.days, t.name)
}

// ttlOf is the time to live that the table has; empty if none. Of a cluster's servers of
// which only some know it, it is no time to live that a table can have.
func (db *DB) ttlOf(ctx context.Context, t agedTable) (string, error) {
	var ttls []string
	err := db.conn.QueryRow(ctx, `SELECT groupUniqArray(extract(engine_full, ' TTL (.*?)(?: SETTINGS |$)')) FROM `+db.System("tables")+`
		WHERE database = ? AND name = ?`, db.database, db.Stored(t.name)).Scan(&ttls)
	return strings.Join(ttls, " or "), err
}

func (db *DB) alterTTL(ctx context.Context, t agedTable) error {
	alter := "ALTER TABLE " + db.Stored(t.name) + db.cluster.onCluster()
	if t.days == 0 {
		return db.everywhere(ctx, alter+" REMOVE TTL")
	}
	if t.daily {
		// Parts are dropped whole, and none is rewritten to learn its new age.
		if err := db.everywhere(ctx, alter+" MODIFY SETTING ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1"); err != nil {
			return err
		}
	}
	// Parts learn it in the background.
	return db.everywhere(ctx, alter+" MODIFY TTL "+t.ttl()+" SETTINGS alter_sync = 0")
}
