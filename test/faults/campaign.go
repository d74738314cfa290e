package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
)

// maxFailures is how many runs in a row that could not be judged end a campaign.
const maxFailures = 5

// campaign is a number of runs, some at a time.
type campaign struct {
	out      io.Writer
	results  string
	keep     bool
	programs map[string]binaries // by mutant

	mu     sync.Mutex
	total  int
	done   int
	broken int
	failed int
	row    int                      // of those that could not be judged, up to now
	bar    *progressbar.ProgressBar // nil without a terminal
}

// run does the jobs. Its error says that the promise was broken, that a deliberate bug
// was not caught, or that not every job could be judged.
func (c *campaign) run(ctx context.Context, jobs []job, slots []*slot) error {
	c.total = len(jobs)
	if term.IsTerminal(int(os.Stderr.Fd())) { //nolint:gosec // a file descriptor is an int
		c.bar = progressbar.NewOptions(c.total, progressbar.OptionSetDescription("runs"), progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
	}
	free := make(chan *slot, len(slots))
	for _, s := range slots {
		free <- s
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.SetLimit(len(slots))
	for _, one := range jobs {
		if running.Err() != nil {
			break
		}
		group.Go(func() error {
			place := <-free
			defer func() { free <- place }()
			if running.Err() != nil {
				return nil
			}
			res, err := runOne(running, one, c.programs[one.Mutant], place)
			if running.Err() != nil {
				return nil
			}
			if c.end(&res, place, err) >= maxFailures {
				stop()
			}
			return place.clean(ctx)
		})
	}
	return errors.Join(group.Wait(), c.verdict(ctx))
}

// verdict is the error of the whole campaign.
func (c *campaign) verdict(ctx context.Context) error {
	var errs []error
	if c.broken > 0 {
		errs = append(errs, fmt.Errorf("%d runs are not as they must be: see the findings above", c.broken))
	}
	if c.failed > 0 {
		errs = append(errs, fmt.Errorf("%d runs could not be judged: run the same command again", c.failed))
	}
	if ctx.Err() != nil {
		errs = append(errs, fmt.Errorf("interrupted after %d of %d runs: the same command goes on", c.done, c.total))
	}
	return errors.Join(errs...)
}

// end notes a run, keeps what there is to look at, and returns how many in a row could
// not be judged.
func (c *campaign) end(res *result, place *slot, err error) (row int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept error
	if c.keep || err != nil || !res.asItMust() {
		res.Dir, kept = keep(place, res.job)
	}
	c.done++
	switch {
	case err != nil:
		c.failed++
		c.row++
		c.say("%d/%d %s: COULD NOT BE JUDGED: %v\n  logs in %s\n", c.done, c.total, res.name(), err, res.Dir)
	default:
		c.row = 0
		if !res.asItMust() {
			c.broken++
		}
		c.say("%d/%d %s", c.done, c.total, res)
		if err := appendResult(c.results, *res); err != nil {
			c.failed++
			c.say("%v\n", err)
		}
	}
	if kept != nil {
		c.say("%v\n", kept)
	}
	if c.bar != nil {
		_ = c.bar.Add(1)
	}
	return c.row
}

// say writes above the bar, if there is one.
func (c *campaign) say(format string, args ...any) {
	if c.bar != nil {
		_ = c.bar.Clear()
	}
	_, _ = fmt.Fprintf(c.out, format, args...)
}

// keep moves the folder of a run out of the slot.
func keep(place *slot, one job) (string, error) {
	dir, err := os.MkdirTemp(root(), "kept-"+strings.ReplaceAll(one.name(), " ", "-")+"-")
	if err != nil {
		return "", fmt.Errorf("keep folder: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(place.dir, "run", "*"))
	if err != nil {
		return "", fmt.Errorf("keep folder: %w", err)
	}
	var errs []error
	for _, file := range files {
		to := filepath.Join(dir, filepath.Base(file))
		if os.Rename(file, to) != nil { // a mount
			errs = append(errs, os.CopyFS(to, os.DirFS(file)))
		}
	}
	return dir, errors.Join(errs...)
}

// name is the run in words.
func (j job) name() string {
	name := fmt.Sprint("seed ", j.Seed)
	if j.Only != "" {
		name += " " + j.Only
	}
	if j.Mutant != "" {
		name += " mutant " + j.Mutant
	}
	return name
}

// again is the command that repeats the run.
func (j job) again() string {
	command := fmt.Sprint("go run ./test/faults -keep -seed ", j.Seed)
	if j.Only != "" {
		command += " -fault " + j.Only
	}
	if j.Mutant != "" {
		command += " -mutant " + j.Mutant
	}
	return command
}

// asItMust says that a run with no bug built in found nothing, or that one with a bug
// found what the bug does.
func (r *result) asItMust() bool {
	if r.Mutant == "" {
		return len(r.Findings) == 0
	}
	return mutants()[r.Mutant].caught(r)
}

// String is the lines about a run, with how to repeat one that is not as it must be.
func (r *result) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s: lost %d, duplicated %d, unknown %d of %d events, recovery %.1f s, %.0f s\n",
		r.name(), strings.Join(r.Faults, " "), r.Lost, r.Duplicated, r.Unknown, r.Acked+r.Unknown+r.Refused, float64(r.RecoveryMs)/1e3, r.Seconds)
	if len(r.Skipped) > 0 {
		fmt.Fprintf(&text, "  SKIPPED, not permitted here: %s\n", strings.Join(r.Skipped, " "))
	}
	if r.Mutant != "" && r.asItMust() {
		text.WriteString("  CAUGHT, as it must be\n")
		return text.String()
	}
	for _, f := range r.Findings {
		fmt.Fprintln(&text, "  FINDING", f)
	}
	if !r.asItMust() {
		if r.Mutant != "" {
			text.WriteString("  NOT CAUGHT\n")
		}
		fmt.Fprintf(&text, "  logs in %s; again: %s\n", r.Dir, r.again())
	}
	return text.String()
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
