package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/yirifi/flywheel/verify"
)

type verifyCmd struct {
	clickHouseSettings
	From           moment        `placeholder:"TIME" help:"Start (RFC 3339, or how long ago: 2h), widened to the hour. Unset: the oldest data."`
	To             moment        `placeholder:"TIME" help:"End, widened to the hour. Unset: the newest data."`
	Tenant         string        `help:"Tenant to look at. Unset: all."`
	MinRead        time.Duration `default:"750ms" help:"--min-read of the processors."`
	MinReject      time.Duration `default:"0s" help:"--min-reject of the processors."`
	MaxDifferences int           `default:"20" help:"Differences after which to stop."`
	Wait           time.Duration `default:"30s" help:"How long nothing may change in a minute that differs until it counts as a difference."`
	Output         string        `enum:"text,json" default:"text" help:"Form of the report (${enum})."`
}

// errDiffers ends a verification that found differences, which are then written.
var errDiffers = errors.New("what is stored differs from a recount of the raw rows")

// Run verifies and writes the report.
func (c *verifyCmd) Run(ctx context.Context, env environment) (err error) {
	cfg := verify.DefaultConfig()
	cfg.From, cfg.To, cfg.Tenant = c.From.Time, c.To.Time, c.Tenant
	cfg.MinRead, cfg.MinReject = c.MinRead, c.MinReject
	cfg.MaxDifferences, cfg.Wait = c.MaxDifferences, c.Wait
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	db, err := c.open(ctx, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	verifier, err := verify.New(cfg, db, env.log)
	if err != nil {
		return err
	}
	bar := newProgress(env.stderr, "verifying", env.log)
	report, err := verifier.Run(ctx, bar.set)
	if err := errors.Join(interrupted(ctx, err), bar.finish()); err != nil {
		return err
	}
	if err := c.write(env, report); err != nil {
		return err
	}
	if len(report.Differences) > 0 {
		return errDiffers
	}
	return nil
}

func (c *verifyCmd) write(env environment, report *verify.Report) error {
	if c.Output == "text" {
		return report.Write(env.stdout)
	}
	encoder := json.NewEncoder(env.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
