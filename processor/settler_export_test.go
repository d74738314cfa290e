package processor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Settlement is a settlement of one table taken apart into its steps, for tests that
// interleave those of several settlers.
type Settlement struct {
	table   table
	of      *recounter
	cfg     SettlerConfig
	conn    driver.Conn
	buckets []bucket
}

// Look finds the dirty buckets of a table.
func (s *Settler) Look(ctx context.Context, name string) (*Settlement, error) {
	found := &Settlement{cfg: s.cfg, conn: s.db.Conn()}
	for _, r := range []*recounter{s.minutes, s.users} {
		if r.table.Name == name {
			found.table, found.of = r.table, r
		}
	}
	for _, t := range rollups() {
		if t.Name == name {
			found.table = t
		}
	}
	var err error
	found.buckets, err = found.table.findDirty(ctx, found.conn, selection{})
	return found, err
}

// Dirty is how many buckets were found.
func (t *Settlement) Dirty() int { return len(t.buckets) }

// Count counts or sums the buckets into another table than their own.
func (t *Settlement) Count(ctx context.Context, into string) error {
	if len(t.buckets) == 0 {
		return nil
	}
	file, args := "rollup.sql", parameters(t.buckets)
	if t.of != nil {
		file, args = "recount.sql", append(args, limits(t.cfg)...)
	}
	sql, err := t.table.statement(file, selection{})
	if err != nil {
		return err
	}
	return t.conn.Exec(ctx, strings.Replace(sql, "INSERT INTO "+t.table.Name+"\n", "INSERT INTO "+into+"\n", 1), args...)
}

// Write stores what was counted into the table, which is empty after it.
func (t *Settlement) Write(ctx context.Context, from string) error {
	for _, sql := range []string{"INSERT INTO " + t.table.Name + " SELECT * FROM " + from, "TRUNCATE TABLE " + from} {
		if err := t.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// Confirm does what a settler does after its counts are stored. It returns how many
// buckets another settler wrote to.
func (t *Settlement) Confirm(ctx context.Context) (mixed int, err error) {
	switch {
	case len(t.buckets) == 0:
		return 0, nil
	case t.of != nil:
		return t.of.confirm(ctx, t.buckets)
	default:
		return 0, t.table.note(ctx, t.conn, t.buckets)
	}
}

// Settle settles the buckets until a deadline.
func (t *Settlement) Settle(ctx context.Context, deadline time.Time) (settled, left int, err error) {
	p, err := t.of.settle(ctx, t.buckets, deadline)
	return len(p.settled), p.left, err
}

// Tick settles the minutes that received data lately, and their hours and days.
func (s *Settler) Tick(ctx context.Context) (int, error) { return s.tick(ctx) }

// TickUsers settles the rates of users in the hours that received data lately.
func (s *Settler) TickUsers(ctx context.Context) (int, error) { return s.tickUsers(ctx) }
