package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/processor"
)

type deadLetterListCmd struct {
	deadLetterSettings
	deadLetterFilter
	By     string `enum:"letter,reason" default:"letter" help:"One row per letter, or one per reason, without the values in it, with how many there are (${enum})."`
	Limit  int    `default:"100" help:"Rows to show at most. 0: all."`
	Output string `enum:"table,json" default:"table" help:"Form of the output (${enum}). json is one object a line."`
}

// letterRow is a dead letter without its events.
type letterRow struct {
	Number   uint64        `json:"number"`
	Time     time.Time     `json:"time"`
	Lane     eventlog.Lane `json:"lane"`
	Tenant   string        `json:"tenant"`
	Events   int           `json:"events"`
	Bytes    int           `json:"bytes"`
	Sequence uint64        `json:"sequence"`
	Table    string        `json:"table,omitempty"`
	Reason   string        `json:"reason"`
}

func rowOf(d eventlog.DeadLetter) letterRow {
	return letterRow{
		Number: d.Number, Time: d.Time.UTC(), Lane: d.Lane, Tenant: d.Tenant, Events: processor.EventCount(d.Batch),
		Bytes: len(d.Batch), Sequence: d.Sequence, Table: d.Table, Reason: d.Reason,
	}
}

// reasonRow is what the letters with one reason have in common.
type reasonRow struct {
	Letters int       `json:"letters"`
	Events  int       `json:"events"`
	Bytes   int       `json:"bytes"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Reason  string    `json:"reason"`
}

func (r *reasonRow) add(d letterRow) {
	if r.Letters == 0 {
		r.First, r.Reason = d.Time, d.Reason
	}
	r.Letters++
	r.Events += d.Events
	r.Bytes += d.Bytes
	r.Last = d.Time
}

// Run lists dead letters. It holds what it shows in memory and no events.
func (c *deadLetterListCmd) Run(ctx context.Context, env environment) error {
	return c.with(ctx, env, func(log *eventlog.Log) error {
		if c.By == "reason" {
			return c.byReason(ctx, env, log)
		}
		return c.byLetter(ctx, env, log)
	})
}

func (c *deadLetterListCmd) byLetter(ctx context.Context, env environment, log *eventlog.Log) error {
	var rows []letterRow
	found := 0
	for letter, err := range c.matching(ctx, log) {
		if err != nil {
			return err
		}
		found++
		if c.Limit == 0 || len(rows) < c.Limit {
			rows = append(rows, rowOf(letter))
		}
	}
	cells := func(r letterRow) []string {
		return []string{
			strconv.FormatUint(r.Number, 10), r.Time.Format(time.RFC3339), r.Lane.String(), r.Tenant,
			strconv.Itoa(r.Events), strconv.Itoa(r.Bytes), r.Reason,
		}
	}
	header := []string{"NUMBER", "TIME", "LANE", "TENANT", "EVENTS", "BYTES", "REASON"}
	return writeLetters(env, c.Output, header, rows, cells, found)
}

func (c *deadLetterListCmd) byReason(ctx context.Context, env environment, log *eventlog.Log) error {
	reasons := map[string]*reasonRow{}
	for letter, err := range c.matching(ctx, log) {
		if err != nil {
			return err
		}
		one := rowOf(letter)
		// ClickHouse goes on with the values of the row, which every letter has others of.
		one.Reason, _, _ = strings.Cut(one.Reason, " Column values:")
		row := reasons[one.Reason]
		if row == nil {
			row = &reasonRow{}
			reasons[one.Reason] = row
		}
		row.add(one)
	}
	rows := slices.SortedFunc(maps.Values(reasons), func(a, b *reasonRow) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Reason, b.Reason))
	})
	found := len(rows)
	if c.Limit > 0 {
		rows = rows[:min(c.Limit, found)]
	}
	cells := func(r *reasonRow) []string {
		return []string{
			strconv.Itoa(r.Letters), strconv.Itoa(r.Events), strconv.Itoa(r.Bytes),
			r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339), r.Reason,
		}
	}
	return writeLetters(env, c.Output, []string{"LETTERS", "EVENTS", "BYTES", "FIRST", "LAST", "REASON"}, rows, cells, found)
}

// writeLetters writes rows, and how many of those that were found it does not show.
func writeLetters[R any](env environment, output string, header []string, rows []R, cells func(R) []string, found int) error {
	if output == "json" {
		encoder := json.NewEncoder(env.stdout)
		for _, row := range rows {
			if err := encoder.Encode(row); err != nil {
				return fmt.Errorf("write dead letters: %w", err)
			}
		}
		return nil
	}
	if found == 0 {
		_, err := fmt.Fprintln(env.stdout, "No dead letters.")
		return err
	}
	var table [][]string
	for _, row := range rows {
		table = append(table, cells(row))
	}
	if err := writeTable(env.stdout, header, table); err != nil {
		return err
	}
	if found > len(rows) {
		_, err := fmt.Fprintf(env.stdout, "%d more: see --limit.\n", found-len(rows))
		return err
	}
	return nil
}
