package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/yirifi/flywheel/internal/rpc"
)

const (
	// guardDays and guardHistory are what is queried: days, and interactions in them.
	guardDays    = 5
	guardHistory = 50_000
	// guardQueries is how many queries of each kind are sent.
	guardQueries = 300
	// guardInteractions is the load of which CPU time and allocations are counted.
	guardInteractions = 100_000
	// referenceInteractions is how many interactions the reference walks over, referenceTurns
	// how often: about a second.
	referenceInteractions = 2_000
	referenceTurns        = 300
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
		run, err := guardRun(ctx, o)
		if err != nil {
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

// guardRoles measures one process per role: queries while nothing else happens, then the
// CPU time, in units of the reference's, and the allocations of a load.
func guardRoles(ctx context.Context, o options, figures figuresOfRun) error {
	return withSystem(ctx, "split", o, func(s *system) error {
		if err := s.guardQueries(ctx, figures); err != nil {
			return err
		}
		before, err := referenceCPU()
		if err != nil {
			return err
		}
		allocated, err := s.allocations(ctx)
		if err != nil {
			return err
		}
		load := fullLoad("load")
		load.interactions = guardInteractions
		report, err := s.measureEvents(ctx, load)
		if err != nil {
			return err
		}
		after, err := referenceCPU()
		if err != nil {
			return err
		}
		events := float64(report.load.Events)
		for _, u := range report.usage {
			figures.add("CPU of a million events : reference, "+u.name, u.cpu/events*1e6*2/(before+after), false)
		}
		total, err := s.allocations(ctx)
		if err != nil {
			return err
		}
		for name, n := range total {
			figures.add("allocations of an event, "+name, (n-allocated[name])/events, false)
		}
		return nil
	})
}

// guardQueries compares GetRates with the shortest statement that there is.
func (s *system) guardQueries(ctx context.Context, figures figuresOfRun) error {
	since := time.Now().UTC().Truncate(day).Add(-guardDays * day)
	for n := range guardDays {
		if err := generate(ctx, s.db, since.Add(time.Duration(n)*day), guardHistory/guardDays); err != nil {
			return err
		}
	}
	if _, err := s.waitSettled(ctx, rpc.DefaultTenant, guardHistory, time.Now()); err != nil {
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
	figures.add("GetRates : SELECT 1, p50", rates.at(0.5)/floor.at(0.5), false)
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
	corpus, err := loadCorpus()
	if err != nil {
		return 0, err
	}
	m := newMix(corpus, 0)
	var events []byte
	for range referenceInteractions {
		events = m.interaction(events)
	}
	into := make([]byte, 0, len(events))
	start, err := cpuOfSelf()
	if err != nil {
		return 0, err
	}
	sum := crc32.NewIEEE()
	for range referenceTurns {
		into = into[:0]
		for rest := events; len(rest) > 0; {
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
	end, err := cpuOfSelf()
	if err == nil && sum.Sum32() == 0 {
		err = errors.New("the reference has added nothing up")
	}
	return end - start, err
}

// cpuOfSelf is the CPU seconds of this process so far.
func cpuOfSelf() (float64, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("read own CPU time: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds(), nil
}

// guardRun measures everything once.
func guardRun(ctx context.Context, o options) (figuresOfRun, error) {
	figures := figuresOfRun{}
	return figures, guardRoles(ctx, o, figures)
}
