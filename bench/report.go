package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// usage is what a process used: CPU seconds, and its peak memory in bytes.
type usage struct {
	name   string
	cpu    float64
	memory int64
}

// report is what one run measured.
type report struct {
	load         loadResult
	acknowledged time.Duration
	visible      time.Duration
	settled      time.Duration
	freshness    freshness
	usage        []usage
}

// rate is events per second from the first one sent until the last is visible.
func (r report) rate() float64 { return float64(r.load.Events) / r.visible.Seconds() }

func (r report) print(w io.Writer, layout string, slowest, fastest float64) {
	fmt.Fprintf(w, "\nlayout %s, %d cores, %s\n", layout, runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(w, "  %s events, %s on the wire, in batches of the standard mix (%d events per interaction)\n",
		humanize.Comma(int64(r.load.Events)), humanize.IBytes(uint64(r.load.Bytes)), eventsPer)
	fmt.Fprintf(w, "  end to end           %s events/s  (runs: %s to %s)\n", whole(r.rate()), whole(slowest), whole(fastest))
	fmt.Fprintf(w, "  acknowledged durable %s events/s\n", whole(float64(r.load.Events)/r.load.Seconds))
	fmt.Fprintf(w, "  last event: acknowledged at %.1f s, visible at %.1f s, in the rates at %.1f s\n",
		r.acknowledged.Seconds(), r.visible.Seconds(), r.settled.Seconds())
	r.printLatency(w)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "  process\tCPU s / million events\tpeak memory\t")
	for _, u := range r.usage {
		fmt.Fprintf(out, "  %s\t%.2f\t%s\t\n", u.name, u.cpu/float64(r.load.Events)*1e6, humanize.IBytes(uint64(u.memory)))
	}
	_ = out.Flush()
}

// printLatency prints how long a client waits, and how old rates are.
func (r report) printLatency(w io.Writer) {
	fmt.Fprintf(w, "  send → acknowledged p50 %.1f ms, p99 %.1f ms\n", r.load.AckP50Ms, r.load.AckP99Ms)
	fmt.Fprintf(w, "  acknowledged → in GetRates p50 %.1f s, p99 %.1f s, max %.1f s of %d probes\n",
		r.freshness.p50.Seconds(), r.freshness.p99.Seconds(), r.freshness.max.Seconds(), r.freshness.count)
}

func whole(v float64) string { return humanize.Comma(int64(v)) }
