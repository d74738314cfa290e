package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// The layouts of Flywheel: everything Go in one process, or one process per role.
const (
	upName    = "up"
	splitName = "split"
)

const (
	startTimeout   = 30 * time.Second
	visibleTimeout = 5 * time.Minute
)

// process is one running part of the system under test.
type process struct {
	name string
	pid  int
	cmd  *exec.Cmd // nil for the engine, which its supervisor stops
	// debug is the address of its metrics, "" if it has none.
	debug string
}

// system is a running Flywheel.
type system struct {
	engine *engine.Engine
	db     *warehouse.DB
	// protocol is what the collector speaks; feedback is empty when there is no such service.
	protocol  protocol
	collector string
	feedback  string
	// nats is the URL of the log, in the layout split.
	nats      string
	processes []process
	// parquet is the file that ClickHouse writes, to compare with.
	parquet string
}

func startSystem(ctx context.Context, layout string, o options, dir string, log *slog.Logger) (*system, error) {
	s := &system{}
	err := s.startEngine(ctx, o, filepath.Join(dir, "clickhouse"), log)
	if err == nil {
		switch layout {
		case peerName, diskPeerName:
			err = s.startPeer(ctx, layout, o, dir)
		default:
			err = s.startRoles(ctx, layout, o.binary, dir)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// startRoles starts the roles, each on a free port, and waits until they listen.
func (s *system) startRoles(ctx context.Context, layout, binary, dir string) error {
	ports, err := freeAddresses(ctx, 3)
	if err != nil {
		return err
	}
	s.collector, s.feedback = ports[0], ports[1]
	store := "--clickhouse-url=" + s.engine.DSN("flywheel")
	listen, query := "--listen="+ports[0], "--feedback-listen="+ports[1]
	if layout == upName {
		err = s.start(ctx, "flywheel up", binary, "up", "--data-dir="+filepath.Join(dir, "up"), listen, query, store)
		return errors.Join(err, waitFor(ctx, ports[0]), waitFor(ctx, ports[1]))
	}
	s.nats = "nats://" + ports[2]
	nats := "--nats-url=" + s.nats
	if err := errors.Join(
		s.start(ctx, "log", binary, "log", "--data-dir="+filepath.Join(dir, "log"), "--nats-listen="+ports[2]),
		waitFor(ctx, ports[2]),
		s.start(ctx, "processor + settler", binary, "processor", nats, store),
		s.start(ctx, "feedback", binary, "feedback", query, store),
		s.start(ctx, "collector", binary, "collector", nats, listen),
	); err != nil {
		return err
	}
	return errors.Join(waitFor(ctx, ports[0]), waitFor(ctx, ports[1]))
}

func (s *system) start(ctx context.Context, name, binary string, args ...string) error {
	debug, err := freeAddresses(ctx, 1)
	if err != nil {
		return err
	}
	err = s.startCommand(exec.CommandContext(ctx, binary, append(args, "--debug-listen="+debug[0], "--log-level=warn")...), name)
	if err == nil {
		s.processes[len(s.processes)-1].debug = debug[0]
	}
	return err
}

// startCommand starts a process that an interrupt ends.
func (s *system) startCommand(cmd *exec.Cmd, name string) error {
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.processes = append(s.processes, process{name: name, pid: cmd.Process.Pid, cmd: cmd})
	return nil
}

// stop ends the processes, the last started first, and the engine.
func (s *system) stop() error {
	errs := []error{s.stopProcesses()}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.engine == nil {
		return errors.Join(errs...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return errors.Join(append(errs, s.engine.Stop(ctx))...)
}

// stopProcesses ends the processes, the last started first.
func (s *system) stopProcesses() error {
	var errs []error
	for _, p := range slices.Backward(s.processes) {
		if cmd := p.cmd; cmd != nil {
			errs = append(errs, cmd.Process.Signal(syscall.SIGINT), cmd.Wait())
		}
	}
	return errors.Join(errs...)
}

// withSystem starts everything in a folder of its own, for as long as f takes.
func withSystem(ctx context.Context, layout string, o options, f func(*system) error) (err error) {
	dir, err := os.MkdirTemp("", "flywheel-bench-")
	if err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := startSystem(ctx, layout, o, dir, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return f(s)
}

// measureLoad sends the load that the flags ask for and waits until all of it is visible;
// probes beside it show how long events take.
func (s *system) measureLoad(ctx context.Context, o options) (r report, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopWatching, err := s.watch(ctx)
	if err != nil {
		return report{}, err
	}
	stopProbing := func(time.Time) (freshness, error) { return freshness{}, nil }
	if s.feedback != "" {
		if _, stopProbing, err = s.probe(ctx, probeEvery); err != nil {
			return report{}, err
		}
	}
	if r, err = s.measureEvents(ctx, o.load()); err != nil {
		return report{}, err
	}
	began := time.Unix(0, r.load.Began)
	if r.readable, err = stopWatching(began); err != nil {
		return report{}, err
	}
	r.freshness, err = stopProbing(began)
	return r, err
}

// measureEvents sends a load and waits until all of it is visible, and counted.
func (s *system) measureEvents(ctx context.Context, l eventLoad) (report, error) {
	before, err := s.usage()
	if err != nil {
		return report{}, err
	}
	l.protocol = s.protocol
	load, generator, err := l.run(ctx, s.collector)
	if err != nil {
		return report{}, err
	}
	began := time.Unix(0, load.Began)
	r := report{load: load, acknowledged: time.Duration(load.Seconds * float64(time.Second))}
	seen, err := s.complete(ctx, l.tenant, load.Events/eventsPer)
	if err != nil {
		return report{}, err
	}
	r.visible = seen.at.Sub(began)
	for i, used := range seen.usage {
		used.cpu -= before[i].cpu
		r.usage = append(r.usage, used)
	}
	r.usage = append(r.usage, generator)
	if s.feedback != "" {
		// What is left to do is not to be counted with the next load.
		r.settled, err = s.waitSettled(ctx, l.tenant, load.Events/eventsPer, began)
	}
	return r, err
}

func (s *system) usage() ([]usage, error) {
	var all []usage
	for _, p := range s.processes {
		cpu, err := cpuSeconds(p.pid)
		if err != nil {
			return nil, err
		}
		memory, err := peakMemory(p.pid)
		if err != nil {
			return nil, err
		}
		all = append(all, usage{name: p.name, cpu: cpu, memory: memory})
	}
	return all, nil
}

// seen is when a question was asked whose answer was as expected, and what the processes
// had used until then.
type seen struct {
	at    time.Time
	usage []usage
}

// complete waits until all events of the interactions of a tenant, none for the default
// one, can be read, and fails when there is more than was sent.
func (s *system) complete(ctx context.Context, tenant string, interactions int) (seen, error) {
	if s.protocol == otlp {
		return s.waitRecords(ctx, interactions*eventsPer)
	}
	tenant = cmp.Or(tenant, rpc.DefaultTenant)
	if err := s.waitCount(ctx, `SELECT count() FROM edits WHERE tenant = $1`, uint64(interactions*editsPer), tenant); err != nil {
		return seen{}, err
	}
	if err := s.waitCount(ctx, `SELECT uniqExact(opportunity_id) FROM opportunities WHERE tenant = $1`, uint64(interactions), tenant); err != nil {
		return seen{}, err
	}
	return s.ask(ctx, `SELECT count() FROM (SELECT 1 FROM interactions WHERE tenant = $1 GROUP BY tenant, started_at, interaction_id
		HAVING max(generated_at) > 0 AND max(shown_at) > 0 AND max(visible_us) > 0 AND max(outcome_rank) > 0 AND max(retained_chars_0) > 0)`, uint64(interactions), tenant)
}

// waitSettled waits until the rates count every interaction of a tenant; it returns the
// time since start.
func (s *system) waitSettled(ctx context.Context, tenant string, interactions int, start time.Time) (time.Duration, error) {
	err := s.waitCount(ctx, `SELECT sum(shown + auto_accepted) FROM rates FINAL WHERE tenant = $1`, uint64(interactions), cmp.Or(tenant, rpc.DefaultTenant))
	return time.Since(start), err
}

func (s *system) waitCount(ctx context.Context, query string, want uint64, args ...any) error {
	_, err := s.ask(ctx, query, want, args...)
	return err
}

// ask asks for a number until it is the one that is wanted.
func (s *system) ask(ctx context.Context, query string, want uint64, args ...any) (last seen, err error) {
	ctx, cancel := context.WithTimeout(ctx, visibleTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		last.at = time.Now()
		if last.usage, err = s.usage(); err != nil {
			return seen{}, err
		}
		var got uint64
		if err := s.db.Conn().QueryRow(ctx, query, args...).Scan(&got); err != nil {
			return seen{}, fmt.Errorf("count: %w", err)
		}
		if got == want {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return seen{}, fmt.Errorf("wait for %d rows, %d are there: %w: %s", want, got, ctx.Err(), query)
		case <-tick.C:
		}
	}
}

// freeAddresses picks loopback addresses with free ports, below those that the system gives
// to outgoing connections: so that none of these takes one before it is listened on.
func freeAddresses(ctx context.Context, n int) (addresses []string, err error) {
	for range 100 * n {
		if len(addresses) == n {
			break
		}
		var lis net.Listener
		lis, err = (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprint("127.0.0.1:", 16384+rand.IntN(16384)))
		if err != nil {
			continue
		}
		defer func() { _ = lis.Close() }()
		addresses = append(addresses, lis.Addr().String())
	}
	if len(addresses) < n {
		return nil, fmt.Errorf("pick a free port: %w", err)
	}
	return addresses, nil
}

// waitFor waits until something listens at the address.
func waitFor(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", address, err)
		case <-tick.C:
		}
	}
}
