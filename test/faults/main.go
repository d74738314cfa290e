// Command faults tries to break the promise that an acknowledged event is never lost and
// never counts twice. docs/reliability.md says how, and what came of it.
//
// Each run starts the real programs as separate processes: two collectors, two
// processors with settlers, feedback, a cluster of three NATS servers, ClickHouse. It
// sends events while faults drawn from a seed happen, heals everything, and compares the
// tables with a ledger of what was acknowledged.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/yirifi/flywheel/internal/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	runs     int
	seed     uint64
	jobs     int
	results  string
	fault    string
	mutant   string
	keep     bool
	table    bool
	cover    bool
	selftest bool
}

// everyFault, as -fault, is each kind in turn.
const everyFault = "each"

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.IntVar(&o.runs, "runs", 1, "seeds to run")
	flags.Uint64Var(&o.seed, "seed", 1, "the first seed")
	flags.IntVar(&o.jobs, "jobs", 1, "runs at a time")
	flags.StringVar(&o.results, "results", "", "file of results, one JSON line per run; runs it has are not done again")
	flags.StringVar(&o.fault, "fault", "", "let exactly one fault of this kind happen per run; '"+everyFault+"' does that with every kind")
	flags.StringVar(&o.mutant, "mutant", "", "build this deliberate bug in, which must be caught")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder of each run")
	flags.BoolVar(&o.table, "table", false, "print the table of faults from the results, and do nothing else")
	flags.BoolVar(&o.cover, "cover", false, "run a few seeds in which every kind of fault appears, instead of -runs")
	flags.BoolVar(&o.selftest, "selftest", false, "show that each deliberate bug is caught; alone, or with -cover")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.runs < 1 || o.jobs < 1 {
		return o, fmt.Errorf("arguments %q, %d runs, %d at a time: no argument and at least one of each is needed", flags.Args(), o.runs, o.jobs)
	}
	if _, ok := mutants()[o.mutant]; !ok && o.mutant != "" {
		return o, fmt.Errorf("no mutant is called %q", o.mutant)
	}
	return o, nil
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && args[0] == "engine" {
		return engine.Main(args[1:])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	done, err := readResults(o.results)
	if err != nil {
		return err
	}
	if o.table {
		return writeTable(os.Stdout, done)
	}
	jobs, err := plannedJobs(o, done)
	if err != nil || len(jobs) == 0 {
		return err
	}
	slots, err := takeSlots(ctx, o.jobs+1) // one for the programs
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, freeSlots(context.WithoutCancel(ctx), slots)) }()
	var bugs []string
	for _, one := range jobs {
		if !slices.Contains(bugs, one.Mutant) {
			bugs = append(bugs, one.Mutant)
		}
	}
	c := &campaign{out: os.Stdout, results: o.results, keep: o.keep}
	c.say("building the programs, %d times\n", len(bugs))
	if c.programs, err = build(ctx, slots[0].dir, bugs); err != nil {
		return err
	}
	return c.run(ctx, jobs, slots[1:])
}

// plannedJobs are the runs that the flags ask for and that are not done.
func plannedJobs(o options, done []result) ([]job, error) {
	var jobs []job
	if o.selftest {
		jobs = selftest()
	}
	switch {
	case o.cover:
		seeds, err := cover()
		if err != nil {
			return nil, err
		}
		for _, seed := range seeds {
			jobs = append(jobs, job{Seed: seed})
		}
	case !o.selftest:
		kinds := []string{o.fault}
		if o.fault == everyFault {
			kinds = nil
			for _, f := range catalogue() {
				kinds = append(kinds, f.name)
			}
		}
		for _, kind := range kinds {
			for seed := o.seed; seed < o.seed+uint64(o.runs); seed++ {
				jobs = append(jobs, job{Seed: seed, Only: kind, Mutant: o.mutant})
			}
		}
	}
	had := map[job]bool{}
	for _, r := range done {
		had[r.job] = true
	}
	var left []job
	for _, one := range jobs {
		if !had[one] {
			left = append(left, one)
		}
	}
	return left, nil
}

// selftest are the runs that show that the harness can fail: each deliberate bug in the
// run in which it must be caught, and the same run without it, in which nothing is.
func selftest() []job {
	var jobs []job
	for _, name := range slices.Sorted(maps.Keys(mutants())) {
		m := mutants()[name]
		jobs = append(jobs, job{Seed: m.seed, Only: m.fault, Mutant: name}, job{Seed: m.seed, Only: m.fault})
	}
	return jobs
}
