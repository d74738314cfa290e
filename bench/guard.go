package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// guardQueries is how many queries of each kind are sent.
	guardQueries = 300
	// guardInteractions is the load of each layout and floor.
	guardInteractions = 100_000
	// leastCPU and leastAllocations are CPU seconds per million events, and objects per event,
	// that a process must take to be compared.
	leastCPU, leastAllocations = 0.05, 0.01
	// referenceTurns is how often the reference walks over the load generator's events: about
	// a second.
	referenceTurns = 150
)

// guard measures the figures of the guard, and compares them with the baseline or, if
// update is set, writes them as a new one.
func guard(ctx context.Context, o options) error {
	var base *Baseline
	if !o.update {
		var err error
		if base, err = readBaseline(o.baseline); err != nil {
			return err
		}
	}
	figures := map[string]Figure{}
	for n := range o.runs {
		fmt.Fprintf(os.Stderr, "guard: run %d of %d\n", n+1, o.runs)
		run := figuresOfRun{}
		if err := run.run(ctx, o); err != nil {
			return err
		}
		for name, f := range run {
			f.Spread = spread(append(figures[name].Runs, f.Runs...))
			figures[name] = f
		}
	}
	now := &Baseline{Cores: runtime.NumCPU(), Go: runtime.Version(), Figures: figures}
	if o.update {
		printVerdicts(os.Stdout, (&Baseline{}).compare(figures))
		return now.write(o.baseline)
	}
	if now.Cores != base.Cores || now.Go != base.Go {
		fmt.Fprintf(os.Stdout, "the baseline is of %d cores and %s, this is %d cores and %s: ratios may differ for that alone\n", base.Cores, base.Go, now.Cores, now.Go)
	}
	verdicts := base.compare(figures)
	printVerdicts(os.Stdout, verdicts)
	return failure(verdicts)
}

// figuresOfRun are the figures of one run.
type figuresOfRun map[string]Figure

// add adds a figure; more of it is better if higher is set.
func (f figuresOfRun) add(name string, value float64, higher bool) {
	f[name] = Figure{Spread: spread([]float64{value}), Higher: higher}
}

// run measures everything once.
func (f figuresOfRun) run(ctx context.Context, o options) error {
	o.interactions, o.rate = guardInteractions, 0
	floor := math.Inf(1)
	for _, c := range contestants() {
		if !c.floor {
			continue
		}
		r, err := c.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		floor = min(floor, r.rate())
	}
	for _, layout := range []string{upName, splitName} {
		err := withSystem(ctx, layout, o, func(s *system) error { return f.load(ctx, s, o.load(), layout, floor) })
		if err != nil {
			return fmt.Errorf("%s: %w", layout, err)
		}
	}
	return nil
}

// load measures a load on a layout: its rate in units of the slowest floor's, the CPU time
// in units of the reference's, and the allocations; and queries before it, when nothing
// else happens.
func (f figuresOfRun) load(ctx context.Context, s *system, load eventLoad, layout string, floor float64) error {
	if err := f.queries(ctx, s, layout); err != nil {
		return err
	}
	reference, err := referenceCPU()
	if err != nil {
		return err
	}
	allocated, err := s.allocations(ctx)
	if err != nil {
		return err
	}
	load.tenant = "guard" // what is queried is the default one's
	r, err := s.measureEvents(ctx, load)
	if err != nil {
		return err
	}
	after, err := referenceCPU()
	if err != nil {
		return err
	}
	reference = (reference + after) / 2
	events := float64(r.load.Events)
	f.add(layout+": events/s : slowest floor", r.rate()/floor, true)
	for _, used := range r.usage {
		// What a process takes that does next to nothing is all noise, and the load
		// generator is no part of what is guarded.
		if cpu := used.cpu / events * 1e6; cpu > leastCPU && used.name != generatorName {
			f.add(layout+": CPU of a million events : reference, "+used.name, cpu/reference, false)
		}
	}
	total, err := s.allocations(ctx)
	if err != nil {
		return err
	}
	for name, n := range total {
		if each := (n - allocated[name]) / events; each > leastAllocations {
			f.add(layout+": allocations of an event, "+name, each, false)
		}
	}
	return nil
}

// queries compares GetRates with the shortest statement that there is.
func (f figuresOfRun) queries(ctx context.Context, s *system, layout string) error {
	since, err := s.storeRates(ctx)
	if err != nil {
		return err
	}
	askers, closing, err := newAskers(s.feedback, 1, true, since)
	if err != nil {
		return err
	}
	rates, err := askAll(ctx, askers, func(answers int) bool { return answers < guardQueries })
	if err := errors.Join(err, closing()); err != nil {
		return err
	}
	var floor latencies
	for range guardQueries {
		var one uint8
		began := time.Now()
		if err := s.db.Conn().QueryRow(ctx, "SELECT 1").Scan(&one); err != nil {
			return fmt.Errorf("select 1: %w", err)
		}
		floor = append(floor, time.Since(began))
	}
	slices.Sort(floor)
	f.add(layout+": GetRates : SELECT 1, p50", rates.at(0.5)/floor.at(0.5), false)
	return nil
}

// allocations are the objects that the roles have allocated so far.
func (s *system) allocations(ctx context.Context) (map[string]float64, error) {
	allocated := map[string]float64{}
	for _, p := range s.processes {
		if p.debug == "" {
			continue
		}
		n, err := metric(ctx, p.debug, "go_memstats_mallocs_total")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		allocated[p.name] = n
	}
	return allocated, nil
}

// metric reads a metric without labels.
func metric(ctx context.Context, address, name string) (value float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return strconv.ParseFloat(rest, 64)
		}
	}
	return 0, errors.Join(fmt.Errorf("read metrics: there is no %s", name), lines.Err())
}

// referenceCPU is the CPU seconds that a fixed piece of work takes on this machine now: the
// kind of work that the roles do, walking over the wire format of events, copying and
// adding up. It is the unit of CPU times.
func referenceCPU() (float64, error) {
	t, err := newTape(flywheelFormat(), interactionsPerSession)
	if err != nil {
		return 0, err
	}
	into := make([]byte, 0, len(t.wire))
	start, err := ownCPU()
	if err != nil {
		return 0, err
	}
	sum := crc32.NewIEEE()
	for range referenceTurns {
		into = into[:0]
		for rest := t.wire; len(rest) > 0; {
			_, _, tag := protowire.ConsumeTag(rest)
			event, size := protowire.ConsumeBytes(rest[tag:])
			for fields := event; len(fields) > 0; {
				_, _, n := protowire.ConsumeField(fields)
				fields = fields[n:]
			}
			into = append(into, event...)
			rest = rest[tag+size:]
		}
		_, _ = sum.Write(into)
	}
	end, err := ownCPU()
	if err == nil && sum.Sum32() == 0 {
		err = errors.New("the reference has added nothing up")
	}
	return end - start, err
}
