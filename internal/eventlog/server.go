package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	serverName = "flywheel"
	lockFile   = "lock"
	// account is the server's account of all who do not name one.
	account = "$G"
	// storeLimit is no limit: the streams have limits of their own, and a server that
	// reserved their sum could not start on a small disk.
	storeLimit  = 1 << 60
	memoryLimit = 256 << 20
	// outboundLimit is what may wait for a client of the server before the server
	// cuts it off: the prefetch of several consumers on one connection.
	outboundLimit = 512 << 20
	readyWait     = 5 * time.Second
)

// embedded is a NATS server inside this process that has its store folder to itself.
// It can be restarted: connections of this process and of others find the new one.
type embedded struct {
	cfg  Config
	log  *slog.Logger
	lock *flock.Flock
	port int // of the first server: other processes look for the next ones there too

	mu  sync.Mutex
	srv *server.Server // never nil; shut down while none can be started
}

// startServer returns when the server has read its store and takes connections.
func startServer(ctx context.Context, cfg Config, log *slog.Logger) (*embedded, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start event log: %w", err)
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{cfg: cfg, log: log, lock: lock}
	if err := e.run(); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return e, nil
}

// run starts a server in place of the one before, if there was one.
func (e *embedded) run() error {
	opts, err := serverOptions(e.cfg)
	if err != nil {
		return err
	}
	if e.port != 0 {
		opts.Port = e.port
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("set up event log server: %w", err)
	}
	lines := &serverLog{log: e.log}
	srv.SetLoggerV2(lines, false, false, false)
	srv.Start()
	err = lines.fatal()
	if err == nil && !srv.ReadyForConnections(readyWait) {
		err = errors.New("the server does not become ready")
	}
	if err != nil {
		shutdown(srv)
		return fmt.Errorf("start event log in %s: %w", e.cfg.Dir, err)
	}
	if address, ok := srv.Addr().(*net.TCPAddr); ok {
		e.port = address.Port
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.srv = srv
	return nil
}

// restart ends the server and starts another on the same folder and address. When it
// fails there is no server until a later restart succeeds.
func (e *embedded) restart() error {
	shutdown(e.current())
	return e.run()
}

func (e *embedded) current() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.srv
}

// InProcessConn returns a connection to the server that runs at the moment.
func (e *embedded) InProcessConn() (net.Conn, error) { return e.current().InProcessConn() }

// shutdown writes what a server holds in memory and waits for its goroutines.
func shutdown(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// lockFolder creates the folder and takes its lock, which the system releases when
// the process ends, however it ends.
func lockFolder(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create event log folder: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockFile))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock event log folder: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("the event log folder %s is in use by another process", dir)
	}
	return lock, nil
}

func serverOptions(cfg Config) (*server.Options, error) {
	opts := &server.Options{
		ServerName:             serverName,
		DontListen:             cfg.Listen == "",
		NoSigs:                 true,
		MaxPayload:             maxPayload,
		MaxPending:             outboundLimit,
		JetStream:              true,
		DisableJetStreamBanner: true,
		StoreDir:               cfg.Dir,
		SyncAlways:             true,
		JetStreamMaxMemory:     memoryLimit,
		JetStreamMaxStore:      storeLimit,
	}
	if cfg.Listen == "" {
		return opts, nil
	}
	host, port, err := cfg.listenAddress()
	if err != nil {
		return nil, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	opts.Host, opts.Port, opts.Authorization = host, port, cfg.Token
	return opts, nil
}

// health returns why the server cannot store into a stream, or any stream when none
// is named. lasting: it will not until it is restarted.
func (e *embedded) health(stream string) (lasting bool, err error) {
	opts := &server.HealthzOptions{}
	if stream != "" {
		opts.Account, opts.Stream = account, stream
	}
	srv := e.current()
	if !srv.Running() {
		return true, errors.New("the server does not run")
	}
	status := srv.Healthz(opts)
	if status.StatusCode == http.StatusOK {
		return false, nil
	}
	return status.StatusCode == http.StatusServiceUnavailable, errors.New(status.Error)
}

// stop ends the server and releases the folder.
func (e *embedded) stop() error {
	shutdown(e.current())
	if err := e.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock event log folder: %w", err)
	}
	return nil
}
