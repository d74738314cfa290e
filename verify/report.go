package verify

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The tables that are compared.
const (
	tableRates     = "rates"
	tableHours     = "rate_hours"
	tableDays      = "rate_days"
	tableUserHours = "user_rate_hours"
	tableUserDays  = "user_rates"
	tableSignals   = "training_signals"
)

// Report is the outcome of a verification.
type Report struct {
	// Interactions, Opportunities, Minutes and Signals were compared. A signal is an
	// interaction under one definition.
	Interactions  uint64 `json:"interactions"`
	Opportunities uint64 `json:"opportunities"`
	Minutes       uint64 `json:"minutes"`
	Signals       uint64 `json:"signals"`
	// InFlux is, by table, how many minutes, hours or days kept changing and were not
	// compared.
	InFlux map[string]int `json:"in_flux"`
	// Expired is how many minutes have counts and no rows any more to compare with.
	Expired uint64 `json:"expired"`
	// Differences are the first ones that were found, at most Config.MaxDifferences;
	// Partial: the search ended with them.
	Differences []Difference `json:"differences"`
	Partial     bool         `json:"partial"`
}

// Difference is a value that is not what the raw rows say.
type Difference struct {
	Table string `json:"table"`
	// Key says which row it is: the columns of the key that are not empty.
	Key       string `json:"key"`
	Column    string `json:"column"`
	Stored    string `json:"stored"`
	Recounted string `json:"recounted"`
}

// Advice says what to do about differences in a table.
func Advice(table string) string {
	switch table {
	case tableSignals:
		return "training_signals is a view: its text or the definitions are not those of this program. Is another flywheel, older or newer, using this database?"
	default:
		return "Is a settler running ('flywheel up' or 'flywheel processor'), and with the same --min-read and --min-reject? " +
			"If so, have the minute counted again: INSERT INTO bucket_touches VALUES (<tenant>, <minute>, 1, now64(3))."
	}
}

// Write writes the report for people.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	advised := ""
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "%s: %s: %s is %s, recounted %s\n", d.Table, d.Key, d.Column, d.Stored, d.Recounted)
	}
	for _, d := range r.Differences {
		if advice := Advice(d.Table); !strings.Contains(advised, advice) {
			advised += advice + "\n"
		}
	}
	b.WriteString(advised)
	fmt.Fprintf(&b, "%s: %d interactions and %d opportunities recounted, %d minutes and %d signals compared", r.verdict(), r.Interactions, r.Opportunities, r.Minutes, r.Signals)
	for _, table := range slices.Sorted(maps.Keys(r.InFlux)) {
		fmt.Fprintf(&b, ", %d %s of %s in flux", r.InFlux[table], span(table), table)
	}
	if r.Expired > 0 {
		fmt.Fprintf(&b, ", %d minutes expired", r.Expired)
	}
	b.WriteString(".\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) verdict() string {
	switch {
	case len(r.Differences) == 0:
		return "Everything is equal"
	case r.Partial:
		return fmt.Sprintf("%d differences, and maybe more", len(r.Differences))
	default:
		return fmt.Sprintf("%d differences", len(r.Differences))
	}
}

// span names the buckets of a table.
func span(table string) string {
	switch table {
	case tableHours, tableUserHours:
		return "hours"
	case tableDays, tableUserDays:
		return "days"
	default:
		return "minutes"
	}
}
