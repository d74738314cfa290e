package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/test/ledger"
)

const (
	clients = 4
	// loadFor is how long faults happen under load.
	loadFor = 7 * time.Second
	pace    = 60 * time.Millisecond
	sdkPace = 40 * time.Millisecond
	// drainTimeout is how long the log may take to be empty, settleTime the tables and rates
	// from then on to be right, or mutantTime with a bug that keeps them from it;
	// checkTimeout and verifyTimeout bound the comparison and the recount.
	drainTimeout  = 3 * time.Minute
	settleTime    = time.Minute
	mutantTime    = 5 * time.Second
	checkTimeout  = 5 * time.Minute
	verifyTimeout = 2 * time.Minute
	faultsMin     = 3
	faultsMax     = 6
	// coverFrom is how many seeds are looked at for the few that have every fault.
	coverFrom = 200
)

// job says what a run is: all that matters for doing it again.
type job struct {
	Seed uint64 `json:"seed"`
	// Only is the one fault that happens; empty: several, drawn from the seed.
	Only string `json:"only,omitempty"`
	// Mutant is the deliberate bug; empty: none.
	Mutant string `json:"mutant,omitempty"`
}

// result is one run, a line of the results file.
type result struct {
	job
	// Faults are those that happened, Skipped those that are not permitted here.
	Faults     []string       `json:"faults"`
	Skipped    []string       `json:"skipped,omitempty"`
	Namespaces bool           `json:"namespaces"`
	Acked      int            `json:"acknowledged"`
	Unknown    int            `json:"unknown"`
	Refused    int            `json:"refused"`
	Resent     int            `json:"resent"`
	Statuses   map[string]int `json:"statuses"`
	Lost       uint64         `json:"lost"`
	Duplicated uint64         `json:"duplicated"`
	Findings   []string       `json:"findings,omitempty"`
	// RecoveryMs is from the end of the last fault until events were acknowledged again
	// and none waited in the log.
	RecoveryMs int64   `json:"recovery_ms"`
	Seconds    float64 `json:"seconds"`
	// Dir has the logs of a run with findings.
	Dir string `json:"dir,omitempty"`
}

// planned is a fault at its time.
type planned struct {
	fault
	at, lasts time.Duration
}

// plan draws the faults of a run.
func plan(r *rand.Rand, only string, disks bool) (faults []planned, skipped []string, err error) {
	all := catalogue()
	if only != "" {
		all = slices.DeleteFunc(all, func(f fault) bool { return f.name != only })
		if len(all) == 0 {
			return nil, nil, fmt.Errorf("no fault is called %q", only)
		}
	}
	count := faultsMin + r.IntN(faultsMax-faultsMin+1)
	if only != "" {
		count = 1
	}
	for range count {
		p := planned{fault: all[r.IntN(len(all))], at: time.Duration(500+r.IntN(4000)) * time.Millisecond, lasts: time.Duration(1000+r.IntN(2500)) * time.Millisecond}
		if len(p.disks) > 0 && !disks {
			skipped = append(skipped, p.name)
			continue
		}
		faults = append(faults, p)
	}
	slices.SortFunc(faults, func(a, b planned) int { return int(a.at - b.at) })
	return faults, skipped, nil
}

// cover returns seeds in which together every kind of fault appears: as few as taking the
// most useful of the first ones each time comes to.
func cover() ([]uint64, error) {
	kinds := map[string]bool{}
	for _, f := range catalogue() {
		kinds[f.name] = true
	}
	var seeds []uint64
	for len(kinds) > 0 {
		best, most := uint64(0), 0
		for seed := range uint64(coverFrom) {
			faults, _, err := plan(rand.New(rand.NewPCG(seed+1, 0)), "", true)
			if err != nil {
				return nil, err
			}
			useful := map[string]bool{}
			for _, f := range faults {
				if kinds[f.name] {
					useful[f.name] = true
				}
			}
			if len(useful) > most {
				best, most = seed+1, len(useful)
			}
		}
		if most == 0 {
			return nil, fmt.Errorf("faults %v appear in none of the first %d seeds", slices.Collect(maps.Keys(kinds)), coverFrom)
		}
		faults, _, err := plan(rand.New(rand.NewPCG(best, 0)), "", true)
		if err != nil {
			return nil, err
		}
		for _, f := range faults {
			delete(kinds, f.name)
		}
		seeds = append(seeds, best)
	}
	return seeds, nil
}

// runOne does one run in a slot. An error says that nothing can be said of it: the
// harness itself failed, or was interrupted.
func runOne(ctx context.Context, one job, programs binaries, place *slot) (res result, err error) {
	began := time.Now()
	res = result{job: one}
	r := rand.New(rand.NewPCG(one.Seed, 0))
	faults, skipped, err := plan(r, one.Only, mount(filepath.Join(place.dir, "probe")) == nil)
	if err != nil {
		return res, err
	}
	res.Skipped = skipped
	var disks []string
	for _, f := range faults {
		res.Faults = append(res.Faults, f.name)
		disks = append(disks, f.disks...)
	}
	if err := os.MkdirAll(filepath.Join(place.dir, "run"), 0o750); err != nil {
		return res, fmt.Errorf("make folder: %w", err)
	}
	slices.Sort(disks)
	w, err := startWorld(ctx, place, programs, r, slices.Compact(disks))
	if err != nil {
		return res, err
	}
	defer w.stop()
	res.Namespaces = w.network.namespaces
	err = w.trial(ctx, &res, faults)
	res.Seconds = time.Since(began).Seconds()
	return res, errors.Join(err, ctx.Err())
}

// trial sends load under faults, heals, and checks.
func (w *world) trial(ctx context.Context, res *result, faults []planned) error {
	book := ledger.New()
	loading, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	ending, cancel := context.WithTimeout(ctx, loadFor+drainTimeout)
	defer cancel()
	load, err := w.load(loading, ending, book, res.Seed)
	if err != nil {
		return err
	}
	if err := w.inflict(ctx, res.Seed, faults); err != nil {
		stopLoad()
		return errors.Join(err, load.Wait())
	}
	healed := time.Now()
	if err := w.acknowledges(ctx, book); err != nil {
		res.Findings = append(res.Findings, err.Error())
	}
	stopLoad()
	err = load.Wait()
	if drained := w.drained(ctx); drained != nil {
		res.Findings = append(res.Findings, drained.Error())
	}
	res.RecoveryMs = time.Since(healed).Milliseconds()
	return errors.Join(err, w.judge(ctx, book, res))
}

// load starts the clients, of two tenants.
func (w *world) load(ctx, end context.Context, book *ledger.Ledger, seed uint64) (*errgroup.Group, error) {
	group := new(errgroup.Group)
	for i := range clients {
		targets, err := w.client(end, i)
		if err != nil {
			return group, err
		}
		load := ledger.Load{Seed: seed, Client: uint64(i), Tenant: []string{"acme", "globex"}[i/2%2], Targets: targets, Stream: i%2 == 0, Pace: pace}
		group.Go(func() error { return book.Run(ctx, end, load) })
	}
	targets, err := w.client(end, clients)
	if err != nil {
		return group, err
	}
	group.Go(func() error {
		return book.RunSDK(ctx, end, ledger.Load{Seed: seed, Client: clients, Tenant: "acme", Targets: targets, Pace: sdkPace})
	})
	return group, nil
}

// inflict lets the faults happen at their times and returns when all are healed.
func (w *world) inflict(ctx context.Context, seed uint64, faults []planned) error {
	started := time.Now()
	errs := make([]error, len(faults))
	var group sync.WaitGroup
	for i, f := range faults {
		r := rand.New(rand.NewPCG(seed, uint64(i+1)))
		group.Go(func() {
			wait(ctx, f.at)
			heal, err := f.hurt(ctx, w, r)
			wait(ctx, f.lasts)
			errs[i] = errors.Join(err, heal())
		})
	}
	group.Wait()
	if len(faults) != 1 {
		wait(ctx, loadFor-time.Since(started))
	}
	return errors.Join(errs...)
}

// acknowledges returns when events are acknowledged after now.
func (w *world) acknowledges(ctx context.Context, book *ledger.Ledger) error {
	before := book.Summary().Statuses["OK"]
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for book.Summary().Statuses["OK"] < before+2*clients {
		if ctx.Err() != nil {
			return errors.New("hang: nothing is acknowledged after the faults")
		}
		wait(ctx, pollEvery)
	}
	return nil
}

// drained returns when no record waits in the log.
func (w *world) drained(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for {
		waiting, err := uint64(0), error(nil)
		for _, lane := range []eventlog.Lane{eventlog.Outcome, eventlog.Trace} {
			n, pendingErr := w.log.Pending(ctx, lane)
			waiting, err = waiting+n, errors.Join(err, pendingErr)
		}
		if err == nil && waiting == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("hang: %d records wait in the log: %w", waiting, errors.Join(err, ctx.Err()))
		}
		wait(ctx, pollEvery)
	}
}

// judge compares the tables with the ledger and lets flywheel verify recount them.
func (w *world) judge(ctx context.Context, book *ledger.Ledger, res *result) error {
	patience := settleTime
	if res.Mutant != "" {
		patience = mutantTime // what a bug has lost does not come
	}
	checking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	findings, err := book.Check(checking, w.db, patience)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Kind == ledger.Lost {
			res.Lost += f.Rows
		} else {
			res.Duplicated += f.Rows
		}
		res.Findings = append(res.Findings, f.String())
	}
	s := book.Summary()
	res.Acked, res.Unknown, res.Refused, res.Resent, res.Statuses = s.Acknowledged, s.Unknown, s.Refused, s.Resent, s.Statuses
	if res.Mutant != "" {
		return nil
	}
	verifying, cancelVerify := context.WithTimeout(ctx, verifyTimeout)
	defer cancelVerify()
	verify := exec.CommandContext(verifying, w.programs.flywheel, "verify", "--clickhouse-url="+w.engine.DSN("flywheel"), "--wait=30s", "--log-level=error")
	if out, err := verify.CombinedOutput(); err != nil {
		res.Findings = append(res.Findings, fmt.Sprintf("flywheel verify: %v: %s", err, strings.TrimSpace(string(out))))
	}
	return nil
}
