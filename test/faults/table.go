package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// row is what the runs of one fault, each alone in its run, came to.
type row struct {
	runs, unknown    int
	lost, duplicated uint64
	statuses         map[string]int
	recovery         []int64
	seeds            []string
}

// writeTable writes the table of docs/reliability.md from runs of single faults, and a
// line about those of many.
func writeTable(out io.Writer, results []result) error {
	rows := map[string]*row{}
	mixed := &row{statuses: map[string]int{}}
	for _, r := range results {
		if r.Mutant != "" {
			continue
		}
		to := mixed
		if r.Only != "" {
			if rows[r.Only] == nil {
				rows[r.Only] = &row{statuses: map[string]int{}}
			}
			to = rows[r.Only]
		}
		to.add(r)
	}
	var text strings.Builder
	text.WriteString("| Failure | Runs | Lost | Duplicated | Unknown | What clients saw | Recovery, median (max) | Seeds |\n|---|--:|--:|--:|--:|---|--:|---|\n")
	for _, f := range catalogue() {
		if row := rows[f.name]; row != nil {
			fmt.Fprintf(&text, "| %s (`%s`) | %s | %s |\n", f.point, f.name, row, strings.Join(row.seeds, ", "))
		}
	}
	if mixed.runs > 0 {
		fmt.Fprintf(&text, "| several at once, drawn from the seed | %s | |\n", mixed)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (r *row) add(res result) {
	r.runs++
	r.unknown += res.Unknown
	r.lost += res.Lost
	r.duplicated += res.Duplicated
	for code, n := range res.Statuses {
		r.statuses[code] += n
	}
	r.recovery = append(r.recovery, res.RecoveryMs)
	r.seeds = append(r.seeds, fmt.Sprint(res.Seed))
}

// String is the cells between the name and the seeds.
func (r *row) String() string {
	slices.Sort(r.recovery)
	var saw []string
	for _, code := range slices.Sorted(maps.Keys(r.statuses)) {
		saw = append(saw, fmt.Sprintf("%s %d", code, r.statuses[code]))
	}
	return fmt.Sprintf("%d | %d | %d | %d | %s | %.1f s (%.1f s)", r.runs, r.lost, r.duplicated, r.unknown, strings.Join(saw, ", "),
		float64(r.recovery[len(r.recovery)/2])/1e3, float64(r.recovery[len(r.recovery)-1])/1e3)
}
