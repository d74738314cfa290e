package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
)

// maxNamed is how many rows of a finding are named.
const maxNamed = 3

// Kind says what a finding breaks.
type Kind string

// The kinds of findings.
const (
	// Lost: an acknowledged event has no effect.
	Lost Kind = "lost"
	// Duplicated: something counts more often than it was sent, or a value is larger.
	Duplicated Kind = "duplicated"
	// Invented: a row that nobody sent.
	Invented Kind = "invented"
)

// Finding is one way in which a table contradicts the ledger.
type Finding struct {
	Kind  Kind
	Table string
	// Rows is how many rows, or how much of a count.
	Rows uint64
	// Detail names some of them.
	Detail string
}

// String is the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %d (%s)", f.Kind, f.Table, f.Rows, f.Detail)
}

// Check compares the tables with the ledger until nothing contradicts it, or for the time
// of patience and at least once: processors and settlers may still be at work when it
// begins. It returns what contradicted the ledger at last. Nothing may be sent meanwhile.
// An error says that the tables could not be read before ctx ended.
//
// Every effect of the acknowledged events must be there, and none that neither they nor
// the unknown ones have: rows are compared column by column with what processor/signal
// makes of the events, rates with the ledger's own tally and with the rows. It makes
// tables of its own, whose names begin with "ledger_", in the same database.
func (l *Ledger) Check(ctx context.Context, db *warehouse.DB, patience time.Duration) ([]Finding, error) {
	c := &check{ledger: l, db: db}
	began := time.Now()
	for {
		findings, err := c.once(ctx)
		if err == nil && (len(findings) == 0 || time.Since(began) > patience) {
			return findings, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(settlePoll):
		}
	}
}

// once makes every comparison, after the preparation if it is the first time.
func (c *check) once(ctx context.Context) ([]Finding, error) {
	if !c.prepared {
		if err := c.prepare(ctx); err != nil {
			return nil, err
		}
	}
	return c.compare(ctx)
}

// check is one comparison.
type check struct {
	ledger   *Ledger
	db       *warehouse.DB
	prepared bool
	columns  map[string][]column
}

// column is one of a table that merges by value.
type column struct{ name, kind string }

// merging are the tables whose rows merge by column, with their keys.
var merging = map[string]string{"interactions": "interaction_id", "opportunities": "opportunity_id", "content": "id"}

// listing are the tables of single events.
var listing = []string{"edits", "steps"}

// tables are all that hold rows of events, in a fixed order.
func tables() []string {
	return append([]string{"interactions", "opportunities", "content"}, listing...)
}

// prepare stores what the acknowledged events imply, and what all do that may be stored.
func (c *check) prepare(ctx context.Context) error {
	c.columns = map[string][]column{}
	for _, table := range tables() {
		if err := c.describe(ctx, table); err != nil {
			return err
		}
		for _, kind := range []string{least(table), most(table)} {
			for _, sql := range []string{"DROP TABLE IF EXISTS " + kind + " SYNC", "CREATE TABLE " + kind + " AS " + table} {
				if err := c.db.Conn().Exec(ctx, sql); err != nil {
					return fmt.Errorf("make table %s: %w", kind, err)
				}
			}
		}
	}
	sure, possible, err := c.ledger.fold()
	if err != nil {
		return err
	}
	if err := errors.Join(c.store(ctx, sure, least), c.store(ctx, possible, most)); err != nil {
		return err
	}
	c.prepared = true
	return nil
}

func least(table string) string { return "ledger_least_" + table }
func most(table string) string  { return "ledger_most_" + table }

func (c *check) describe(ctx context.Context, table string) error {
	rows, err := c.db.Conn().Query(ctx, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = ? ORDER BY position", table)
	if err != nil {
		return fmt.Errorf("describe %s: %w", table, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one column
		if err := rows.Scan(&one.name, &one.kind); err != nil {
			return fmt.Errorf("describe %s: %w", table, err)
		}
		c.columns[table] = append(c.columns[table], one)
	}
	return rows.Err()
}

// fold makes rows of the acknowledged events, and of all that may be stored.
func (l *Ledger) fold() (sure, possible *signal.Batch, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sure, possible = new(signal.Batch), new(signal.Batch)
	for _, e := range l.events {
		switch e.state() {
		case Acknowledged:
			err = errors.Join(sure.Add(e.tenant, e.event), possible.Add(e.tenant, e.event))
		case Unknown:
			err = possible.Add(e.tenant, e.event)
		case Refused:
		}
		if err != nil {
			return nil, nil, fmt.Errorf("fold events: %w", err)
		}
	}
	return sure, possible, nil
}

func (c *check) store(ctx context.Context, b *signal.Batch, name func(string) string) error {
	return errors.Join(
		insert(ctx, c.db, name("interactions"), warehouse.NewInteractions(), b.Interactions),
		insert(ctx, c.db, name("opportunities"), warehouse.NewOpportunities(), b.Opportunities),
		insert(ctx, c.db, name("content"), warehouse.NewContent(), b.Content),
		insert(ctx, c.db, name("edits"), warehouse.NewEdits(), b.Edits),
		insert(ctx, c.db, name("steps"), warehouse.NewSteps(), b.Steps),
	)
}

func insert[R any](ctx context.Context, db *warehouse.DB, table string, columns *warehouse.Table[R], rows []R) error {
	columns.Append(rows)
	return db.Insert(ctx, table, columns)
}

// compare makes every comparison once.
func (c *check) compare(ctx context.Context) ([]Finding, error) {
	var findings []Finding
	for _, table := range tables() {
		compare := c.compareListing
		if _, ok := merging[table]; ok {
			compare = c.compareMerging
		}
		found, err := compare(ctx, table)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	rates, err := c.compareRates(ctx)
	return append(findings, rates...), err
}

// compareMerging compares a table whose rows merge: each column lies between what the
// acknowledged events alone and all events make of it.
func (c *check) compareMerging(ctx context.Context, table string) ([]Finding, error) {
	key := merging[table]
	var below []string
	for _, col := range c.columns[table] {
		if strings.HasPrefix(col.kind, "SimpleAggregateFunction") {
			below = append(below, fmt.Sprintf("if(%s, '%s', '')", exceeds(col), col.name))
		}
	}
	query := func(small, large, which string) string {
		return fmt.Sprintf(`SELECT toString(s.%[1]s) AS id, if(l.tenant = '', 'no row', arrayStringConcat(arrayFilter(c -> c != '', [%[2]s]), ' ')) AS what
			FROM (SELECT * FROM %[3]s FINAL) AS s LEFT JOIN (SELECT * FROM %[4]s FINAL) AS l ON s.tenant = l.tenant AND s.started_at = l.started_at AND s.%[1]s = l.%[1]s
			WHERE what != '' AND %[5]s`, key, strings.Join(below, ", "), small, large, which)
	}
	lost, err := c.find(ctx, Lost, table, query(least(table), table, "true"))
	if err != nil {
		return nil, err
	}
	twice, err := c.find(ctx, Duplicated, table, query(table, most(table), "what != 'no row'"))
	if err != nil {
		return nil, err
	}
	invented, err := c.find(ctx, Invented, table, query(table, most(table), "what = 'no row'"))
	return slices.Concat(lost, twice, invented), err
}

// exceeds says in SQL that s has more of a column than l.
func exceeds(col column) string {
	small, large := "s."+col.name, "l."+col.name
	switch {
	case strings.Contains(col.kind, "groupBitOr"):
		return fmt.Sprintf("bitAnd(%s, %s) != %s", small, large, small)
	case strings.Contains(col.kind, "Nullable"):
		return fmt.Sprintf("ifNull(toFloat64(%s), -1e300) > ifNull(toFloat64(%s), -1e300)", small, large)
	default:
		return small + " > " + large
	}
}

// compareListing compares a table of single events: each is there once, as it was sent.
func (c *check) compareListing(ctx context.Context, table string) ([]Finding, error) {
	query := func(small, large string) string {
		return fmt.Sprintf("SELECT toString(event_id) AS id, 'no row' AS what FROM (SELECT * FROM %s FINAL EXCEPT SELECT * FROM %s FINAL)", small, large)
	}
	lost, err := c.find(ctx, Lost, table, query(least(table), table))
	if err != nil {
		return nil, err
	}
	invented, err := c.find(ctx, Invented, table, query(table, most(table)))
	if err != nil {
		return nil, err
	}
	twice, err := c.find(ctx, Duplicated, table,
		fmt.Sprintf("SELECT toString(event_id) AS id, toString(count()) AS what FROM %s FINAL GROUP BY tenant, event_id HAVING count() > 1", table))
	return slices.Concat(lost, invented, twice), err
}

// find counts and names the rows that a query, of columns id and what, returns.
func (c *check) find(ctx context.Context, kind Kind, table, query string) ([]Finding, error) {
	f := Finding{Kind: kind, Table: table}
	var named []string
	sql := fmt.Sprintf("SELECT count(), groupArray(%d)(concat(id, ': ', what)) FROM (%s)", maxNamed, query)
	if err := c.db.Conn().QueryRow(ctx, sql).Scan(&f.Rows, &named); err != nil {
		return nil, fmt.Errorf("compare %s: %w", table, err)
	}
	if f.Rows == 0 {
		return nil, nil
	}
	f.Detail = strings.Join(named, "; ")
	return []Finding{f}, nil
}
