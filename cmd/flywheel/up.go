package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// uncleanRewind is how much of the log is processed again after a start that
// follows no clean stop: more than the time for which the operating system keeps
// ClickHouse's writes in memory.
const uncleanRewind = 10 * time.Minute

// addressesFile stands in the data folder while "up" serves.
const addressesFile = "addresses.json"

type upCmd struct {
	DataDir        string   `type:"path" default:"${dataDir}" help:"Folder for all data."`
	Listen         string   `default:"${listen}" help:"Address to take events on (gRPC). Port 0 picks a free one."`
	FeedbackListen string   `default:"${feedbackListen}" help:"Address to answer queries on (gRPC). Port 0 picks a free one."`
	DebugListen    string   `default:"${debugListen}" help:"Address for /metrics, /healthz, /readyz and /debug/pprof (HTTP). Port 0 picks a free one. Empty: off."`
	EngineLibrary  string   `placeholder:"FILE" help:"libchdb to use. Unset: FLYWHEEL_LIBCHDB, the cache folder ('make engine' fills it), the usual library folders."`
	EngineMemory   byteSize `default:"0B" help:"Most memory that the embedded ClickHouse uses. 0: its own choice by the size of the machine."`
	collectorSettings
	processorSettings
	logSettings
	storeSettings
	traceSettings
}

// addresses says where a running "up" serves.
type addresses struct {
	Collector  string `json:"collector"`
	Feedback   string `json:"feedback"`
	Debug      string `json:"debug"`
	ClickHouse string `json:"clickhouse"`
	Log        string `json:"log"`
	PID        int    `json:"pid"`
	// ClickHouseURL and NATSURL are how commands of the same user reach the stores,
	// with password and token: the file is readable by that user only.
	ClickHouseURL string `json:"clickhouse_url"`
	NATSURL       string `json:"nats_url"`
}

func (a addresses) collector() string { return a.Collector }
func (a addresses) feedback() string  { return a.Feedback }

// or returns an address that was given, or else the running one.
func (a addresses) or(given string, running func(addresses) string) string {
	if given != "" {
		return given
	}
	return running(a)
}

// readAddresses says where the "up" of a data folder listens; where none runs or it
// cannot be read, where "up" listens by default.
func readAddresses(dataDir string) addresses {
	at := addresses{Collector: defaultListen, Feedback: defaultFeedbackListen}
	if data, err := os.ReadFile(filepath.Join(dataDir, addressesFile)); err == nil {
		_ = json.Unmarshal(data, &at)
	}
	return at
}

// Run runs all roles until ctx ends, then stops them in the order of the data's
// way, so that everything accepted is in the log.
func (c *upCmd) Run(ctx context.Context, env environment) (err error) {
	if c.ClickHouseURL != "" && c.EngineLibrary != "" {
		return usageError{errors.New("--clickhouse-url and --engine-library contradict each other: the one uses a server, the other the embedded engine")}
	}
	if c.ClickHouseCluster != "" && c.ClickHouseURL == "" {
		return usageError{errors.New("--clickhouse-cluster needs --clickhouse-url: the embedded engine is alone")}
	}
	unlock, err := lockDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	run, err := beginRun(c.DataDir)
	if err != nil {
		return err
	}
	if err := c.runStores(ctx, env, run.unclean); err != nil {
		return err
	}
	return run.endCleanly()
}

// runStores runs the roles on the two stores, and stops those after them.
func (c *upCmd) runStores(ctx context.Context, env environment, unclean bool) (err error) {
	store, err := c.openStore(ctx, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	log, err := c.openLog(ctx, unclean, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return c.serve(ctx, env, log, store)
}

// store is an open ClickHouse.
type store struct {
	*warehouse.DB

	url   string
	close func() error
}

// openStore starts the embedded engine, unless a ClickHouse is given, and opens it.
func (c *upCmd) openStore(ctx context.Context, log *slog.Logger) (*store, error) {
	dsn := c.ClickHouseURL
	stop := func() error { return nil }
	if dsn == "" {
		cfg := engine.Config{DataDir: filepath.Join(c.DataDir, "clickhouse"), Library: c.EngineLibrary, MemoryLimit: uint64(c.EngineMemory)}
		eng, err := engine.Start(ctx, cfg, log)
		if err != nil {
			return nil, err
		}
		stop = func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
			return eng.Stop(ctx)
		}
		dsn = eng.DSN("flywheel")
	}
	db, err := openStore(ctx, dsn, c.ClickHouseCluster, log)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return &store{DB: db, url: dsn, close: func() error { return errors.Join(db.Close(), stop()) }}, nil
}

func (c *upCmd) openLog(ctx context.Context, unclean bool, log *slog.Logger) (*eventlog.Log, error) {
	cfg := c.logSettings.config()
	if c.NATSURL == "" {
		// Other commands of the same user, such as replay-log, read the log too.
		cfg.Dir, cfg.Listen, cfg.Token = logDir(c.DataDir), "127.0.0.1:0", rand.Text()
	}
	events, err := eventlog.Open(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	if unclean && c.ClickHouseURL == "" {
		log.Info("the last run was not stopped cleanly: processing the end of the log again", "last", uncleanRewind)
		if err := events.Rewind(ctx, uncleanRewind); err != nil {
			return nil, errors.Join(err, events.Close())
		}
	}
	return events, nil
}

// serve runs the roles and reports where they listen.
func (c *upCmd) serve(ctx context.Context, env environment, log *eventlog.Log, store *store) error {
	watched, err := newWatch(ctx, "flywheel", c.DebugListen, c.traceSettings, env)
	if err != nil {
		return err
	}
	roles, err := c.build(ctx, watched, log, store)
	if err != nil {
		return errors.Join(err, watched.close(ctx))
	}
	return watched.serve(ctx, roles)
}

// build makes the roles, and returns a function that runs them until its context ends.
func (c *upCmd) build(ctx context.Context, watched *watch, log *eventlog.Log, store *store) (func(context.Context) error, error) {
	watched.log(log)
	watched.store(store.DB)
	col, err := watched.collector(c.collectorSettings, log)
	if err != nil {
		return nil, err
	}
	process, err := c.processorSettings.build(ctx, log, store.DB, watched)
	if err != nil {
		return nil, err
	}
	answer, err := buildQueries(store.DB, watched)
	if err != nil {
		return nil, err
	}
	events, err := listen(ctx, "listen", c.Listen)
	if err != nil {
		return nil, err
	}
	queries, err := listen(ctx, "feedback-listen", c.FeedbackListen)
	if err != nil {
		return nil, errors.Join(err, events.Close())
	}
	if err := c.announce(watched, events, queries, store.url, cmp.Or(c.NATSURL, log.ServerURL())); err != nil {
		return nil, errors.Join(err, events.Close(), queries.Close())
	}
	return func(ctx context.Context) error {
		return runRoles(ctx, func(ctx context.Context) error { return col.Serve(ctx, events) }, process,
			func(ctx context.Context) error { return answer(ctx, queries) })
	}, nil
}

// runRoles runs the roles until ctx ends or one fails. The collector stops first,
// so that what it accepted while stopping still finds the others at work.
func runRoles(ctx context.Context, collect, process, feedback func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rest, stopRest := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRest()
	var group errgroup.Group
	group.Go(func() error {
		defer stopRest()
		return collect(ctx)
	})
	for _, role := range []func(context.Context) error{process, feedback} {
		group.Go(func() error {
			defer cancel()
			return role(rest)
		})
	}
	return group.Wait()
}

func (c *upCmd) announce(watched *watch, events, queries net.Listener, clickHouseURL, natsURL string) error {
	at := addresses{
		Collector: events.Addr().String(), Feedback: queries.Addr().String(), Debug: watched.address(),
		ClickHouse: "embedded", Log: "embedded", PID: os.Getpid(),
		ClickHouseURL: clickHouseURL, NATSURL: natsURL,
	}
	if c.ClickHouseURL != "" {
		at.ClickHouse = "--clickhouse-url"
	}
	if c.NATSURL != "" {
		at.Log = "--nats-url"
	}
	data, err := json.MarshalIndent(at, "", "  ")
	if err != nil {
		return fmt.Errorf("encode addresses: %w", err)
	}
	if err := writeFile(filepath.Join(c.DataDir, addressesFile), append(data, '\n')); err != nil {
		return err
	}
	_, err = fmt.Fprintf(watched.env.stdout, `Flywheel is up.
  events (gRPC)   %s
  queries (gRPC)  %s
  metrics (HTTP)  %s
  event log       %s
  ClickHouse      %s
  data            %s
Stop with Ctrl-C.
`, at.Collector, at.Feedback, cmp.Or(at.Debug, "off"), at.Log, at.ClickHouse, c.DataDir)
	return err
}

// lockDataDir makes the data folder and keeps other processes out of it.
func lockDataDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	lock := flock.New(path)
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	if !held {
		return nil, fmt.Errorf("data folder %s is in use by another flywheel%s: stop that one or give another --data-dir", dir, holder(path))
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write lock of data folder: %w", err), lock.Unlock())
	}
	return lock.Unlock, nil
}

// holder names the process that wrote the lock file, where it can be read.
func holder(path string) string {
	data, err := os.ReadFile(path)
	if pid := strings.TrimSpace(string(data)); err == nil && pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

// dataRun marks a data folder as in use, so that the next start can tell whether
// this one ended cleanly.
type dataRun struct {
	dir     string
	unclean bool
}

func beginRun(dir string) (dataRun, error) {
	run := dataRun{dir: dir}
	_, err := os.Stat(run.marker())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return dataRun{}, fmt.Errorf("look at data folder: %w", err)
	}
	run.unclean = err == nil
	if err := run.forgetAddresses(); err != nil {
		return dataRun{}, err
	}
	return run, writeFile(run.marker(), nil)
}

func (r dataRun) marker() string { return filepath.Join(r.dir, "running") }

func (r dataRun) forgetAddresses() error {
	err := os.Remove(filepath.Join(r.dir, addressesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove addresses of the last run: %w", err)
	}
	return nil
}

func (r dataRun) endCleanly() error {
	if err := os.Remove(r.marker()); err != nil {
		return fmt.Errorf("mark data folder as cleanly stopped: %w", err)
	}
	return r.forgetAddresses()
}

// writeFile writes a file whole: a reader sees the old one or the new one.
func writeFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("put file in place: %w", err)
	}
	return nil
}

func logDir(dataDir string) string { return filepath.Join(dataDir, "log") }
