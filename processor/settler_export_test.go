package processor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Settlement is a settlement taken apart into its steps, for tests that interleave
// those of several settlers.
type Settlement struct {
	settler *Settler
	minutes []minute
}

// Look finds the dirty minutes.
func (s *Settler) Look(ctx context.Context) (*Settlement, error) {
	minutes, err := findDirty(ctx, s.db.Conn())
	return &Settlement{settler: s, minutes: minutes}, err
}

// Count counts the minutes into another table than rates.
func (t *Settlement) Count(ctx context.Context, table string) error {
	if len(t.minutes) == 0 {
		return nil
	}
	args := append(parameters(t.minutes), limits(t.settler.cfg)...)
	return t.settler.db.Conn().Exec(ctx, strings.Replace(recountSQL, "INSERT INTO rates\n", "INSERT INTO "+table+"\n", 1), args...)
}

// Write stores what was counted into the table, which is empty after it.
func (t *Settlement) Write(ctx context.Context, table string) error {
	for _, sql := range []string{"INSERT INTO rates SELECT * FROM " + table, "TRUNCATE TABLE " + table} {
		if err := t.settler.db.Conn().Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// Confirm does what a settler does after its rates are stored. It returns how many
// minutes it had to settle again.
func (t *Settlement) Confirm(ctx context.Context) (again int, err error) {
	if len(t.minutes) == 0 {
		return 0, nil
	}
	mixed, err := t.settler.confirm(ctx, t.minutes)
	if err != nil {
		return 0, err
	}
	again, _, err = t.settler.settle(ctx, mixed, time.Time{})
	return again, err
}

// Settle settles the minutes until a deadline.
func (t *Settlement) Settle(ctx context.Context, deadline time.Time) (settled, left int, err error) {
	return t.settler.settle(ctx, t.minutes, deadline)
}
