package warehouse

import (
	"context"
	"fmt"
)

// CheckSchema says how many migrations the database has and how many this program
// knows. It changes nothing. An error says that the two cannot work together.
func (db *DB) CheckSchema(ctx context.Context) (has, knows int, err error) {
	all, err := migrations(migrationFiles)
	if err != nil {
		return 0, 0, err
	}
	applied, err := db.applied(ctx)
	if err != nil {
		return 0, len(all), err
	}
	return len(applied), len(all), checkApplied(all, applied)
}

// UnnotedAges names the tables that drop rows by an age that [DB.Retain] did not set,
// so that settlers do not know what is gone. It changes nothing.
func (db *DB) UnnotedAges(ctx context.Context) (tables []string, err error) {
	for _, t := range (Ages{}).tables() {
		if t.days, err = db.notedAge(ctx, t); err != nil {
			return nil, fmt.Errorf("read age of %s: %w", t.name, err)
		}
		has, err := db.ttlOf(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("read age of %s: %w", t.name, err)
		}
		if has != t.ttl() {
			tables = append(tables, t.name)
		}
	}
	return tables, nil
}
