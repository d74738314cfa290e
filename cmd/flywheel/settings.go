package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/yirifi/flywheel/collector"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
)

const (
	defaultDataDir        = "flywheel-data"
	defaultListen         = "127.0.0.1:7410"
	defaultFeedbackListen = "127.0.0.1:7411"
	defaultDebugListen    = "127.0.0.1:7412"
	// stopGrace bounds how long the embedded ClickHouse takes to stop.
	stopGrace = 20 * time.Second
)

// byteSize is a size such as 512KiB or 8GiB.
type byteSize int64

// UnmarshalText parses a size with or without a unit.
func (b *byteSize) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil {
		return fmt.Errorf("size %q: a number with a unit is needed, for example 512KiB or 8GiB", text)
	}
	*b = byteSize(n)
	return nil
}

// age is a time in whole days, such as 400d. 0: for ever.
type age int

// UnmarshalText parses a number of days, or a duration that is one.
func (a *age) UnmarshalText(text []byte) error {
	const day = 24 * time.Hour
	if number, isDays := strings.CutSuffix(string(text), "d"); isDays || number == "0" {
		if n, err := strconv.Atoi(number); err == nil {
			*a = age(n)
			return nil
		}
	} else if d, err := time.ParseDuration(number); err == nil && d%day == 0 {
		*a = age(d / day)
		return nil
	}
	return fmt.Errorf("age %q: whole days are needed, for example 400d; 0 keeps rows for ever", text)
}

// logSettings say where the event log is and what it keeps.
type logSettings struct {
	NATSURL         string        `name:"nats-url" placeholder:"URL" help:"NATS servers with JetStream, comma separated. Unset: the log runs inside 'up'."`
	NATSCredentials string        `name:"nats-credentials" type:"existingfile" placeholder:"FILE" help:"NATS credentials file for --nats-url."`
	LogReplicas     int           `default:"1" help:"Copies of the log in a NATS cluster (1, 3 or 5)."`
	LogShards       int           `default:"1" help:"Streams that each lane is spread over, for a NATS cluster in which one leader is the limit. May be changed at any time."`
	LogMaxOutcome   byteSize      `default:"8GiB" help:"Largest size of the outcome lane, of each shard. A full lane refuses; it drops nothing."`
	LogMaxTrace     byteSize      `default:"16GiB" help:"Largest size of the trace lane, of each shard."`
	LogMaxAge       time.Duration `default:"72h" help:"How long the log keeps events."`
	LogKeep         time.Duration `default:"2m" help:"How long the log keeps processed events at least, once a lane is half full."`
}

func (s logSettings) config() eventlog.Config {
	cfg := eventlog.DefaultConfig()
	cfg.URL = s.NATSURL
	cfg.Credentials = s.NATSCredentials
	cfg.Replicas = s.LogReplicas
	cfg.Shards = s.LogShards
	cfg.Outcome = eventlog.StreamLimits{MaxBytes: int64(s.LogMaxOutcome), MaxAge: s.LogMaxAge}
	cfg.Trace = eventlog.StreamLimits{MaxBytes: int64(s.LogMaxTrace), MaxAge: s.LogMaxAge}
	cfg.KeepProcessed = s.LogKeep
	return cfg
}

// open connects to the log of a role that runs alone.
func (s logSettings) open(ctx context.Context, log *slog.Logger) (*eventlog.Log, error) {
	if s.NATSURL == "" {
		return nil, usageError{errors.New("--nats-url is needed: a role that runs alone shares the log with the others (one process for all is 'flywheel up')")}
	}
	return eventlog.Open(ctx, s.config(), log)
}

// storeSettings say where ClickHouse is.
type storeSettings struct {
	ClickHouseURL     string `name:"clickhouse-url" placeholder:"URL" help:"ClickHouse to use, for example clickhouse://user:password@host1:9000,host2:9000/flywheel?secure=true. Unset: ClickHouse runs inside 'up'."`
	ClickHouseCluster string `name:"clickhouse-cluster" placeholder:"NAME" help:"Cluster of --clickhouse-url (system.clusters) over which tables are distributed. A database that is distributed already says so itself."`
}

// open connects to the ClickHouse of a role that runs alone and migrates it.
func (s storeSettings) open(ctx context.Context, log *slog.Logger) (*warehouse.DB, error) {
	if s.ClickHouseURL == "" {
		return nil, usageError{errors.New("--clickhouse-url is needed: a role that runs alone shares ClickHouse with the others (one process for all is 'flywheel up')")}
	}
	return openStore(ctx, s.ClickHouseURL, s.ClickHouseCluster, log)
}

func openStore(ctx context.Context, dsn, cluster string, log *slog.Logger) (*warehouse.DB, error) {
	db, err := warehouse.OpenCluster(ctx, dsn, cluster, log)
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// collectorSettings are the limits of what the collector takes.
type collectorSettings struct {
	MaxBatchBytes   byteSize      `default:"4MiB" help:"Largest batch the collector takes."`
	MaxContentBytes byteSize      `default:"1MiB" help:"Largest content of one event."`
	MaxFutureSkew   time.Duration `default:"10m" help:"How far in the future an event's time may be."`
	MaxEventAge     time.Duration `default:"2160h" help:"How long ago an event's ids and time may be."`
}

func (s collectorSettings) config() collector.Config {
	cfg := collector.DefaultConfig()
	cfg.MaxBatchBytes = int(s.MaxBatchBytes)
	cfg.MaxContentBytes = int(s.MaxContentBytes)
	cfg.MaxFutureSkew = s.MaxFutureSkew
	cfg.MaxAge = s.MaxEventAge
	return cfg
}

// processorSettings say how events are batched and rates settled.
type processorSettings struct {
	FlushRows      int           `default:"100000" help:"Rows after which a batch is written to ClickHouse."`
	FlushDelay     time.Duration `default:"500ms" help:"Age after which a batch is written to ClickHouse."`
	SettleInterval time.Duration `default:"1s" help:"How often rates are brought up to date."`
	MinRead        time.Duration `default:"750ms" help:"How long a suggestion must be visible to count as read."`
	UserInterval   time.Duration `default:"10s" help:"How often the rates of users are brought up to date in one hour of data."`
	MinReject      time.Duration `default:"0s" help:"How long a suggestion must be visible for a rejection to count; a faster one counts as ignored."`

	KeepInteractions age `default:"0d" help:"How long interactions and opportunities are kept, for example 400d. 0: for ever. Late events of older days no longer change rates."`
	KeepContent      age `default:"0d" help:"How long the text of interactions is kept."`
	KeepEdits        age `default:"0d" help:"How long edits are kept."`
	KeepSteps        age `default:"0d" help:"How long messages, tool calls and other steps of sessions are kept."`
	KeepRates        age `default:"0d" help:"How long rates are kept by the minute. Hours and days stay."`
	KeepRollups      age `default:"0d" help:"How long rates are kept by the hour and day, and those of users."`
}

func (s processorSettings) ages() warehouse.Ages {
	return warehouse.Ages{
		Interactions: int(s.KeepInteractions),
		Content:      int(s.KeepContent),
		Edits:        int(s.KeepEdits),
		Steps:        int(s.KeepSteps),
		Rates:        int(s.KeepRates),
		Rollups:      int(s.KeepRollups),
	}
}

func (s processorSettings) config() processor.Config {
	cfg := processor.DefaultConfig()
	cfg.MaxRows = s.FlushRows
	cfg.MaxDelay = s.FlushDelay
	return cfg
}

func (s processorSettings) settler() processor.SettlerConfig {
	cfg := processor.DefaultSettlerConfig()
	cfg.Interval = s.SettleInterval
	cfg.UserInterval = s.UserInterval
	cfg.MinRead = s.MinRead
	cfg.MinReject = s.MinReject
	return cfg
}

// listen opens a TCP listener with an error that says what to do.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	var config net.ListenConfig
	lis, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for --%s: %w (is another flywheel running? a port of 0 picks a free one)", flag, err)
	}
	return lis, nil
}
