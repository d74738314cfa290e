package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	serverReady = time.Minute
	// maxPayload is the largest record of the embedded server.
	maxPayload = 8 << 20
	// unlimited is the server's own limit: the streams have theirs.
	unlimited = 1 << 50
)

// embedded is a NATS server inside this process.
type embedded struct {
	server *server.Server
	lock   *flock.Flock
}

// startServer starts a server that syncs every message to disk before it
// acknowledges it.
func startServer(cfg Config, log *slog.Logger) (*embedded, error) {
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make folder of event log: %w", err)
	}
	lock := flock.New(filepath.Join(cfg.Dir, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock folder of event log: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("event log folder %s is in use by another process: stop that one or choose another folder", cfg.Dir)
	}
	srv, err := newServer(cfg, log)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	srv.Start()
	if !srv.ReadyForConnections(serverReady) {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, errors.Join(errors.New("start event log: the server is not ready; its log lines say why"), lock.Unlock())
	}
	return &embedded{server: srv, lock: lock}, nil
}

func newServer(cfg Config, log *slog.Logger) (*server.Server, error) {
	options := &server.Options{
		ServerName:         "flywheel",
		DontListen:         cfg.Listen == "",
		NoSigs:             true,
		JetStream:          true,
		StoreDir:           cfg.Dir,
		JetStreamMaxMemory: 64 << 20,
		JetStreamMaxStore:  unlimited,
		SyncAlways:         true,
		MaxPayload:         maxPayload,
		MaxPending:         256 << 20,
	}
	if cfg.Listen != "" {
		host, port, err := net.SplitHostPort(cfg.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen for event log: %w", err)
		}
		options.Host = host
		if options.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("listen for event log: port %q is no number", port)
		}
		if options.Port == 0 {
			options.Port = server.RANDOM_PORT
		}
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("start event log: %w", err)
	}
	srv.SetLoggerV2(serverLogger{log}, false, false, false)
	return srv, nil
}

// stop stops the server after it has written everything.
func (e *embedded) stop() error {
	e.server.Shutdown()
	e.server.WaitForShutdown()
	if err := e.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock folder of event log: %w", err)
	}
	return nil
}

// serverLogger writes the server's warnings and errors to our log.
type serverLogger struct{ log *slog.Logger }

func (l serverLogger) write(level slog.Level, format string, args []any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	l.log.Log(context.Background(), level, "event log server", slog.String("says", text))
}

// Noticef implements the server's logger.
func (l serverLogger) Noticef(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

// Warnf implements the server's logger.
func (l serverLogger) Warnf(format string, args ...any) { l.write(slog.LevelWarn, format, args) }

// Fatalf implements the server's logger.
func (l serverLogger) Fatalf(format string, args ...any) { l.write(slog.LevelError, format, args) }

// Errorf implements the server's logger.
func (l serverLogger) Errorf(format string, args ...any) { l.write(slog.LevelError, format, args) }

// Debugf implements the server's logger.
func (l serverLogger) Debugf(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

// Tracef implements the server's logger.
func (l serverLogger) Tracef(format string, args ...any) { l.write(slog.LevelDebug, format, args) }
