package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

const (
	// growthTime is how long each load of the table is kept up.
	growthTime = 3 * time.Second
	// growthInFlight is about how many events of a client may wait for their
	// acknowledgement: few of the large batches, many of the small ones.
	growthInFlight = 4096
	// leastWindow and mostWindow bound how many batches that is; the collector reads
	// mostWindow batches of a stream ahead.
	leastWindow, mostWindow = 8, 256
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

// measureGrowth measures loads that differ in clients and in the size of batches, one
// after the other on one system. Each has a tenant of its own, so that what came before is
// not read when it is counted.
func measureGrowth(ctx context.Context, o options) error {
	return withSystem(ctx, "split", o, func(s *system) error {
		var rows []growthRow
		for i, l := range growthLoads() {
			r, err := s.measureEvents(ctx, l)
			if err != nil {
				return fmt.Errorf("%d clients, %d events a batch: %w", l.clients, l.batch, err)
			}
			rows = append(rows, growthRow{l, r})
			fmt.Fprintf(os.Stderr, "growth: load %d of %d: %d clients, %d events a batch: %s events/s\n", i+1, len(growthLoads()), l.clients, l.batch, whole(r.rate()))
		}
		printGrowth(os.Stdout, rows)
		return nil
	})
}

// withSystem starts everything in a folder of its own, for as long as f takes.
func withSystem(ctx context.Context, layout string, o options, f func(*system) error) (err error) {
	dir, err := os.MkdirTemp("", "flywheel-bench-")
	if err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := startSystem(ctx, layout, o, dir, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return f(s)
}

// measureEvents sends a load and waits until all of it is visible.
func (s *system) measureEvents(ctx context.Context, l eventLoad) (report, error) {
	before, err := s.usage()
	if err != nil {
		return report{}, err
	}
	start := time.Now()
	load, generator, err := l.run(ctx, s.collector)
	if err != nil {
		return report{}, err
	}
	r := report{load: load, acknowledged: time.Since(start)}
	if err := s.waitVisible(ctx, l.tenant, load.Events/eventsPer); err != nil {
		return report{}, err
	}
	r.visible = time.Since(start)
	if r.usage, err = s.usage(); err != nil {
		return report{}, err
	}
	for i := range r.usage {
		r.usage[i].cpu -= before[i].cpu
	}
	r.usage = append(r.usage, usageOf("load generator", generator))
	// What is left to do is not to be counted with the next load.
	r.settled, err = s.waitSettled(ctx, l.tenant, load.Events/eventsPer, start)
	return r, err
}

// run sends a load and returns when it is acknowledged.
func (l eventLoad) run(ctx context.Context, target string) (result loadResult, generator *os.ProcessState, err error) {
	var out bytes.Buffer
	cmd, err := l.command(ctx, target, &out)
	if err != nil {
		return loadResult{}, nil, err
	}
	if err := cmd.Run(); err != nil {
		return loadResult{}, nil, fmt.Errorf("load generator: %w", err)
	}
	if err := json.NewDecoder(&out).Decode(&result); err != nil {
		return loadResult{}, nil, fmt.Errorf("read result of load generator: %w", err)
	}
	return result, cmd.ProcessState, nil
}

// usageOf is what a process used that has ended.
func usageOf(name string, ended *os.ProcessState) usage {
	return usage{
		name: name, cpu: (ended.UserTime() + ended.SystemTime()).Seconds(),
		memory: ended.SysUsage().(*syscall.Rusage).Maxrss * 1024,
	}
}

func printGrowth(w io.Writer, rows []growthRow) {
	fmt.Fprintf(w, "\ngrowth: loads of %s each, one process per role, %d cores, %s\n", growthTime, runtime.NumCPU(), runtime.Version())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	names := make([]string, 0, len(rows[0].usage))
	for _, u := range rows[0].usage {
		names = append(names, u.name)
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
