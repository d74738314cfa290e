package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/replay"
)

const (
	// checkTimeout is how long the rates may take to show everything.
	checkTimeout = 2 * time.Minute
	// checkAgain is how long equal counts must stay equal: longer than it takes from
	// an event to the rates, so that a count that is still growing is noticed.
	checkAgain = 5 * time.Second
	checkPoll  = 500 * time.Millisecond
)

type replayCmd struct {
	Collector    string `placeholder:"ADDRESS" help:"Address of the collector. Unset: where the 'flywheel up' of --data-dir listens, else 127.0.0.1:7410."`
	Source       string `type:"existingdir" placeholder:"DIR" help:"Folder whose source code is retyped. Unset: the Go tree in GOROOT."`
	Part         string `placeholder:"N/OF" help:"Retype only this part of the files, for example 1/2; the models' training text stays the same. Unset: all."`
	History      int    `help:"Retype also the changes of this many later versions of each file in git."`
	Interactions int    `default:"10000" help:"Suggestions to make."`
	Users        int    `help:"Authors. 0: one for every eight sessions."`
	Seed         uint64 `default:"1" help:"Decides everything that is drawn: the same seed, source, base time and sizes give the same events."`
	BaseTime     string `placeholder:"TIME" help:"When the virtual sessions begin (RFC 3339). Unset: so that they have just ended."`
	Workers      int    `default:"1" help:"Sessions typed at once. Does not change the events."`
	Repeat       int    `default:"1" help:"Send every event so many times, as retries do."`
	Shuffle      bool   `help:"Send all events in a shuffled order."`
	Content      string `enum:"training,diagnostics,none" default:"training" help:"What the text of the events may be used for (${enum})."`
	candidateSettings
	Tally string `type:"path" placeholder:"FILE" help:"Write the replay's own counts as JSON. Unset: standard output."`
	Check bool   `help:"Wait until the rates show everything, compare them with the replay's own counts and fail on any difference. The tenant must have no other events in the virtual time."`
	feedbackSettings
}

// Run retypes source code and, if asked to, checks the rates against its own counts.
func (c *replayCmd) Run(ctx context.Context, env environment) error {
	cfg, err := c.config()
	if err != nil {
		return usageError{err}
	}
	bar := newProgress(env.stderr, "retyping", env.log)
	tally, err := replay.Run(ctx, cfg, env.log, bar.set)
	if err := errors.Join(err, bar.finish()); err != nil {
		return err
	}
	if err := c.writeTally(tally, env.stdout); err != nil {
		return err
	}
	if tally.Interrupted {
		return errInterrupted
	}
	if d := tally.Delivery; d.Rejected+d.Dropped > 0 {
		return fmt.Errorf("%d events were rejected and %d dropped: the log lines above say why", d.Rejected, d.Dropped)
	}
	if !c.Check {
		return nil
	}
	return c.check(ctx, tally, env)
}

func (c *replayCmd) config() (replay.Config, error) {
	cfg := replay.DefaultConfig()
	cfg.Target = c.running().or(c.Collector, addresses.collector)
	cfg.Tenant = c.Tenant
	cfg.Source, cfg.History = c.Source, c.History
	cfg.Interactions, cfg.Users, cfg.Seed = c.Interactions, c.Users, c.Seed
	cfg.Workers, cfg.Repeat, cfg.Shuffle = c.Workers, c.Repeat, c.Shuffle
	cfg.Content = flywheelv1.Consent(flywheelv1.Consent_value["CONSENT_"+strings.ToUpper(c.Content)])
	if err := cfg.Part.UnmarshalText([]byte(c.Part)); err != nil {
		return cfg, fmt.Errorf("--part: %w", err)
	}
	if err := c.candidateSettings.apply(&cfg); err != nil {
		return cfg, err
	}
	if c.BaseTime != "" {
		at, err := time.Parse(time.RFC3339, c.BaseTime)
		if err != nil {
			return cfg, fmt.Errorf("--base-time %q: a time such as 2026-01-31T15:00:00Z is needed", c.BaseTime)
		}
		cfg.BaseTime = at
	}
	return cfg, cfg.Validate()
}

func (c *replayCmd) writeTally(tally *replay.Tally, stdout io.Writer) error {
	data, err := json.MarshalIndent(tally, "", "  ")
	if err != nil {
		return fmt.Errorf("encode tally: %w", err)
	}
	data = append(data, '\n')
	if c.Tally != "" {
		return writeFile(c.Tally, data)
	}
	if _, err := stdout.Write(data); err != nil {
		return fmt.Errorf("write tally: %w", err)
	}
	return nil
}

// check waits until the rates equal the tally and stay so.
func (c *replayCmd) check(ctx context.Context, tally *replay.Tally, env environment) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := flywheelv1.NewFeedbackServiceClient(conn)
	query := &ratesQuery{groupBy: []flywheelv1.Dimension{flywheelv1.Dimension_DIMENSION_MODEL}}
	var differences []string
	equalSince := time.Time{}
	for {
		found, err := query.ask(ctx, c.feedbackSettings, client, window{from: tally.BaseTime, to: tally.EndTime})
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			differences = replay.Diff(tally, found.rows)
		}
		switch {
		case len(differences) > 0:
			equalSince = time.Time{}
		case equalSince.IsZero():
			equalSince = time.Now()
		case time.Since(equalSince) >= checkAgain:
			_, err := fmt.Fprintf(env.stderr, "The rates equal the replay's own tally: %d opportunities, %d shown, %d events.\n",
				tally.Total.Opportunities, tally.Total.Shown, tally.EventsTotal)
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the rates differ from the replay's own tally:\n  %s", strings.Join(differences, "\n  "))
		case <-time.After(checkPoll):
		}
	}
}

// progress shows how far long work has come: a bar on a terminal, log lines otherwise.
type progress struct {
	bar  *progressbar.ProgressBar
	name string
	log  *slog.Logger
	said time.Time
}

// progressLogEvery is the time between log lines.
const progressLogEvery = 10 * time.Second

func newProgress(w io.Writer, name string, log *slog.Logger) *progress {
	p := &progress{name: name, log: log, said: time.Now()}
	if file, ok := w.(*os.File); ok && isTerminal(file) {
		p.bar = progressbar.NewOptions64(-1, progressbar.OptionSetDescription(name), progressbar.OptionSetWriter(w),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

func isTerminal(file *os.File) bool {
	return term.IsTerminal(int(file.Fd())) //nolint:gosec // a file descriptor is an int
}

// set says how much is done. It must not be called concurrently.
func (p *progress) set(done, total int) {
	if p.bar != nil {
		p.bar.ChangeMax(total)
		_ = p.bar.Set(done)
		return
	}
	if time.Since(p.said) >= progressLogEvery {
		p.said = time.Now()
		p.log.Info("progress", slog.String("of", p.name), slog.Int("done", done), slog.Int("total", total))
	}
}

func (p *progress) finish() error {
	if p.bar == nil {
		return nil
	}
	return p.bar.Finish()
}
