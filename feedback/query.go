package feedback

import (
	"context"
	_ "embed" // the statement
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed rates.sql
var ratesSQL string

// statement returns the query as SQL with placeholders for its values.
func (q query) statement() (string, error) {
	type condition struct{ Column, Values string }
	conditions := make([]condition, len(q.filters))
	for i, f := range q.filters {
		conditions[i] = condition{f.column, fmt.Sprintf("{values_%d:Array(String)}", i)}
	}
	parsed, err := template.New("rates").Parse(ratesSQL)
	if err != nil {
		return "", fmt.Errorf("parse rates.sql: %w", err)
	}
	var sql strings.Builder
	if err := parsed.Execute(&sql, map[string]any{"GroupBy": q.groupBy, "Filters": conditions}); err != nil {
		return "", fmt.Errorf("render rates.sql: %w", err)
	}
	return sql.String(), nil
}

// arguments returns the values of the statement's placeholders.
func (q query) arguments(tenant string, maxRows int) []any {
	args := []any{
		clickhouse.Named("tenant", tenant),
		clickhouse.Named("from_s", q.from),
		clickhouse.Named("to_s", q.to),
		clickhouse.Named("width_s", q.width),
		clickhouse.Named("max_rows", maxRows),
	}
	for i, f := range q.filters {
		args = append(args, clickhouse.Named(fmt.Sprintf("values_%d", i), f.values))
	}
	return args
}

// run returns up to maxRows rows of a tenant's rates, ordered by time bucket and
// group.
func (q query) run(ctx context.Context, conn driver.Conn, tenant string, maxRows int) (found []*counted, err error) {
	sql, err := q.statement()
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, sql, q.arguments(tenant, maxRows)...)
	if err != nil {
		return nil, fmt.Errorf("query rates: %w", err)
	}
	defer func() {
		if closing := rows.Close(); err == nil && closing != nil {
			err = fmt.Errorf("query rates: %w", closing)
		}
	}()
	for rows.Next() {
		row := new(counted)
		if err := rows.Scan(row.fields()...); err != nil {
			return nil, fmt.Errorf("read rates: %w", err)
		}
		found = append(found, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read rates: %w", err)
	}
	return found, nil
}

// counted is a row of the statement's result: what was counted in a group.
type counted struct {
	start time.Time
	group []string
	// newest is the newest minute that counts, settledAt when it was settled.
	newest, settledAt time.Time

	opportunities, notProduced, shown, notShown, read        uint64
	accepted, partiallyAccepted, acceptedModified            uint64
	autoAccepted, rejected, ignored, superseded, cancelled   uint64
	undecided, thumbsUp, thumbsDown, shownChars, acceptChars uint64

	taskResults                    []uint64
	retentionCount, retained, base []uint64
	fourGramSum, fourGramCount     []uint64
	latency                        map[uint16]uint64
}

// fields returns where the columns of the result go, in their order.
func (c *counted) fields() []any {
	return []any{
		&c.start, &c.group, &c.newest, &c.settledAt,
		&c.opportunities, &c.notProduced, &c.shown, &c.notShown, &c.read,
		&c.accepted, &c.partiallyAccepted, &c.acceptedModified, &c.autoAccepted,
		&c.rejected, &c.ignored, &c.superseded, &c.cancelled, &c.undecided,
		&c.thumbsUp, &c.thumbsDown, &c.shownChars, &c.acceptChars,
		&c.taskResults,
		&c.retentionCount, &c.retained, &c.base,
		&c.fourGramSum, &c.fourGramCount,
		&c.latency,
	}
}
