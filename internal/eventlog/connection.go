package eventlog

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	connectTimeout = 5 * time.Second
	reconnectWait  = 250 * time.Millisecond
	pingInterval   = 20 * time.Second
	// maxUnconfirmed is never reached: what is in flight is bounded in bytes.
	maxUnconfirmed = 1 << 20
)

// connection is a connection to the server that reconnects by itself, for ever.
type connection struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func (l *Log) connect(purpose string) (*connection, error) {
	log := l.log.With(slog.String("connection", purpose))
	opts := []nats.Option{
		nats.Name("flywheel " + purpose),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.PingInterval(pingInterval),
		nats.IgnoreAuthErrorAbort(),
		nats.NoCallbacksAfterClientClose(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Warn("event log disconnected", slog.Any("error", err))
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("event log connected again", slog.String("server", nc.ConnectedUrlRedacted()))
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("event log connection", slog.Any("error", err))
		}),
	}
	if l.server != nil {
		opts = append(opts, nats.InProcessServer(l.server), nats.Token(l.cfg.Token))
	}
	if l.cfg.Credentials != "" {
		opts = append(opts, nats.UserCredentials(l.cfg.Credentials))
	}
	nc, err := nats.Connect(l.cfg.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to event log: %w", unavailable(err))
	}
	js, err := jetstream.New(nc,
		jetstream.WithPublishAsyncTimeout(l.cfg.PublishTimeout),
		jetstream.WithPublishAsyncMaxPending(maxUnconfirmed),
		jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("set up event log client: %w", err)
	}
	return &connection{nc: nc, js: js}, nil
}

// close passes on what was sent, acknowledgements above all, and closes the
// connection. Without a server to pass it on to there is nothing to wait for: what
// was not acknowledged is delivered again.
func (c *connection) close() error {
	if c == nil {
		return nil
	}
	defer c.nc.Close()
	defer c.js.CleanupPublisher()
	if !c.nc.IsConnected() {
		return nil
	}
	err := c.nc.FlushTimeout(flushTimeout)
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("flush connection: %w", err)
	}
	return nil
}
