package processor

import (
	"context"
	_ "embed" // the statements
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

var (
	//go:embed settle/dirty.sql
	dirtySQL string
	//go:embed settle/dirty_lately.sql
	dirtyLatelySQL string
	//go:embed settle/mixed.sql
	mixedSQL string
	//go:embed settle/mixed_lately.sql
	mixedLatelySQL string
	//go:embed settle/recount.sql
	recountSQL string
	//go:embed settle/settled.sql
	settledSQL string
)

// findDirty returns the minutes whose data is newer than their rates.
func findDirty(ctx context.Context, conn driver.Conn) ([]minute, error) {
	return find(ctx, conn, "dirty minutes", dirtySQL)
}

// findDirtyLately is [findDirty] for the minutes that were touched since then.
func findDirtyLately(ctx context.Context, conn driver.Conn, since time.Time) ([]minute, error) {
	return find(ctx, conn, "dirty minutes", dirtyLatelySQL, clickhouse.Named("since_ms", since.UnixMilli()))
}

// findMixed returns those of the minutes in which rates of several versions count.
func findMixed(ctx context.Context, conn driver.Conn, minutes []minute) ([]minute, error) {
	return find(ctx, conn, "minutes of mixed versions", mixedSQL, parameters(minutes)...)
}

// findMixedLately is [findMixed] for the minutes that were settled lately.
func findMixedLately(ctx context.Context, conn driver.Conn) ([]minute, error) {
	return find(ctx, conn, "minutes of mixed versions", mixedLatelySQL)
}

// find runs a statement that gives minutes: tenant, start, version and when they
// were settled last.
func find(ctx context.Context, conn driver.Conn, what, sql string, args ...any) (minutes []minute, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("find %s: %w", what, err)
		}
	}()
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var m minute
		if err := rows.Scan(&m.tenant, &m.start, &m.version, &m.settledAt); err != nil {
			return nil, err
		}
		minutes = append(minutes, m)
	}
	return minutes, rows.Err()
}

// recount replaces the rates of the minutes by a recount.
func recount(ctx context.Context, conn driver.Conn, minutes []minute, cfg SettlerConfig) error {
	if err := conn.Exec(ctx, recountSQL, append(parameters(minutes), limits(cfg)...)...); err != nil {
		return fmt.Errorf("recount minutes: %w", err)
	}
	return nil
}

// limits returns the settings of what counts as the recount's parameters.
func limits(cfg SettlerConfig) []any {
	return []any{
		clickhouse.Named("min_read_us", cfg.MinRead.Microseconds()),
		clickhouse.Named("min_reject_us", cfg.MinReject.Microseconds()),
	}
}

// noteSettled stores the versions at which minutes were settled.
func noteSettled(ctx context.Context, conn driver.Conn, minutes []minute) error {
	if err := conn.Exec(ctx, settledSQL, parameters(minutes)...); err != nil {
		return fmt.Errorf("note settled minutes: %w", err)
	}
	return nil
}

// parameters returns minutes as the statements' parameters.
func parameters(minutes []minute) []any {
	tenants := make([]string, len(minutes))
	starts := make([]int64, len(minutes))
	versions := make([]uint64, len(minutes))
	for i, m := range minutes {
		tenants[i], starts[i], versions[i] = m.tenant, m.start.Unix(), m.version
	}
	return []any{
		clickhouse.Named("tenants", tenants),
		clickhouse.Named("minutes", starts),
		clickhouse.Named("versions", versions),
	}
}
