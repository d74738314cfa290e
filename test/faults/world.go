package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
)

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 10 * time.Second
	pollEvery    = 50 * time.Millisecond
	// laneBytes is the size of a lane of the log.
	laneBytes = 512 << 20
)

// natsNames, collectorNames and processorNames are the hosts; feedback is one more.
func natsNames() []string      { return []string{"nats1", "nats2", "nats3"} }
func collectorNames() []string { return []string{"collector1", "collector2"} }
func processorNames() []string { return []string{"processor1", "processor2"} }

const (
	feedbackName = "feedback"
	engineName   = "clickhouse"
)

// world is a running Flywheel, each part a process on a host of its own.
type world struct {
	dir       string
	programs  binaries
	random    *rand.Rand
	network   *network
	engine    *engine.Engine
	db        *warehouse.DB
	log       *eventlog.Log
	processes map[string]*process
	// ports are those of the hosts; monitor is that of a NATS node's health.
	ports, monitor map[string]string
	// store are the links from the roles to ClickHouse, clients those from each client
	// to each collector.
	store, clients map[string]*link
	// paths are the links from hosts to nodes of the log where there are no namespaces.
	paths       map[[2]string]*link
	cancel      context.CancelFunc
	supervisors sync.WaitGroup
	logs        []io.Closer
}

// startWorld starts everything and returns when events can be taken. full says which
// data folders ("nats1", "clickhouse") are on a small file system.
func startWorld(ctx context.Context, place *slot, programs binaries, random *rand.Rand, full []string) (w *world, err error) {
	w = &world{
		dir: filepath.Join(place.dir, "run"), programs: programs, random: random, processes: map[string]*process{}, ports: map[string]string{}, monitor: map[string]string{},
		store: map[string]*link{}, clients: map[string]*link{}, paths: map[[2]string]*link{},
	}
	running, cancel := context.WithCancel(ctx)
	w.cancel = cancel
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	hosts := append(append(append(natsNames(), collectorNames()...), processorNames()...), feedbackName)
	if w.network, err = newNetwork(ctx, place.number, hosts); err != nil {
		return w, err
	}
	for _, name := range full {
		if err := mount(w.folder(name)); err != nil {
			return w, err
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	var group sync.WaitGroup
	var engineErr error
	group.Go(func() {
		if w.engine, engineErr = engine.Start(ctx, engine.Config{DataDir: w.folder(engineName), MemoryLimit: 1 << 30}, quiet); engineErr == nil {
			w.db, engineErr = warehouse.Open(ctx, w.engine.DSN("flywheel"), quiet)
		}
	})
	err = w.startNATS(running)
	group.Wait()
	if err := errors.Join(err, engineErr); err != nil {
		return w, err
	}
	cfg := eventlog.DefaultConfig()
	cfg.URL, cfg.Replicas, cfg.AckWait = w.natsURL(), len(natsNames()), 3*time.Second
	cfg.Outcome.MaxBytes, cfg.Trace.MaxBytes = laneBytes, laneBytes
	err = w.until(ctx, "the log has its streams", func() error {
		w.log, err = eventlog.Open(ctx, cfg, quiet)
		return err
	})
	if err != nil {
		return w, err
	}
	return w, w.startRoles(running)
}

func (w *world) folder(name string) string { return filepath.Join(w.dir, name) }

func (w *world) address(host string) string {
	return net.JoinHostPort(w.network.hosts[host], w.ports[host])
}

// port picks a free port of the machine, which is then free on a host too.
func port(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("pick a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	_, number, err := net.SplitHostPort(listener.Addr().String())
	return number, err
}

func (w *world) natsURL() string {
	var urls []string
	for _, name := range natsNames() {
		urls = append(urls, "nats://"+w.address(name))
	}
	return strings.Join(urls, ",")
}

// startNATS starts the cluster and waits until every node is healthy.
func (w *world) startNATS(ctx context.Context) error {
	routes := map[string]string{}
	for _, name := range natsNames() {
		for _, ports := range []map[string]string{w.ports, w.monitor, routes} {
			number, err := port(ctx)
			if err != nil {
				return err
			}
			ports[name] = number
		}
	}
	for _, name := range natsNames() {
		var all []string
		for _, peer := range natsNames() {
			if peer == name {
				continue
			}
			to, err := w.path(ctx, name, peer, routes[peer])
			if err != nil {
				return err
			}
			all = append(all, "nats://"+to)
		}
		host := w.network.hosts[name]
		text := fmt.Sprintf("server_name: %s\nlisten: %q\nhttp: %q\nping_interval: \"2s\"\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: always, max_file: 8GB, max_mem: 64MB }\n"+
			"cluster { name: faults, listen: %q, no_advertise: true, routes: [%s] }\n",
			name, w.address(name), net.JoinHostPort(host, w.monitor[name]), w.folder(name), net.JoinHostPort(host, routes[name]), strings.Join(all, ", "))
		config := w.folder(name + ".conf")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write settings of %s: %w", name, err)
		}
		if err := w.start(ctx, name, w.programs.nats, "-c", config); err != nil {
			return err
		}
	}
	for _, name := range natsNames() {
		if err := w.until(ctx, name+" is healthy", func() error { return w.healthy(ctx, name) }); err != nil {
			return err
		}
	}
	return nil
}

// healthy asks a NATS node for its health.
func (w *world) healthy(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(w.network.hosts[name], w.monitor[name])+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("ask %s for its health: %w", name, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not healthy: %s", name, resp.Status)
	}
	return nil
}

// startRoles starts collectors, processors and feedback, and waits until they listen.
func (w *world) startRoles(ctx context.Context) error {
	for _, name := range append(collectorNames(), feedbackName) {
		number, err := port(ctx)
		if err != nil {
			return err
		}
		w.ports[name] = number
	}
	for _, name := range append(processorNames(), feedbackName) {
		dsn := w.engine.DSN("flywheel")
		_, server, _ := strings.Cut(dsn, "@")
		server, _, _ = strings.Cut(server, "/")
		l, err := newLink(ctx, w.network.gateway(), server)
		if err != nil {
			return err
		}
		log, err := w.logFlags(ctx, name)
		if err != nil {
			return err
		}
		w.store[name] = l
		store := "--clickhouse-url=" + strings.Replace(dsn, server, l.address(), 1)
		args := append([]string{"processor", "--flush-delay=100ms", "--settle-interval=300ms", "--user-interval=1s", store}, log...)
		if name == feedbackName {
			args = []string{"feedback", "--feedback-listen=" + w.address(name), store}
		}
		if err := w.start(ctx, name, append([]string{w.programs.flywheel}, args...)...); err != nil {
			return err
		}
	}
	for _, name := range collectorNames() {
		log, err := w.logFlags(ctx, name)
		if err != nil {
			return err
		}
		if err := w.start(ctx, name, append([]string{w.programs.flywheel, "collector", "--listen=" + w.address(name)}, log...)...); err != nil {
			return err
		}
	}
	for _, name := range append(collectorNames(), feedbackName) {
		if err := w.until(ctx, name+" listens", func() error { return reachable(ctx, w.address(name)) }); err != nil {
			return err
		}
	}
	return nil
}

// logFlags are those of a role about the log.
func (w *world) logFlags(ctx context.Context, host string) ([]string, error) {
	var urls []string
	for _, node := range natsNames() {
		to, err := w.path(ctx, host, node, w.ports[node])
		if err != nil {
			return nil, err
		}
		urls = append(urls, "nats://"+to)
	}
	return []string{"--nats-url=" + strings.Join(urls, ","), "--log-replicas=3", "--log-max-outcome=512MiB", "--log-max-trace=512MiB"}, nil
}

func reachable(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// client makes a link for one client to each collector and returns their addresses.
func (w *world) client(ctx context.Context, number int) ([]string, error) {
	var addresses []string
	for i := range collectorNames() {
		name := collectorNames()[(i+number)%len(collectorNames())]
		l, err := newLink(ctx, "127.0.0.1", w.address(name))
		if err != nil {
			return nil, err
		}
		w.clients[fmt.Sprintf("%d-%s", number, name)] = l
		addresses = append(addresses, l.address())
	}
	return addresses, nil
}

// until waits for something to succeed.
func (w *world) until(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, err)
		case <-time.After(pollEvery):
		}
	}
}

// start starts a supervised program on the host of its name.
func (w *world) start(ctx context.Context, name string, args ...string) error {
	file, err := os.Create(w.folder(name + ".log"))
	if err != nil {
		return fmt.Errorf("make log of %s: %w", name, err)
	}
	w.logs = append(w.logs, file)
	p := &process{
		name: name, command: w.network.command(name, args...), log: file, done: make(chan struct{}),
		env: []string{clockVariable + "=" + w.folder(name+".clock")}, pause: time.Duration(100+w.random.IntN(400)) * time.Millisecond,
	}
	w.processes[name] = p
	w.supervisors.Go(func() { p.run(ctx) })
	return nil
}

// stop ends everything that runs. The folder, mounts and the network are the slot's to
// remove. How the programs end tells nothing about the promise: no error is kept.
func (w *world) stop() {
	if w.log != nil {
		_ = w.log.Close()
	}
	w.cancel()
	w.supervisors.Wait()
	for _, l := range slices.Concat(slices.Collect(maps.Values(w.store)), slices.Collect(maps.Values(w.clients)), slices.Collect(maps.Values(w.paths))) {
		l.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if w.db != nil {
		_ = w.db.Close()
	}
	if w.engine != nil {
		_ = w.engine.Stop(ctx)
	}
	for _, log := range w.logs {
		_ = log.Close()
	}
}
