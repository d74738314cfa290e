package processor

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed settle/*.sql
var settleFiles embed.FS

// statement renders a file of settle/ for a table and some of its buckets.
func (t table) statement(file string, which selection) (string, error) {
	parsed, err := template.ParseFS(settleFiles, "settle/"+file)
	if err != nil {
		return "", fmt.Errorf("parse statement: %w", err)
	}
	var sql strings.Builder
	data := struct {
		table
		Where string
	}{t, which.set}
	if err := parsed.Execute(&sql, data); err != nil {
		return "", fmt.Errorf("render statement: %w", err)
	}
	return sql.String(), nil
}

// selection is some buckets of a table: a set in SQL, and its parameters. The zero value
// leaves the choice to the statement.
type selection struct {
	set  string
	args []any
}

// these selects buckets by name.
func these(buckets []bucket) selection {
	return selection{
		set:  "arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))})",
		args: parameters(buckets),
	}
}

// touchedSince selects the buckets that were touched since then.
func (t table) touchedSince(since time.Time) selection {
	return selection{
		set: "(SELECT tenant, " + t.Start + "(bucket) FROM bucket_touches" +
			" WHERE touched_at >= fromUnixTimestamp64Milli({since_ms:Int64}))",
		args: []any{clickhouse.Named("since_ms", since.UnixMilli())},
	}
}

// findDirty returns those of the buckets, by default of all, whose data is newer than
// they are.
func (t table) findDirty(ctx context.Context, conn driver.Conn, which selection) ([]bucket, error) {
	return t.find(ctx, conn, "dirty.sql", which)
}

// findMixed returns those of the buckets, by default of those settled lately, in which
// counts of several versions are.
func (t table) findMixed(ctx context.Context, conn driver.Conn, which selection) ([]bucket, error) {
	return t.find(ctx, conn, "mixed.sql", which)
}

// find runs a statement that gives buckets: tenant, start, version and when they were
// settled last.
func (t table) find(ctx context.Context, conn driver.Conn, file string, which selection) (found []bucket, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("find buckets of %s by %s: %w", t.Name, file, err)
		}
	}()
	sql, err := t.statement(file, which)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, sql, which.args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var b bucket
		if err := rows.Scan(&b.tenant, &b.start, &b.version, &b.settledAt); err != nil {
			return nil, err
		}
		found = append(found, b)
	}
	return found, rows.Err()
}

// recount replaces buckets by a recount.
func (t table) recount(ctx context.Context, conn driver.Conn, buckets []bucket, cfg SettlerConfig) error {
	return t.exec(ctx, conn, "recount.sql", buckets, limits(cfg)...)
}

// rollUp replaces buckets by the sums of the shorter ones.
func (t table) rollUp(ctx context.Context, conn driver.Conn, buckets []bucket) error {
	return t.exec(ctx, conn, "rollup.sql", buckets)
}

// touch touches the first minute of buckets, so that they are dirty.
func (t table) touch(ctx context.Context, conn driver.Conn, buckets []bucket) error {
	return t.exec(ctx, conn, "touch.sql", buckets)
}

// note stores the versions at which buckets were settled.
func (t table) note(ctx context.Context, conn driver.Conn, buckets []bucket) error {
	return t.exec(ctx, conn, "note.sql", buckets)
}

// exec runs a statement for buckets; none are no work.
func (t table) exec(ctx context.Context, conn driver.Conn, file string, buckets []bucket, args ...any) error {
	if len(buckets) == 0 {
		return nil
	}
	sql, err := t.statement(file, selection{})
	if err == nil {
		err = conn.Exec(ctx, sql, append(parameters(buckets), args...)...)
	}
	if err != nil {
		return fmt.Errorf("settle %d buckets of %s by %s: %w", len(buckets), t.Name, file, err)
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

// parameters returns buckets as the statements' parameters.
func parameters(buckets []bucket) []any {
	tenants := make([]string, len(buckets))
	starts := make([]int64, len(buckets))
	versions := make([]uint64, len(buckets))
	for i, b := range buckets {
		tenants[i], starts[i], versions[i] = b.tenant, b.start.Unix(), b.version
	}
	return []any{
		clickhouse.Named("tenants", tenants),
		clickhouse.Named("starts", starts),
		clickhouse.Named("versions", versions),
	}
}
