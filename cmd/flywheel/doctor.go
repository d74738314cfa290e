package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/yirifi/flywheel/doctor"
)

type doctorCmd struct {
	clickHouseSettings
	natsSettings
	Collector   string        `placeholder:"ADDRESS" help:"Address of the collector. Unset: that of the 'flywheel up' of --data-dir."`
	Feedback    string        `placeholder:"ADDRESS" help:"Address of the feedback service. Unset: that of the 'flywheel up' of --data-dir."`
	TLS         bool          `name:"tls" help:"Use TLS to the collector and the feedback service."`
	NATSMonitor string        `name:"nats-monitor" placeholder:"URL" help:"Monitoring address of an external NATS server, for example http://nats1:8222, to see whether it syncs."`
	Sample      time.Duration `default:"3s" help:"How long to watch for rates per second."`
	Output      string        `enum:"text,json" default:"text" help:"Form of the report (${enum})."`
}

// errUnwell ends an examination that found something wrong, which is then written.
var errUnwell = errors.New("something is wrong with this deployment: see the findings")

// Run examines a deployment and writes the report.
func (c *doctorCmd) Run(ctx context.Context, env environment) error {
	cfg, err := c.config()
	if err != nil {
		return usageError{err}
	}
	// What the parts' clients log on the way is in the findings.
	facts, err := doctor.Gather(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return interrupted(ctx, err)
	}
	report := doctor.Examine(facts)
	if err := c.write(env, report); err != nil {
		return err
	}
	if report.Count(doctor.Wrong) > 0 {
		return errUnwell
	}
	return nil
}

// config says what to look at: what is given, and where nothing is, all of the running
// "up". Of an "up" that does not run, the folder is looked at.
func (c *doctorCmd) config() (doctor.Config, error) {
	cfg := doctor.DefaultConfig()
	cfg.Sample, cfg.TLS, cfg.Monitor = c.Sample, c.TLS, c.NATSMonitor
	cfg.Log.Credentials = c.NATSCredentials
	given := cmp.Or(c.Collector, c.Feedback, c.NATSURL, c.ClickHouseURL) != ""
	var at addresses
	if _, err := os.Stat(filepath.Join(c.DataDir, addressesFile)); err == nil {
		at = readAddresses(c.DataDir)
	} else if !given {
		return cfg, fmt.Errorf("no 'flywheel up' runs on %s: give its --data-dir, or --collector, --feedback, --nats-url and --clickhouse-url", c.DataDir)
	}
	cfg.Collector, cfg.Feedback = cmp.Or(c.Collector, at.Collector), cmp.Or(c.Feedback, at.Feedback)
	cfg.Log.URL = cmp.Or(c.NATSURL, at.NATSURL)
	cfg.ClickHouseURL = cmp.Or(c.ClickHouseURL, at.ClickHouseURL)
	cfg.Debug = at.Debug
	if at.PID != 0 {
		cfg.Dir, cfg.PID = c.DataDir, at.PID
	}
	return cfg, cfg.Validate()
}

func (c *doctorCmd) write(env environment, report doctor.Report) error {
	if c.Output == "text" {
		return report.Write(env.stdout)
	}
	encoder := json.NewEncoder(env.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
