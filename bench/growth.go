package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	// growthTime is how long each load of the table is kept up.
	growthTime = 3 * time.Second
	// growthInFlight is about how many events of a client may wait for their
	// acknowledgement: few of the large batches, many of the small ones.
	growthInFlight = 4096
	// leastWindow and mostWindow bound how many batches that is: the collector reads
	// mostWindow batches of a stream ahead, and has room for leastWindow of the largest of
	// all clients.
	leastWindow, mostWindow = 4, 256
)

// growthLoads are the loads of the table. The first two, and they alone, wait for each
// acknowledgement before they send the next event.
func growthLoads() (loads []eventLoad) {
	for _, clients := range []int{1, 8} {
		loads = append(loads, eventLoad{clients: clients, batch: 1, window: 1})
	}
	for _, batch := range []int{1, 16, 96, 512, 5000} {
		for _, clients := range []int{1, 2, 4, 8} {
			loads = append(loads, eventLoad{clients: clients, batch: batch, window: min(mostWindow, max(leastWindow, growthInFlight/batch))})
		}
	}
	for i := range loads {
		loads[i].perSession, loads[i].time = interactionsPerSession, growthTime
		loads[i].tenant = fmt.Sprint("growth-", i)
	}
	return loads
}

// growthRow is what one load gave: as a report has it, without what old rates are.
type growthRow struct {
	eventLoad
	report
}

// measureGrowth measures loads that differ in clients and in the size of batches, each with
// a tenant of its own, so that what came before is not read when it is counted. Loads with
// batches of one size are sent one after the other to one system: to more of them the log
// would say that it is full.
func measureGrowth(ctx context.Context, o options) error {
	var rows []growthRow
	defer func() { printGrowth(os.Stdout, rows) }()
	for loads := growthLoads(); len(rows) < len(loads); {
		rest := loads[len(rows):]
		err := withSystem(ctx, splitName, o, func(s *system) error {
			for _, l := range rest {
				if l.batch != rest[0].batch {
					return nil
				}
				r, err := s.measureEvents(ctx, l)
				if err != nil {
					return fmt.Errorf("%d clients, %d events a batch: %w", l.clients, l.batch, err)
				}
				rows = append(rows, growthRow{l, r})
				fmt.Fprintf(os.Stderr, "growth: load %d of %d: %d clients, %d events a batch: %s events/s\n", len(rows), len(loads), l.clients, l.batch, whole(r.rate()))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func printGrowth(w io.Writer, rows []growthRow) {
	fmt.Fprintf(w, "\ngrowth: loads of %s each, one process per role, %d cores, %s\n", growthTime, runtime.NumCPU(), runtime.Version())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	var names []string
	for _, row := range rows[:min(1, len(rows))] {
		for _, used := range row.usage {
			names = append(names, used.name)
		}
	}
	fmt.Fprintf(out, "  events a batch\tclients\tin flight\tacknowledged/s\tend to end/s\tp50 ms\tp99 ms\tCPU s / million: %s\t\n", strings.Join(names, "\t"))
	for _, r := range rows {
		fmt.Fprintf(out, "  %d\t%d\t%d\t%s\t%s\t%.1f\t%.1f\t", r.batch, r.clients, r.window,
			whole(float64(r.load.Events)/r.load.Seconds), whole(r.rate()), r.load.AckP50Ms, r.load.AckP99Ms)
		for _, u := range r.usage {
			fmt.Fprintf(out, "%.2f\t", u.cpu/float64(r.load.Events)*1e6)
		}
		fmt.Fprintln(out)
	}
	_ = out.Flush()
}
