// Command bench measures Flywheel end to end on one machine: how many events per
// second go from a client over gRPC into the synced log and on until the last one
// is visible in ClickHouse, with the CPU time and the peak memory of each process.
//
// It runs the real binary twice: "up", everything Go in one process, and "split",
// one process per role over TCP. The load generator and ClickHouse are processes
// of their own and share the machine. Beside the load it measures how old rates are.
// "history" measures a query of rates with 90 days of interactions behind it. Not part of
// "all" are "growth", loads of few and many clients with small and large batches; "idle",
// streams on which nothing happens; "sessions", a day of a million sessions; "query",
// queries beside a full load; "guard", which compares ratios with those of a version that
// was good; and "soak", which keeps a steady load up for long and watches memory and lag.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/yirifi/flywheel/internal/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags of the benchmark.
type options struct {
	binary       string
	layout       string
	interactions int
	clients      int
	batch        int
	runs         int
	history      int
	exported     int
	soak         time.Duration
	// rate bounds the events per second of the load. Zero: as fast as acknowledged.
	rate float64
	// baseline is the file of the guard's baseline; update writes it.
	baseline string
	update   bool
	// engineMemory is the memory limit of ClickHouse in bytes. Zero: its own choice.
	engineMemory uint64
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "engine":
			return engine.Main(args[1:])
		case "load":
			return loadMain(ctx, args[1:])
		case "events":
			return eventsMain(ctx, args[1:])
		}
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/flywheel", "the flywheel to measure")
	flags.StringVar(&o.layout, "layout", "all", "up, split, history, export, all of them; or growth, idle, sessions, query, guard, soak")
	flags.IntVar(&o.interactions, "interactions", 200_000, fmt.Sprintf("interactions per run, %d events each", eventsPer))
	flags.IntVar(&o.clients, "clients", 4, "concurrent clients")
	flags.IntVar(&o.batch, "batch", 32, fmt.Sprintf("interactions per batch, %d events each", eventsPer))
	flags.IntVar(&o.runs, "runs", 3, "runs per layout; the median by events/s is shown with the spread")
	flags.IntVar(&o.history, "history", 100_000_000, "interactions of the last 90 days behind the query of rates that is measured")
	flags.IntVar(&o.exported, "exported", 10_000_000, "signals that are exported to Parquet")
	flags.DurationVar(&o.soak, "soak", time.Hour, "how long the layout soak keeps its load up")
	flags.Float64Var(&o.rate, "rate", 0, "events per second of the load; 0 is as fast as they are acknowledged, for soak 118,000")
	flags.Uint64Var(&o.engineMemory, "engine-memory", 0, "most bytes of memory that ClickHouse uses; 0 is its own choice, for soak 1.5 GiB")
	flags.StringVar(&o.baseline, "baseline", "bench/baseline.json", "what the layout guard compares with")
	flags.BoolVar(&o.update, "update", false, "make what the layout guard measures the baseline")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch o.layout {
	case "soak":
		return measureSoak(ctx, o)
	case "growth":
		return measureGrowth(ctx, o)
	case "idle":
		return measureIdle(ctx, o)
	case "sessions":
		return measureSessions(ctx, o)
	case "query":
		return measureQuery(ctx, o)
	case "guard":
		return guard(ctx, o)
	}
	for _, layout := range []string{"up", "split"} {
		if o.layout != "all" && o.layout != layout {
			continue
		}
		if err := measure(ctx, layout, o); err != nil {
			return err
		}
	}
	if o.layout == "all" || o.layout == "history" {
		if err := measureHistory(ctx, o.history); err != nil {
			return err
		}
	}
	if o.layout == "all" || o.layout == "export" {
		return measureExport(ctx, o)
	}
	return nil
}

// measure runs one layout several times and prints the median run; then once more at
// half of its rate, which shows what waiting for each other costs.
func measure(ctx context.Context, layout string, o options) error {
	var reports []report
	for i := range o.runs {
		fmt.Fprintf(os.Stderr, "%s: run %d of %d\n", layout, i+1, o.runs)
		r, err := runOnce(ctx, layout, o)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	slices.SortFunc(reports, func(a, b report) int { return int(a.rate() - b.rate()) })
	reports[len(reports)/2].print(os.Stdout, layout, reports[0].rate(), reports[len(reports)-1].rate())
	o.rate = reports[len(reports)/2].rate() / 2
	fmt.Fprintf(os.Stderr, "%s: half load\n", layout)
	r, err := runOnce(ctx, layout, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "  at half of that, %s events/s:\n", whole(o.rate))
	r.printLatency(os.Stdout)
	return nil
}

// runOnce starts everything in a folder of its own, sends the load and waits
// until all of it is visible.
func runOnce(ctx context.Context, layout string, o options) (r report, err error) {
	dir, err := os.MkdirTemp("", "flywheel-bench-")
	if err != nil {
		return report{}, fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	system, err := startSystem(ctx, layout, o, dir, log)
	if err != nil {
		return report{}, err
	}
	defer func() { err = errors.Join(err, system.stop()) }()
	return system.measureLoad(ctx, o)
}
