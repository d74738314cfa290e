package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/rpc"
)

const (
	// soakRate is half of what docs/performance.md has end to end, in events per second.
	soakRate = 118_000
	// soakEngineMemory is the limit that an operator would give ClickHouse on a small machine.
	soakEngineMemory = 3 << 29
	// soakWindows is how many parts of the time are shown.
	soakWindows = 12
	soakSample  = time.Second
	// soakProbe is how often a probe is sent: each is a model of its own, and the rates
	// of very many models are not what is measured.
	soakProbe = 5 * time.Second
)

// soakWindow is what was seen in a part of the time.
type soakWindow struct {
	// memory is the largest resident set of each process, in bytes.
	memory []int64
	// lag is the largest number of records of the log that were not processed.
	lag uint64
	// fresh is how long it took probes from acknowledged to counted.
	fresh []time.Duration
}

// soak is a running measurement.
type soak struct {
	system  *system
	log     *eventlog.Log
	prober  *prober
	windows []soakWindow
	began   time.Time
	length  time.Duration
}

// measureSoak keeps a load up in the layout split and prints, by parts of the time, how
// much memory each process takes and how far the log and the rates are behind.
func measureSoak(ctx context.Context, o options) (err error) {
	if o.rate == 0 {
		o.rate = soakRate
	}
	if o.engineMemory == 0 {
		o.engineMemory = soakEngineMemory
	}
	o.interactions = int(o.rate*o.soak.Seconds()) / eventsPer
	dir, err := os.MkdirTemp("", "flywheel-soak-")
	if err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	system, err := startSystem(ctx, "split", o, dir, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.stop()) }()
	cfg := eventlog.DefaultConfig()
	cfg.URL = system.nats
	log, err := eventlog.Attach(ctx, cfg, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	prober, stopProbing, err := system.probe(ctx, soakProbe)
	if err != nil {
		return err
	}
	s := &soak{system: system, log: log, prober: prober, began: time.Now(), length: o.soak}
	load, err := s.run(ctx, o)
	if err != nil {
		return err
	}
	settled, err := system.waitSettled(ctx, rpc.DefaultTenant, o.interactions, s.began)
	if err != nil {
		return err
	}
	if _, err := stopProbing(s.began); err != nil {
		return err
	}
	s.print(os.Stdout, load, settled)
	return nil
}

// run sends the load and samples until it is acknowledged.
func (s *soak) run(ctx context.Context, o options) (result loadResult, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		var err error
		result, _, err = o.load().run(ctx, s.system.collector)
		ended <- err
	}()
	tick := time.NewTicker(soakSample)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return result, err
		case <-tick.C:
		}
		if err := s.sample(ctx); err != nil {
			cancel()
			return loadResult{}, errors.Join(err, <-ended)
		}
	}
}

// sample notes memory and lag in the window that is now, and says how the one that has
// ended was.
func (s *soak) sample(ctx context.Context) error {
	at := min(int(time.Since(s.began)*soakWindows/s.length), soakWindows-1)
	if at == len(s.windows) {
		if at > 0 {
			s.printWindow(os.Stderr, at-1)
		}
		s.windows = append(s.windows, soakWindow{memory: make([]int64, len(s.system.processes))})
	}
	w := &s.windows[len(s.windows)-1]
	for i, p := range s.system.processes {
		resident, err := residentMemory(p.pid)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		w.memory[i] = max(w.memory[i], resident)
	}
	var lag uint64
	for _, lane := range eventlog.Lanes() {
		n, err := s.log.Pending(ctx, lane)
		if err != nil {
			return err
		}
		lag += n
	}
	w.lag = max(w.lag, lag)
	w.fresh = append(w.fresh, s.prober.take()...)
	return nil
}

func (s *soak) print(w io.Writer, load loadResult, settled time.Duration) {
	fmt.Fprintf(w, "\nsoak of %s, one process per role, %d cores, %s\n", s.length, runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(w, "  %s events at %s events/s, acknowledged after %.0f s, all in the rates after %.0f s\n",
		humanize.Comma(int64(load.Events)), whole(float64(load.Events)/load.Seconds), load.Seconds, settled.Seconds())
	fmt.Fprintf(w, "  send → acknowledged p50 %.1f ms, p99 %.1f ms\n", load.AckP50Ms, load.AckP99Ms)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "  %s\t", "until")
	for _, p := range s.system.processes {
		fmt.Fprintf(out, "%s\t", p.name)
	}
	fmt.Fprintln(out, "records behind\tin the rates after (p50 / max)\t")
	for i := range s.windows {
		s.printWindow(out, i)
	}
	_ = out.Flush()
}

func (s *soak) printWindow(w io.Writer, i int) {
	window := &s.windows[i]
	fmt.Fprintf(w, "  %s\t", (s.length * time.Duration(i+1) / soakWindows).Round(time.Second))
	for _, m := range window.memory {
		fmt.Fprintf(w, "%s\t", humanize.IBytes(uint64(m)))
	}
	fmt.Fprintf(w, "%d\t", window.lag)
	if n := len(window.fresh); n > 0 {
		slices.Sort(window.fresh)
		fmt.Fprintf(w, "%.1f / %.1f s", window.fresh[n/2].Seconds(), window.fresh[n-1].Seconds())
	}
	fmt.Fprintln(w, "\t")
}
