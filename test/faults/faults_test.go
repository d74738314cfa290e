package main

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOverlays shows that the sources still have what the harness changes in them.
func TestOverlays(t *testing.T) {
	t.Parallel()
	for _, name := range append(slices.Collect(maps.Keys(mutants())), "") {
		if _, err := overlay(t.Context(), filepath.Join(t.TempDir(), "changed"), name); err != nil {
			t.Errorf("mutant %q: %v", name, err)
		}
	}
}

func TestMutantsHaveTheirFault(t *testing.T) {
	t.Parallel()
	for name, m := range mutants() {
		if !slices.ContainsFunc(catalogue(), func(f fault) bool { return f.name == m.fault }) {
			t.Errorf("mutant %s: no fault is called %q", name, m.fault)
		}
	}
}

func TestCoverHasEveryFault(t *testing.T) {
	t.Parallel()
	seeds, err := cover()
	if err != nil {
		t.Fatal(err)
	}
	happen := map[string]bool{}
	for _, seed := range seeds {
		faults, _, err := plan(rand.New(rand.NewPCG(seed, 0)), "", true)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			happen[f.name] = true
		}
	}
	for _, f := range catalogue() {
		if !happen[f.name] {
			t.Errorf("%s is in none of the seeds %v", f.name, seeds)
		}
	}
}

func TestPlanIsOfItsSeed(t *testing.T) {
	t.Parallel()
	named := func(seed uint64) (names []string) {
		faults, _, err := plan(rand.New(rand.NewPCG(seed, 0)), "", true)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			names = append(names, f.name, f.at.String(), f.lasts.String())
		}
		return names
	}
	if a, b := named(7), named(7); !slices.Equal(a, b) {
		t.Errorf("one seed, two plans: %v and %v", a, b)
	}
	if slices.Equal(named(7), named(8)) {
		t.Error("seeds 7 and 8 have the same plan")
	}
}

func TestPlanLeavesOutWhatIsNotPermitted(t *testing.T) {
	t.Parallel()
	faults, skipped, err := plan(rand.New(rand.NewPCG(1, 0)), "full-nats", false)
	if err != nil || len(faults) > 0 || !slices.Equal(skipped, []string{"full-nats"}) {
		t.Errorf("faults %v, skipped %v, error %v", faults, skipped, err)
	}
	if _, _, err := plan(rand.New(rand.NewPCG(1, 0)), "full-moon", true); err == nil {
		t.Error("no error for a fault that there is not")
	}
}

func TestPlannedJobs(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-runs", "3", "-fault", "roll-nats"})
	if err != nil {
		t.Fatal(err)
	}
	done := []result{{job: job{Seed: 2, Only: "roll-nats"}}, {job: job{Seed: 3}}, {job: job{Seed: 1, Only: "roll-nats", Mutant: "ack-before-log"}}}
	jobs, err := plannedJobs(o, done)
	if want := []job{{Seed: 1, Only: "roll-nats"}, {Seed: 3, Only: "roll-nats"}}; err != nil || !slices.Equal(jobs, want) {
		t.Errorf("jobs %v, error %v, want %v", jobs, err, want)
	}
}

func TestAsItMust(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		res  result
		must bool
	}{
		"nothing found":                  {result{}, true},
		"something found":                {result{Findings: []string{"lost: edits: 1"}}, false},
		"a bug that loses, loses":        {result{job: job{Mutant: "ack-before-log"}, Lost: 1}, true},
		"a bug that loses, hangs":        {result{job: job{Mutant: "ack-before-log"}, Findings: []string{"hang"}}, false},
		"a bug that doubles, not caught": {result{job: job{Mutant: "sum-duplicates"}, Lost: 1}, false},
	} {
		if c.res.asItMust() != c.must {
			t.Errorf("%s: as it must be is %t", name, !c.must)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	alone := job{Seed: 4, Only: "roll-nats"}
	err := writeTable(&out, []result{
		{job: alone, Statuses: map[string]int{"OK": 90, "Unavailable": 10}, RecoveryMs: 1500},
		{job: job{Seed: 5, Only: "roll-nats"}, Statuses: map[string]int{"OK": 100}, RecoveryMs: 500},
		{job: job{Seed: 1}, Acked: 7, Unknown: 2, Lost: 3, Findings: []string{"lost"}, Statuses: map[string]int{"OK": 1}, RecoveryMs: 2000},
		{job: job{Seed: 1, Mutant: "ack-before-log"}, Lost: 100},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| rolling restart of the log | `roll-nats` | 2 | 0 | 0 | OK 95.0 %, Unavailable 5.0 % | 1.5 s, 1.5 s | 4 |",
		"1 runs, 1 with findings; 7 events acknowledged, 2 unknown; lost 3, duplicated 0; recovery: median 2.0 s, longest 2.0 s (seed 1)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, out.String())
		}
	}
}
