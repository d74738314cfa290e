package feedback

import (
	"cmp"
	"context"
	_ "embed" // the statement
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed rates.sql
var ratesSQL string

var ratesTemplate = template.Must(template.New("rates").Parse(ratesSQL))

// statement returns the query as SQL with placeholders for its values.
func (q query) statement() (string, error) {
	type condition struct{ Column, Values string }
	conditions := make([]condition, len(q.filters))
	for i, f := range q.filters {
		conditions[i] = condition{f.column, fmt.Sprintf("{values_%d:Array(String)}", i)}
	}
	values := map[string]any{"GroupBy": q.groupBy, "Keys": q.groupBy, "Filters": conditions, "Ranges": q.parts()}
	if q.width != anyWidth {
		values["Width"], values["Keys"] = q.width, append([]string{"bucket_start"}, q.groupBy...)
	}
	var sql strings.Builder
	if err := ratesTemplate.Execute(&sql, values); err != nil {
		return "", fmt.Errorf("render rates.sql: %w", err)
	}
	return sql.String(), nil
}

// part is a part of the time range, From to To (exclusive) in Unix seconds, and the
// table that it is read from.
type part struct {
	Table    string
	From, To uint32
}

// Threads is with how many threads ClickHouse reads the part when it is the only one: of
// days there are so few that waiting for several costs more than they save.
func (p part) Threads() string {
	if p.Table == "rate_days" {
		return "1"
	}
	return "'auto'"
}

// parts divides the time range: whole days in the middle, whole hours beside them,
// minutes at its ends. Days and hours are used only if no time bucket ends within one.
func (q query) parts() []part {
	parts := divide(part{"rates", q.from, q.to}, "rate_hours", hourSeconds, q.width)
	for i, p := range parts {
		if p.Table == "rate_hours" {
			return slices.Replace(parts, i, i+1, divide(p, "rate_days", daySeconds, q.width)...)
		}
	}
	return parts
}

// divide replaces the middle of a part, as far as it is made of whole units, by a part
// of another table. A range without an end is whole.
func divide(p part, table string, unit, width uint32) []part {
	if width != anyWidth && width%unit != 0 {
		return []part{p}
	}
	start := (uint64(p.From) + uint64(unit) - 1) / uint64(unit) * uint64(unit)
	end := p.To
	if end != math.MaxUint32 {
		end = end / unit * unit
	}
	if start >= uint64(end) {
		return []part{p}
	}
	parts := []part{{p.Table, p.From, uint32(start)}, {table, uint32(start), end}, {p.Table, end, p.To}}
	return slices.DeleteFunc(parts, func(p part) bool { return p.From == p.To })
}

// arguments returns the values of the statement's placeholders.
func (q query) arguments(tenant string, maxRows int) []any {
	args := []any{
		clickhouse.Named("tenant", tenant),
		clickhouse.Named("max_rows", maxRows),
	}
	for i, f := range q.filters {
		args = append(args, clickhouse.Named(fmt.Sprintf("values_%d", i), f.values))
	}
	return args
}

// priority is the nice value of the threads that work on a statement, where ClickHouse may
// set it (CAP_SYS_NICE): a statement takes 2 ms of CPU time, for which it waits ten times as
// long while events come in as fast as the machine allows. It is no part of the statement,
// whose settings do not count for the thread that reads them.
const priority = -10

// run returns up to maxRows rows of a tenant's rates, ordered by time bucket and group.
func (q query) run(ctx context.Context, conn driver.Conn, tenant string, maxRows int) (found []*counted, err error) {
	sql, err := q.statement()
	if err != nil {
		return nil, err
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"os_thread_priority": priority}))
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
		row := &counted{group: make([]string, len(q.groupBy))}
		if err := row.scan(rows, q); err != nil {
			return nil, fmt.Errorf("read rates: %w", err)
		}
		if row.counting() {
			found = append(found, row)
		}
	}
	slices.SortFunc(found, func(a, b *counted) int {
		return cmp.Or(a.start.Compare(b.start), slices.Compare(a.group, b.group))
	})
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

	taskResults                    [9]uint64
	retentionCount, retained, base [7]uint64
	fourGramSum, fourGramCount     [7]uint64
	latency                        map[uint16]uint64
}

// counting reports whether the row counts anything: rows remain of what has vanished.
func (c *counted) counting() bool {
	return c.opportunities+c.shown+c.notShown+c.autoAccepted+c.thumbsUp+c.thumbsDown > 0
}

// scan reads a row of the statement's result.
func (c *counted) scan(rows driver.Rows, q query) error {
	var into []any
	if q.width != anyWidth {
		into = append(into, &c.start)
	}
	for i := range c.group {
		into = append(into, &c.group[i])
	}
	var sums []uint64
	if err := rows.Scan(append(into, &c.newest, &c.settledAt, &sums, &c.latency)...); err != nil {
		return err
	}
	c.take(sums)
	return nil
}

// take takes the sums of the column counts, in its order (migration 0014). Of no rows
// there are none.
func (c *counted) take(sums []uint64) {
	single := []*uint64{
		&c.opportunities, &c.notProduced, &c.shown, &c.notShown, &c.read,
		&c.accepted, &c.partiallyAccepted, &c.acceptedModified, &c.autoAccepted,
		&c.rejected, &c.ignored, &c.superseded, &c.cancelled, &c.undecided,
		&c.thumbsUp, &c.thumbsDown, &c.shownChars, &c.acceptChars,
	}
	for i := 0; i < len(single) && i < len(sums); i++ {
		*single[i] = sums[i]
	}
	sums = sums[min(len(single), len(sums)):]
	for _, several := range [][]uint64{
		c.taskResults[:], c.retentionCount[:], c.retained[:], c.base[:], c.fourGramSum[:], c.fourGramCount[:],
	} {
		sums = sums[copy(several, sums):]
	}
}
