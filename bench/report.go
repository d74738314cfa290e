package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// usage is what a process used: CPU seconds, and its peak memory in bytes.
type usage struct {
	name   string
	cpu    float64
	memory int64
}

// print prints the result as tables.
func (r *Result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s events of the standard mix a run, %d cores, %s; medians of %d runs in turns (least to most)\n\n",
		humanize.Comma(int64(r.Interactions*r.EventsPer)), r.Cores, r.Go, len(r.Systems[0].EventsPerSecond.Runs))
	r.printRates(w)
	r.printLatencies(w)
	r.printProcesses(w)
}

// title is what tables call a system or floor.
func title(name string) string {
	all := contestants()
	return all[slices.IndexFunc(all, func(c contestant) bool { return c.name == name })].title
}

// printRates prints how fast everything was, in multiples of the peers and in shares of the
// floors.
func (r *Result) printRates(w io.Writer) {
	all := slices.DeleteFunc(contestants(), func(c contestant) bool { return r.System(c.name) == nil })
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "\tevents/s\t(runs)\tacknowledged/s\tCPU s / million\t")
	for _, c := range all {
		switch {
		case c.floor:
			fmt.Fprintf(out, "of %s\t", c.title)
		case c.peer:
			fmt.Fprintf(out, "× %s\t(runs)\t", c.title)
		}
	}
	fmt.Fprintln(out)
	for _, m := range r.Systems {
		fmt.Fprintf(out, "%s\t%s\t(%s to %s)\t%s\t%.2f\t", title(m.Name), whole(m.EventsPerSecond.Median), whole(m.EventsPerSecond.Min), whole(m.EventsPerSecond.Max),
			whole(m.AckedPerSecond.Median), m.CPU())
		for _, c := range all {
			ratio := r.Ratio(m.Name, c.name)
			switch {
			case c.floor:
				fmt.Fprintf(out, "%.0f %%\t", 100*ratio.Median)
			case c.peer:
				fmt.Fprintf(out, "%.1f\t(%.1f to %.1f)\t", ratio.Median, ratio.Min, ratio.Max)
			}
		}
		fmt.Fprintln(out)
	}
	_ = out.Flush()
	if cpu := r.floorCPU(); cpu > 0 {
		fmt.Fprintf(w, "The floors take %.2f CPU s per million events together: %s events/s on %d cores, if they were all there is.\n", cpu, whole(float64(r.Cores)/cpu*1e6), r.Cores)
	}
}

// floorCPU is the CPU seconds per million events of all floors, 0 when some were not measured.
func (r *Result) floorCPU() (sum float64) {
	for _, c := range contestants() {
		if !c.floor {
			continue
		}
		m := r.System(c.name)
		if m == nil {
			return 0
		}
		sum += m.CPU()
	}
	return sum
}

// printLatencies prints how long clients wait and how old data is, at full and at half load.
func (r *Result) printLatencies(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "\np50 / p99\tevents/s\tsend → acknowledged, ms\tsend → in the table, s\tacknowledged → in GetRates, s\t")
	row := func(name string, rate float64, acked, visible, counted Latency) {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t\n", name, whole(rate), acked.in(1, "%.1f"), visible.in(1000, "%.2f"), counted.in(1000, "%.2f"))
	}
	for _, m := range r.Systems {
		row(title(m.Name), m.EventsPerSecond.Median, m.Acked, m.Visible, m.Counted)
		if m.Half != nil {
			row("at half load", m.Half.EventsPerSecond, m.Half.Acked, m.Half.Visible, m.Half.Counted)
		}
	}
	_ = out.Flush()
}

// in writes the latency in another unit, which has so many milliseconds.
func (l Latency) in(unit float64, format string) string {
	if l == (Latency{}) {
		return ""
	}
	return fmt.Sprintf(format+" / "+format, l.P50/unit, l.P99/unit)
}

// printProcesses prints what each process took.
func (r *Result) printProcesses(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\nby process\tCPU s / million events\tpeak memory")
	for _, m := range r.Systems {
		fmt.Fprintf(out, "%s\n", title(m.Name))
		for _, p := range m.Processes {
			fmt.Fprintf(out, "  %s\t%.2f\t%s\n", p.Name, p.CPU, humanize.IBytes(uint64(p.Memory)))
		}
	}
	_ = out.Flush()
}

func whole(v float64) string { return humanize.Comma(int64(v)) }
