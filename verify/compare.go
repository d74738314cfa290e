package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// comparison compares a table with its recount.
type comparison struct {
	table     string
	width     int64
	want, got tally
}

func (c *comparison) user() bool { return c.table == tableUserHours || c.table == tableUserDays }

// read reads the stored rows of a part.
func (c *comparison) read(ctx context.Context, conn driver.Conn, one part) error {
	sql, args := ratesSQL, one.parameters()
	keys := len(dimensionNames)
	switch c.table {
	case tableUserHours:
		sql, keys = userHoursSQL, len(armNames)
	case tableUserDays:
		sql, keys = userDaysSQL, len(armNames)
	default:
		args = append(args, clickhouse.Named("table", c.table))
	}
	c.got = tally{}
	for r, err := range query(ctx, conn, sql, args) {
		if err == nil {
			at := bucket{r.text(), r.i64()}
			key := r.texts(keys)
			err = countsAt(c.got.at(at), key).read(&r, c.user())
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", c.table, err)
		}
	}
	return nil
}

// buckets are all that have rows, recounted or stored, or a version.
func (c *comparison) buckets(vs settledVersions) []bucket {
	all := map[bucket]bool{}
	for at := range c.want {
		all[at] = true
	}
	for at := range c.got {
		all[at] = true
	}
	if c.table == tableRates {
		for at := range vs.minutes {
			all[at] = true
		}
	}
	return slices.Collect(maps.Keys(all))
}

// compare adds the differences in a bucket.
func (c *comparison) compare(at bucket, f *finding) {
	want, got := c.want[at], c.got[at]
	keys := map[string]bool{}
	for key := range want {
		keys[key] = true
	}
	for key := range got {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		c.compareCounts(at, key, want[key], got[key], f)
	}
}

func (c *comparison) compareCounts(at bucket, key string, want, got *counts, f *finding) {
	if want.zero() && got.zero() {
		return
	}
	note := func(column, stored, recounted string) {
		f.add(Difference{Table: c.table, Key: c.describe(at, key), Column: column, Stored: stored, Recounted: recounted})
	}
	if want.zero() || got.zero() {
		note("row", got.String(), want.String())
		return
	}
	width := columns
	if c.user() {
		width = userColumns
	}
	for i := range width {
		if got.n[i] != want.n[i] {
			note(columnName(i), fmt.Sprint(got.n[i]), fmt.Sprint(want.n[i]))
		}
	}
	if c.user() {
		return
	}
	for bucket := range uint16(maxLatency) {
		if got.latency[bucket] != want.latency[bucket] {
			note(fmt.Sprintf("latency[%d]", bucket), fmt.Sprint(got.latency[bucket]), fmt.Sprint(want.latency[bucket]))
		}
	}
}

// describe names a row.
func (c *comparison) describe(at bucket, key string) string {
	names := dimensionNames
	if c.user() {
		names = armNames
	}
	column := "bucket"
	if c.table == tableUserDays {
		column = "day"
	}
	text := fmt.Sprintf("tenant=%s %s=%s", at.tenant, column, time.Unix(at.start, 0).UTC().Format(time.RFC3339))
	if key == "" {
		return text
	}
	if values := describe(names, key); values != "" {
		text += " " + values
	}
	return text
}
