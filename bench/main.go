// Command bench measures Flywheel on one machine, in layouts:
//
//   - "up" and "split": how many events per second go from a client over gRPC into the
//     synced log and on until the last one is visible in ClickHouse, with the CPU time and
//     the peak memory of each process. It runs the real binary, "up" with everything Go in
//     one process, and "split" with one process per role over TCP.
//   - "otelcol" and "otelcol-disk": the same events as log records through the
//     OpenTelemetry Collector, with its queue in memory, or synced to disk
//   - "floor-engine", "floor-log", "floor-grpc": parts of the way alone
//   - "systems", which is the default: all of these in turns, in one table
//   - "history": a query of rates with 90 days of interactions behind it
//   - "export": signals exported to Parquet
//   - "growth": loads of few and many clients with small and large batches; "idle": streams
//     on which nothing happens; "sessions": a day of a million sessions; "query": queries
//     beside a full load
//   - "guard": ratios of such figures, compared with those of a version that was good
//   - "soak": a steady load for long, with memory and lag
//
// The load generator and ClickHouse are processes of their own and share the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
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
	peer         string
	peerConfigs  string
	layout       string
	json         string
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
		case "sink":
			return sinkMain(ctx, args[1:])
		case "publish":
			return publishMain(ctx, args[1:])
		case "insert":
			return insertMain(ctx, args[1:])
		}
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/flywheel", "the flywheel to measure")
	flags.StringVar(&o.peer, "peer", "bin/otelcol", "the OpenTelemetry Collector to compare with")
	flags.StringVar(&o.peerConfigs, "peer-configs", "bench/otelcol", "folder of its configurations")
	flags.StringVar(&o.json, "json", "", "file for what was measured of the systems")
	flags.StringVar(&o.layout, "layout", "systems", "what to measure, separated by commas: "+layoutNames())
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
	return measure(ctx, o)
}

// layouts are what -layout names, besides the systems and floors of [contestants].
func layouts() map[string]func(context.Context, options) error {
	return map[string]func(context.Context, options) error{
		"history":  func(ctx context.Context, o options) error { return measureHistory(ctx, o.history) },
		"export":   measureExport,
		"growth":   measureGrowth,
		"idle":     measureIdle,
		"sessions": measureSessions,
		"query":    measureQuery,
		"guard":    guard,
		"soak":     measureSoak,
	}
}

// layoutNames are the names that -layout takes.
func layoutNames() string {
	return strings.Join(slices.Concat(slices.Sorted(maps.Keys(groups())), slices.Sorted(maps.Keys(layouts()))), ", ")
}

// measure measures the layouts that were asked for, the systems and floors among them
// first and in turns.
func measure(ctx context.Context, o options) error {
	var names []string
	var others []func(context.Context, options) error
	for name := range strings.SplitSeq(o.layout, ",") {
		if group := groups()[name]; group != nil {
			names = append(names, group...)
			continue
		}
		other := layouts()[name]
		if other == nil {
			return fmt.Errorf("unknown layout %q: %s are possible", name, layoutNames())
		}
		others = append(others, other)
	}
	if len(names) > 0 {
		result, err := measureSystems(ctx, o, names)
		if err != nil {
			return err
		}
		result.print(os.Stdout)
		if o.json != "" {
			if err := result.write(o.json); err != nil {
				return err
			}
		}
	}
	for _, other := range others {
		if err := other(ctx, o); err != nil {
			return err
		}
	}
	return nil
}
