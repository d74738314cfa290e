package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
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
	engine    *engine.Engine
	db        *warehouse.DB
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
	eng, err := engine.Start(ctx, engine.Config{DataDir: filepath.Join(dir, "clickhouse"), MemoryLimit: o.engineMemory}, log)
	if err != nil {
		return nil, err
	}
	s.engine = eng
	s.processes = append(s.processes, process{name: "ClickHouse engine", pid: eng.PID()})
	if s.db, err = warehouse.Open(ctx, eng.DSN("flywheel"), log); err == nil {
		err = s.startRoles(ctx, layout, o.binary, dir)
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
	if layout == "up" {
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
	cmd := exec.CommandContext(ctx, binary, append(args, "--debug-listen="+debug[0], "--log-level=warn")...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.processes = append(s.processes, process{name: name, pid: cmd.Process.Pid, cmd: cmd, debug: debug[0]})
	return nil
}

// stop ends the processes, the last started first, and the engine.
func (s *system) stop() error {
	var errs []error
	for _, p := range slices.Backward(s.processes) {
		if cmd := p.cmd; cmd != nil {
			errs = append(errs, cmd.Process.Signal(syscall.SIGINT), cmd.Wait())
		}
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return errors.Join(append(errs, s.engine.Stop(ctx))...)
}

// measureLoad runs the load generator and waits until all its events are visible.
func (s *system) measureLoad(ctx context.Context, o options) (report, error) {
	before, err := s.usage()
	if err != nil {
		return report{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return report{}, fmt.Errorf("find own program: %w", err)
	}
	var out bytes.Buffer
	load := s.loadGenerator(ctx, self, o, &out)
	_, stopProbing, err := s.probe(ctx, probeEvery)
	if err != nil {
		return report{}, err
	}
	if err := load.Start(); err != nil {
		return report{}, fmt.Errorf("start load generator: %w", err)
	}
	start := time.Now()
	if err := load.Wait(); err != nil {
		return report{}, fmt.Errorf("load generator: %w", err)
	}
	r := report{acknowledged: time.Since(start)}
	if err := json.NewDecoder(bufio.NewReader(&out)).Decode(&r.load); err != nil {
		return report{}, fmt.Errorf("read result of load generator: %w", err)
	}
	if err := s.waitVisible(ctx, rpc.DefaultTenant, o.interactions); err != nil {
		return report{}, err
	}
	r.visible = time.Since(start)
	after, err := s.usage()
	if err != nil {
		return report{}, err
	}
	for i := range after {
		after[i].cpu -= before[i].cpu
	}
	generator := load.ProcessState
	after = append(after, usage{name: "load generator", cpu: (generator.UserTime() + generator.SystemTime()).Seconds(),
		memory: generator.SysUsage().(*syscall.Rusage).Maxrss * 1024})
	r.usage = after
	if r.settled, err = s.waitSettled(ctx, rpc.DefaultTenant, o.interactions, start); err != nil {
		return report{}, err
	}
	r.freshness, err = stopProbing()
	return r, err
}

// loadGenerator is the process that sends the load and writes its result to out.
func (s *system) loadGenerator(ctx context.Context, self string, o options, out io.Writer) *exec.Cmd {
	load := exec.CommandContext(ctx, self, "load", "--target="+s.collector, "--interactions="+strconv.Itoa(o.interactions),
		"--clients="+strconv.Itoa(o.clients), "--batch="+strconv.Itoa(o.batch),
		"--rate="+strconv.FormatFloat(o.rate, 'f', 0, 64))
	load.Stdout, load.Stderr = out, os.Stderr
	return load
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

// waitVisible waits until every edit and every event of every interaction of a tenant can
// be read, and fails when there is more than was sent.
func (s *system) waitVisible(ctx context.Context, tenant string, interactions int) error {
	edits := uint64(interactions * editsPer)
	if err := s.waitCount(ctx, `SELECT count() FROM edits WHERE tenant = $1`, edits, tenant); err != nil {
		return err
	}
	if err := s.waitCount(ctx, `SELECT count() FROM (SELECT 1 FROM interactions WHERE tenant = $1 GROUP BY tenant, started_at, interaction_id
		HAVING max(generated_at) > 0 AND max(shown_at) > 0 AND max(visible_us) > 0 AND max(outcome_rank) > 0 AND max(retained_chars_0) > 0)`, uint64(interactions), tenant); err != nil {
		return err
	}
	return s.waitCount(ctx, `SELECT uniqExact(opportunity_id) FROM opportunities WHERE tenant = $1`, uint64(interactions), tenant)
}

// waitSettled waits until the rates count every interaction of a tenant; it returns the
// time since start.
func (s *system) waitSettled(ctx context.Context, tenant string, interactions int, start time.Time) (time.Duration, error) {
	err := s.waitCount(ctx, `SELECT sum(shown + auto_accepted) FROM rates FINAL WHERE tenant = $1`, uint64(interactions), tenant)
	return time.Since(start), err
}

func (s *system) waitCount(ctx context.Context, query string, want uint64, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, visibleTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var got uint64
		if err := s.db.Conn().QueryRow(ctx, query, args...).Scan(&got); err != nil {
			return fmt.Errorf("count: %w", err)
		}
		if got == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d rows, %d are there: %w: %s", want, got, ctx.Err(), query)
		case <-tick.C:
		}
	}
}

// freeAddresses picks loopback addresses with free ports.
func freeAddresses(ctx context.Context, n int) ([]string, error) {
	var addresses []string
	for range n {
		lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("pick a free port: %w", err)
		}
		defer func() { _ = lis.Close() }()
		addresses = append(addresses, lis.Addr().String())
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
