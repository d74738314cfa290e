package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// row sums up runs.
type row struct {
	runs, broken, acked, unknown, sent int
	lost, duplicated                   uint64
	statuses                           map[string]int
	recovery                           []time.Duration
	seed                               uint64
}

// writeTable writes the table of docs/reliability.md: a row per kind of fault, from the
// runs in which it was the only one, and a line about the runs with several.
func writeTable(out io.Writer, results []result) error {
	alone := map[string]*row{}
	mixed := &row{}
	for _, r := range results {
		switch {
		case r.Mutant != "":
		case r.Only == "":
			mixed.add(r)
		default:
			if alone[r.Only] == nil {
				alone[r.Only] = &row{}
			}
			alone[r.Only].add(r)
		}
	}
	var text strings.Builder
	text.WriteString("| failure point | `-fault` | runs | lost | duplicated | what clients saw | recovery: median, longest | seed |\n|---|---|--:|--:|--:|---|--:|--:|\n")
	for _, f := range catalogue() {
		if row := alone[f.name]; row != nil {
			fmt.Fprintf(&text, "| %s | `%s` | %d | %d | %d | %s | %s, %s | %d |\n", f.point, f.name, row.runs, row.lost, row.duplicated,
				row.saw(), seconds(row.median()), seconds(row.longest()), row.seed)
		}
	}
	if mixed.runs > 0 {
		fmt.Fprintf(&text, "\nWith %d to %d faults at once, drawn from the seed: %d runs, %d with findings; %d events acknowledged, %d unknown; lost %d, duplicated %d; recovery: median %s, longest %s (seed %d).\nClients saw: %s.\n",
			faultsMin, faultsMax, mixed.runs, mixed.broken, mixed.acked, mixed.unknown, mixed.lost, mixed.duplicated, seconds(mixed.median()), seconds(mixed.longest()), mixed.seed, mixed.saw())
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// add adds a run. The row's seed is that of the longest recovery.
func (r *row) add(res result) {
	recovery := time.Duration(res.RecoveryMs) * time.Millisecond
	if r.runs == 0 || recovery > r.longest() {
		r.seed = res.Seed
	}
	r.runs++
	if !res.asItMust() {
		r.broken++
	}
	r.acked += res.Acked
	r.unknown += res.Unknown
	r.lost += res.Lost
	r.duplicated += res.Duplicated
	r.recovery = append(r.recovery, recovery)
	if r.statuses == nil {
		r.statuses = map[string]int{}
	}
	for code, n := range res.Statuses {
		r.statuses[code] += n
		if code != partly {
			r.sent += n
		}
	}
}

// partly is a status that is counted as OK too.
const partly = "OK, events rejected"

func (r *row) median() time.Duration {
	return slices.Sorted(slices.Values(r.recovery))[len(r.recovery)/2]
}

func (r *row) longest() time.Duration { return slices.Max(r.recovery) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// saw says how many of the attempts ended with which status, the most frequent first.
func (r *row) saw() string {
	codes := slices.SortedFunc(maps.Keys(r.statuses), func(a, b string) int {
		if n := r.statuses[b] - r.statuses[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, code := range codes {
		parts = append(parts, fmt.Sprintf("%s %.1f %%", code, 100*float64(r.statuses[code])/float64(r.sent)))
	}
	return strings.Join(parts, ", ")
}
