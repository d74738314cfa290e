package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// selftest shows that the harness can fail: each mutant must be caught, in a run in which
// nothing is found without it.
func selftest(ctx context.Context, o options) error {
	o.mutant = ""
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(mutants())) {
		m := mutants()[name]
		o.only = m.fault
		for _, bug := range []string{"", name} {
			o.mutant = bug
			res, err := selfRun(ctx, o, m.seed)
			if err != nil {
				return err
			}
			res.print()
			caught := res.Lost+res.Duplicated > 0
			switch {
			case bug != "" && !caught:
				errs = append(errs, fmt.Errorf("mutant %s was not caught", name))
			case bug == "" && len(res.Findings) > 0:
				errs = append(errs, fmt.Errorf("findings without a mutant, fault %s", m.fault))
			case bug != "":
				fmt.Printf("  CAUGHT mutant %s, as it must be\n", name)
				errs = append(errs, os.RemoveAll(res.Dir))
			}
		}
	}
	return errors.Join(errs...)
}

// selfRun builds and runs one seed.
func selfRun(ctx context.Context, o options, seed uint64) (res result, err error) {
	dir, err := os.MkdirTemp("", "flywheel-faults-build-")
	if err != nil {
		return result{}, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	programs, err := build(ctx, dir, o.mutant)
	if err != nil {
		return result{}, err
	}
	return runSeed(ctx, o, programs, seed, 0)
}
