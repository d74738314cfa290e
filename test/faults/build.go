package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// clockVariable names the file that says by how many seconds a process's clock is wrong.
const clockVariable = "FAULTS_CLOCK"

// clockSource is added to the package time of the processes under test.
const clockSource = `package time

import "syscall"

var faultsOffset int64

func init() {
	name, ok := syscall.Getenv("` + clockVariable + `")
	if !ok {
		return
	}
	go func() {
		for ; ; Sleep(50 * Millisecond) {
			fd, err := open(name)
			if err != nil {
				continue
			}
			var text [24]byte
			n, _ := read(fd, text[:])
			closefd(fd)
			var offset, sign int64 = 0, 1
			for _, c := range text[:max(n, 0)] {
				switch {
				case c == '-':
					sign = -1
				case c >= '0' && c <= '9':
					offset = 10*offset + int64(c-'0')
				}
			}
			faultsOffset = sign * offset
		}
	}()
}
`

// change replaces text of one source file, which must be there once.
type change struct{ file, old, new string }

// timing shortens how long the log waits for a processor that has died, from a minute, and
// how long rates of users rest: a run lasts seconds.
func timing() []change {
	return []change{
		{"internal/eventlog/config.go", "AckWait:        time.Minute,", "AckWait:        3 * time.Second,"},
		{"processor/lane.go", "signOfLife = 20 * time.Second", "signOfLife = time.Second"},
		{"processor/settler_pace.go", "userIdleShare = 9\n", "userIdleShare = 1\n"},
	}
}

// mutant is a deliberate bug, a run in which the harness must catch it, and as what.
type mutant struct {
	changes []change
	fault   string
	seed    uint64
	caught  func(*result) bool
}

func lost(r *result) bool       { return r.Lost > 0 }
func duplicated(r *result) bool { return r.Duplicated > 0 }

// mutants are the deliberate bugs.
func mutants() map[string]mutant {
	return map[string]mutant{
		// The collector acknowledges before the log has confirmed.
		"ack-before-log": {fault: "kill-nats-two", seed: 1, caught: lost, changes: []change{
			{"collector/group.go", "\tg.err = c.log.Publish(", "\tclose(g.done)\n\t_ = c.log.Publish("},
			{"collector/group.go", "\tg.record = nil\n\tclose(g.done)\n", "\tg.record = nil\n"},
		}},
		// The processor acknowledges to the log before ClickHouse has the rows.
		"ack-before-insert": {fault: "kill-processor-insert", seed: 1, caught: lost, changes: []change{
			{"processor/writer.go", "\terr := w.store(", "\t_ = b.finish(w.p.cfg.RetryMax)\n\terr := w.store("},
		}},
		// A value that is measured twice is the sum, so that a duplicate changes it.
		"sum-duplicates": {fault: "twice-clients", seed: 1, caught: duplicated, changes: []change{
			{"internal/warehouse/migrations/0001_interactions.sql", "visible_us           SimpleAggregateFunction(max, UInt64)", "visible_us           SimpleAggregateFunction(sum, UInt64)"},
		}},
	}
}

// binaries are the programs under test.
type binaries struct{ flywheel, nats string }

// build builds the real programs into dir, with a clock that can be set wrong, and
// Flywheel with each of the mutants too; the programs are by mutant, "" is none. The
// sources stay as they are: the changes are an overlay of the build.
func build(ctx context.Context, dir string, mutants []string) (map[string]binaries, error) {
	nats, err := buildOne(ctx, dir, "", "nats-server", "github.com/nats-io/nats-server/v2")
	if err != nil {
		return nil, err
	}
	programs := map[string]binaries{}
	for _, mutant := range mutants {
		flywheel, err := buildOne(ctx, dir, mutant, "flywheel", "github.com/yirifi/flywheel/cmd/flywheel")
		if err != nil {
			return nil, err
		}
		programs[mutant] = binaries{flywheel: flywheel, nats: nats}
	}
	return programs, nil
}

func buildOne(ctx context.Context, dir, mutant, name, source string) (string, error) {
	dir = filepath.Join(dir, "programs-"+mutant)
	file, err := overlay(ctx, dir, mutant)
	if err != nil {
		return "", err
	}
	target := filepath.Join(dir, name)
	_, err = output(ctx, "go", "build", "-overlay", file, "-o", target, source)
	return target, err
}

// overlay writes the changed sources and the list of them that "go build" takes, and
// returns the list's name.
func overlay(ctx context.Context, dir, mutant string) (string, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	root, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return "", err
	}
	goroot, err := output(ctx, "go", "env", "GOROOT")
	if err != nil {
		return "", err
	}
	replaced := map[string]string{}
	changes := append(timing(), change{filepath.Join(goroot, "src/time/time.go"), "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {", "\tsec, nsec, mono := runtimeNow()\n\tsec += faultsOffset\n\tif mono == 0 {"})
	if mutant != "" {
		changes = append(changes, mutants()[mutant].changes...)
	}
	for i, c := range changes {
		if err := c.apply(root, dir, i, replaced); err != nil {
			return "", err
		}
	}
	clock := filepath.Join(dir, "faults_clock.go")
	if err := os.WriteFile(clock, []byte(clockSource), 0o600); err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	replaced[filepath.Join(goroot, "src/time/faults_clock.go")] = clock
	list, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	return file, nil
}

// apply writes the changed file into dir and notes it. A file that was
// changed before is changed again.
func (c change) apply(root, dir string, number int, replaced map[string]string) error {
	file := c.file
	if !filepath.IsAbs(file) {
		file = filepath.Join(root, file)
	}
	from := file
	if changed, ok := replaced[file]; ok {
		from = changed
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read source to change: %w", err)
	}
	if n := strings.Count(string(text), c.old); n != 1 {
		return fmt.Errorf("change %s: the text to replace is there %d times, not once: bring test/faults/build.go up to date: %q", c.file, n, c.old)
	}
	to := filepath.Join(dir, fmt.Sprint(number, "-", filepath.Base(file)))
	if err := os.WriteFile(to, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600); err != nil {
		return fmt.Errorf("write changed source: %w", err)
	}
	replaced[file] = to
	return nil
}

// output runs a command and returns what it wrote.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
