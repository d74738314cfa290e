package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
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
type embedded struct {
	*server.Server

	listens bool
	lock    *flock.Flock
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
	opts, err := serverOptions(cfg)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up event log server: %w", err), lock.Unlock())
	}
	e := &embedded{Server: srv, listens: cfg.Listen != "", lock: lock}
	lines := &serverLog{log: log}
	srv.SetLoggerV2(lines, false, false, false)
	srv.Start()
	if err := lines.fatal(); err != nil {
		return nil, errors.Join(fmt.Errorf("start event log in %s: %w", cfg.Dir, err), e.stop())
	}
	if !srv.ReadyForConnections(readyWait) {
		return nil, errors.Join(errors.New("start event log: the server does not become ready"), e.stop())
	}
	return e, nil
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
// is named. lasting: it will not until it is started again.
func (e *embedded) health(stream string) (lasting bool, err error) {
	opts := &server.HealthzOptions{}
	if stream != "" {
		opts.Account, opts.Stream = account, stream
	}
	status := e.Healthz(opts)
	if status.StatusCode == http.StatusOK {
		return false, nil
	}
	return status.StatusCode == http.StatusServiceUnavailable, errors.New(status.Error)
}

// stop writes what the server holds in memory, waits for its goroutines, and
// releases the folder.
func (e *embedded) stop() error {
	e.Shutdown()
	e.WaitForShutdown()
	if err := e.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock event log folder: %w", err)
	}
	return nil
}
