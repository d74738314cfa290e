package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Level says how bad a finding is.
type Level string

// Levels, the worst last.
const (
	// OK is how it should be.
	OK Level = "ok"
	// Unknown could not be looked at, because something is not given or not there.
	Unknown Level = "unknown"
	// Warning needs attention, but nothing is lost or refused because of it yet.
	Warning Level = "warning"
	// Wrong needs mending now.
	Wrong Level = "wrong"
)

// Finding is what one check found at one place.
type Finding struct {
	// Check is the name of the check.
	Check string `json:"check"`
	// Where is the part it is about, for example "outcome lane".
	Where string `json:"where"`
	Level Level  `json:"level"`
	// Says is what is so, with its figures.
	Says string `json:"says"`
	// Do is what to do about it. Empty when nothing has to be done.
	Do string `json:"do,omitempty"`
}

// Report is the outcome of an examination.
type Report struct {
	// Findings are those of all checks, in the order of the data's way.
	Findings []Finding `json:"findings"`
	// Capacity says what each part can still take.
	Capacity []Finding `json:"capacity"`
}

// Count is how many findings are of a level.
func (r Report) Count(level Level) (n int) {
	for _, f := range slices.Concat(r.Findings, r.Capacity) {
		if f.Level == level {
			n++
		}
	}
	return n
}

// Write writes the report for people.
func (r Report) Write(w io.Writer) error {
	for _, f := range r.Findings {
		if err := f.write(w); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(w, "\nCapacity:"); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	for _, f := range r.Capacity {
		if err := f.write(w); err != nil {
			return err
		}
	}
	verdict := "All well"
	if wrong := r.Count(Wrong); wrong > 0 {
		verdict = fmt.Sprintf("Something is wrong: %d findings", wrong)
	}
	_, err := fmt.Fprintf(w, "\n%s. %d ok, %d warnings, %d not known.\n", verdict, r.Count(OK), r.Count(Warning), r.Count(Unknown))
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (f Finding) write(w io.Writer) error {
	text := fmt.Sprintf("%-8s %-11s %s: %s\n", f.Level, f.Check, f.Where, f.Says)
	if f.Do != "" {
		text += strings.Repeat(" ", 21) + "→ " + f.Do + "\n"
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
