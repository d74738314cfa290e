package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// clickHouseSettings say where the ClickHouse is that others use too.
type clickHouseSettings struct {
	DataDir       string `type:"path" default:"${dataDir}" help:"Data folder of a running 'flywheel up'."`
	ClickHouseURL string `name:"clickhouse-url" placeholder:"URL" help:"ClickHouse to use. Unset: that of the 'flywheel up' of --data-dir."`
}

// url is the address of ClickHouse. A running "up" gives the one it uses as it is: the
// embedded engine takes a wrong one badly, see docs/adr/003.
func (s clickHouseSettings) url() (string, error) {
	url := cmp.Or(s.ClickHouseURL, readAddresses(s.DataDir).ClickHouseURL)
	if url == "" {
		return "", usageError{fmt.Errorf("no 'flywheel up' runs on %s: give its --data-dir, or --clickhouse-url", s.DataDir)}
	}
	return url, nil
}

// open connects to ClickHouse and leaves its tables as they are.
func (s clickHouseSettings) open(ctx context.Context, log *slog.Logger) (*warehouse.DB, error) {
	url, err := s.url()
	if err != nil {
		return nil, err
	}
	return warehouse.Open(ctx, url, log)
}

// natsSettings say where the log is that others run.
type natsSettings struct {
	NATSURL         string `name:"nats-url" placeholder:"URL" help:"NATS servers of the event log, comma separated. Unset: that of the 'flywheel up' of --data-dir."`
	NATSCredentials string `name:"nats-credentials" type:"existingfile" placeholder:"FILE" help:"NATS credentials file for --nats-url."`
}

// attach connects to the log and leaves its limits as they are.
func (s natsSettings) attach(ctx context.Context, dataDir string, log *slog.Logger) (*eventlog.Log, error) {
	cfg := eventlog.DefaultConfig()
	cfg.URL = cmp.Or(s.NATSURL, readAddresses(dataDir).NATSURL)
	cfg.Credentials = s.NATSCredentials
	if cfg.URL == "" {
		return nil, usageError{fmt.Errorf("no 'flywheel up' runs on %s: give its --data-dir, or --nats-url", dataDir)}
	}
	return eventlog.Attach(ctx, cfg, log)
}

// moment is a time that is given as such (RFC 3339) or by how long ago it was.
type moment struct{ time.Time }

// UnmarshalText reads a time.
func (m *moment) UnmarshalText(text []byte) error {
	if ago, err := time.ParseDuration(string(text)); err == nil {
		m.Time = time.Now().Add(-ago)
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("time %q: one such as 2026-01-31T15:00:00Z is needed, or how long ago, such as 2h", text)
	}
	m.Time = at
	return nil
}

// interrupted turns the end of ctx into what the user did.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}
