// Package engine runs the embedded ClickHouse: the real engine, shipped as the
// library libchdb, in a child process that serves the native protocol on loopback.
//
// The running program executes itself again as a hidden "engine" command (see
// [Main]), which loads the library without cgo and runs clickhouse-local's main in
// it. The child lives as long as its standard input is open: when the parent stops
// it, or dies, it stops cleanly.
package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/gofrs/flock"
)

const (
	user            = "flywheel"
	defaultDatabase = "default"
	// readyTimeout bounds the time from the start of a child to its first answer.
	// A large data folder takes seconds to load.
	readyTimeout = 2 * time.Minute
	// startAttempts is on how many choices of ports a start is tried.
	startAttempts = 5
	// steadyAfter is how long a child must have served for the next restart to come
	// at once again.
	steadyAfter = 30 * time.Second
)

// Config says where the engine keeps its data and what it may use.
type Config struct {
	// DataDir is the folder for all data, created if missing. One engine uses it at
	// a time.
	DataDir string
	// Library is the path of libchdb. Empty: FLYWHEEL_LIBCHDB, then the cache folder
	// (see [CachePath]), then the usual library folders.
	Library string
	// MemoryLimit is the most memory the engine uses, in bytes. 0: the engine's own
	// choice, a share of the machine's.
	MemoryLimit uint64
	// Cluster makes the engine a node of a ClickHouse cluster. Nil: it is alone.
	Cluster *Cluster
}

// Engine is a running embedded ClickHouse. Its methods may be called concurrently.
type Engine struct {
	log      *slog.Logger
	launch   launch
	password string
	tcp      string
	lock     *flock.Flock

	stopping chan struct{} // closed by the first Stop
	stop     sync.Once
	done     chan struct{} // closed when the supervisor has ended
	stopErr  error         // set before done is closed

	mu    sync.Mutex
	child *child
}

// Start starts the engine and returns when it answers. Errors: [ErrLibraryMissing]
// when there is no library, and one that names the folder when another engine uses
// it. The engine outlives ctx; end it with [Engine.Stop].
func Start(ctx context.Context, cfg Config, log *slog.Logger) (*Engine, error) {
	return startOn(ctx, cfg, FreePorts, log)
}

// startOn is Start with the ports that pick chooses, as many as it is asked for.
func startOn(ctx context.Context, cfg Config, pick func(int) ([]int, error), log *slog.Logger) (*Engine, error) {
	if err := cfg.Cluster.Validate(); err != nil {
		return nil, fmt.Errorf("configure ClickHouse: %w", err)
	}
	library, err := findLibrary(cfg.Library)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make data folder of ClickHouse: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "flywheel.lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data folder of ClickHouse: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("ClickHouse data folder %s is in use by another process: stop that one or choose another folder", dir)
	}
	e, first, err := startFirst(ctx, dir, library, cfg, pick, log)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	e.lock = lock
	go e.supervise(first)
	return e, nil
}

// startFirst starts the first child, on other ports when somebody took them meanwhile.
func startFirst(ctx context.Context, dir, library string, cfg Config, pick func(int) ([]int, error), log *slog.Logger) (*Engine, *child, error) {
	for attempt := 1; ; attempt++ {
		ports, err := pick(2)
		if err != nil {
			return nil, nil, err
		}
		e, err := newEngine(dir, library, cfg, ports, log)
		if err != nil {
			return nil, nil, err
		}
		first, err := e.start(ctx)
		if err == nil {
			return e, first, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == startAttempts {
			return nil, nil, err
		}
		log.Info("ClickHouse starts again: another process took a port", slog.Any("error", err))
	}
}

// newEngine chooses the password and writes the settings for the children, which listen
// on ports, the first of which is that of the native protocol; a cluster has its own.
func newEngine(dir, library string, cfg Config, ports []int, log *slog.Logger) (*Engine, error) {
	password := rand.Text()
	if cfg.Cluster != nil {
		ports[0], password = cfg.Cluster.Ports[cfg.Cluster.Node], cfg.Cluster.Password
	}
	config, err := writeConfig(dir, settings{TCPPort: ports[0], HTTPPort: ports[1], Password: password, MemoryLimit: cfg.MemoryLimit, Cluster: cfg.Cluster})
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	return &Engine{
		log:      log,
		launch:   launch{program: program, library: library, dir: dir, config: config},
		password: password,
		tcp:      net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])),
		stopping: make(chan struct{}),
		done:     make(chan struct{}),
	}, nil
}

// DSN is how clickhouse-go reaches a database of the engine. It stays the same when
// the child is started again.
func (e *Engine) DSN(database string) string {
	dsn := url.URL{Scheme: "clickhouse", User: url.UserPassword(user, e.password), Host: e.tcp, Path: "/" + database}
	return dsn.String()
}

// PID is the process id of the current child.
func (e *Engine) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.child.pid()
}

// Stop stops the engine cleanly and returns when it has ended. When ctx ends first,
// the child is killed; its data survives that too.
func (e *Engine) Stop(ctx context.Context) error {
	e.stop.Do(func() { close(e.stopping) })
	select {
	case <-e.done:
	case <-ctx.Done():
		e.mu.Lock()
		err := e.child.kill()
		e.mu.Unlock()
		<-e.done
		return errors.Join(fmt.Errorf("stop ClickHouse: %w", ctx.Err()), err)
	}
	return e.stopErr
}

// start starts a child and waits until it answers.
func (e *Engine) start(ctx context.Context) (*child, error) {
	started := time.Now()
	c, err := e.launch.start()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := c.waitReady(ctx, e.DSN(defaultDatabase)); err != nil {
		return nil, errors.Join(err, c.kill(), c.wait())
	}
	e.mu.Lock()
	e.child = c
	e.mu.Unlock()
	e.log.Info("ClickHouse serves", slog.String("address", e.tcp), slog.Int("pid", c.pid()), slog.Duration("after", time.Since(started)))
	return c, nil
}

// supervise owns the children: it waits for the current one and starts the next
// until the engine is stopped.
func (e *Engine) supervise(c *child) {
	defer close(e.done)
	for {
		served := time.Now()
		select {
		case <-c.exited:
			e.log.Warn("ClickHouse died: starting it again", slog.Any("error", c.wait()))
		case <-e.stopping:
			e.stopErr = errors.Join(c.close(), e.lock.Unlock())
			return
		}
		next, err := e.restart(time.Since(served) < steadyAfter)
		if err != nil { // stopped while there was no child
			e.stopErr = e.lock.Unlock()
			return
		}
		c = next
	}
}

// restart starts a child, again and again with growing pauses. It gives up only
// when the engine is stopped.
func (e *Engine) restart(pause bool) (*child, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-e.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	if pause {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return backoff.Retry(ctx, func() (*child, error) {
		c, err := e.start(ctx)
		if err != nil {
			e.log.Warn("ClickHouse does not start", slog.Any("error", err))
		}
		return c, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(0))
}

// FreePorts picks loopback ports that nothing listens on now. Another process may take
// them before they are used.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		lis, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local and immediate
		if err != nil {
			return nil, fmt.Errorf("pick a free port: %w", err)
		}
		defer func() { _ = lis.Close() }()
		ports = append(ports, lis.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
