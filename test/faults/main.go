// Command faults tries to break the promise that an acknowledged event is never lost and
// never counts twice. docs/reliability.md says how, and what came of it.
//
// Each run starts the real programs as separate processes: two collectors, two
// processors with settlers, feedback, a cluster of three NATS servers, ClickHouse. It
// sends events while faults drawn from a seed happen, heals everything, and compares the
// tables with a ledger of what was acknowledged.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/internal/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	runs     int
	seed     uint64
	onlySeed uint64
	jobs     int
	results  string
	only     string
	mutant   string
	keep     bool
	table    bool
	selftest bool
}

// errFindings ends a campaign that broke the promise.
var errFindings = errors.New("the promise is broken: see the findings above")

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "engine" {
		return engine.Main(args[1:])
	}
	var o options
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.IntVar(&o.runs, "runs", 1, "seeds to run")
	flags.Uint64Var(&o.seed, "seed", 1, "the first seed")
	flags.Uint64Var(&o.onlySeed, "only-seed", 0, "run this seed alone, also when the results have it")
	flags.IntVar(&o.jobs, "jobs", 1, "runs at a time")
	flags.StringVar(&o.results, "results", "", "file of results, one JSON line per run; seeds it has are not run again")
	flags.StringVar(&o.only, "fault", "", "let exactly one fault of this kind happen per run; 'each' runs every kind with -runs seeds")
	flags.StringVar(&o.mutant, "mutant", "", "build a deliberate bug in, which must be caught")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder of each run")
	flags.BoolVar(&o.table, "table", false, "print the table of faults from the results")
	flags.BoolVar(&o.selftest, "selftest", false, "show that each deliberate bug is caught")
	if err := flags.Parse(args); err != nil {
		return err
	}
	done, err := readResults(o.results)
	if err != nil {
		return err
	}
	if o.table {
		return writeTable(os.Stdout, done)
	}
	if o.selftest {
		return selftest(ctx, o)
	}
	dir, err := os.MkdirTemp("", "flywheel-faults-build-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs, err := build(ctx, dir, o.mutant)
	if err != nil {
		return err
	}
	if o.only != "each" {
		return campaign(ctx, o, programs, done)
	}
	for _, f := range catalogue() {
		o.only = f.name
		if err := campaign(ctx, o, programs, done); err != nil {
			return err
		}
	}
	return nil
}

// campaign runs the seeds that are not done.
func campaign(ctx context.Context, o options, programs binaries, done []result) error {
	if o.onlySeed != 0 {
		o.seed, o.runs, done = o.onlySeed, 1, nil
	}
	had := map[string]bool{}
	for _, r := range done {
		had[key(r)] = true
	}
	slots := make(chan int, o.jobs)
	for slot := range o.jobs {
		slots <- slot
	}
	var mu sync.Mutex
	broken := false
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(o.jobs)
	for seed := o.seed; seed < o.seed+uint64(o.runs); seed++ {
		if had[key(result{Seed: seed, Only: o.only, Mutant: o.mutant})] || running.Err() != nil {
			continue
		}
		group.Go(func() error {
			slot := <-slots
			defer func() { slots <- slot }()
			res, err := runSeed(running, o, programs, seed, slot)
			if err != nil {
				return fmt.Errorf("seed %d (folder %s): %w", seed, res.Dir, err)
			}
			mu.Lock()
			defer mu.Unlock()
			res.print()
			broken = broken || len(res.Findings) > 0
			return appendResult(o.results, res)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if broken {
		return errFindings
	}
	return ctx.Err()
}

// key tells runs apart.
func key(r result) string { return fmt.Sprint(r.Seed, " ", r.Only, " ", r.Mutant) }

// print writes the line of a run, and how to repeat one with findings.
func (r result) print() {
	fmt.Printf("seed %d: %s: lost %d, duplicated %d, unknown %d of %d events, recovery %.1f s, %.0f s, namespaces %t\n",
		r.Seed, strings.Join(r.Faults, " "), r.Lost, r.Duplicated, r.Unknown, r.Acked+r.Unknown+r.Refused, float64(r.RecoveryMs)/1e3, r.Seconds, r.Namespaces)
	if len(r.Skipped) > 0 {
		fmt.Printf("  SKIPPED, not permitted here: %s\n", strings.Join(r.Skipped, " "))
	}
	for _, f := range r.Findings {
		fmt.Println("  FINDING", f)
	}
	if len(r.Findings) > 0 {
		fmt.Printf("  logs in %s; again: go run ./test/faults -only-seed %d -fault %q -mutant %q -keep\n", r.Dir, r.Seed, r.Only, r.Mutant)
	}
}

func readResults(path string) ([]result, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer func() { _ = file.Close() }()
	var all []result
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read results in %s: %w", path, err)
		}
		all = append(all, r)
	}
	return all, lines.Err()
}

func appendResult(path string, r result) (err error) {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return json.NewEncoder(file).Encode(r)
}
