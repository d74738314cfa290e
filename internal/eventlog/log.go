package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names in JetStream.
const (
	outcomeStream     = "FLYWHEEL_OUTCOME"
	traceStream       = "FLYWHEEL_TRACE"
	deadLetterStream  = "FLYWHEEL_DEADLETTER"
	outcomeSubject    = "flywheel.outcome"
	traceSubject      = "flywheel.trace"
	deadLetterSubject = "flywheel.deadletter"
	processorConsumer = "processor"
)

const (
	// maxPublishing bounds the records that wait for their acknowledgement.
	maxPublishing = 256
	setupTimeout  = 30 * time.Second
	// ackWait is how long a processor may hold a message without a sign of life.
	ackWait = time.Minute
	// maxAckPending bounds the messages that all processors of a lane hold.
	maxAckPending = 4096
)

// ErrFull says that a lane has no room. The record was not stored; it may be
// published again later.
var ErrFull = errors.New("the event log is full")

// ErrUnavailable says that the log did not confirm a record. It may be stored or
// not; publishing it again is right, since duplicates merge.
var ErrUnavailable = errors.New("the event log is not available")

// Log is an open event log. Its methods may be called concurrently.
type Log struct {
	cfg      Config
	log      *slog.Logger
	embedded *embedded // nil with a URL
	conn     *nats.Conn
	js       jetstream.JetStream

	mu     sync.Mutex
	floors map[Lane][]floor // see Trim
}

// Open connects to the log, or starts the embedded one, and makes its streams and
// consumers where they are missing or have other limits. Several may do so at once.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open event log: %w", err)
	}
	l := &Log{cfg: cfg, log: log, floors: map[Lane][]floor{}}
	if cfg.URL == "" {
		embedded, err := startServer(cfg, log)
		if err != nil {
			return nil, err
		}
		l.embedded = embedded
	}
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	if err := l.connect(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Log) connect(ctx context.Context) error {
	options := []nats.Option{
		nats.Name("flywheel"),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), // a publish while disconnected fails instead of waiting
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				l.log.Warn("event log: connection lost", slog.Any("error", err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { l.log.Info("event log: connected again") }),
	}
	if l.embedded != nil {
		options = append(options, nats.InProcessServer(l.embedded.server))
	}
	if l.cfg.Credentials != "" {
		options = append(options, nats.UserCredentials(l.cfg.Credentials))
	}
	var err error
	if l.conn, err = nats.Connect(l.cfg.URL, options...); err != nil {
		return fmt.Errorf("connect to event log %s: %w", l.cfg.URL, err)
	}
	if l.js, err = jetstream.New(l.conn, jetstream.WithPublishAsyncMaxPending(maxPublishing)); err != nil {
		return fmt.Errorf("connect to event log: %w", err)
	}
	return l.setUp(ctx)
}

// setUp makes the streams and the processor's consumers.
func (l *Log) setUp(ctx context.Context) error {
	for _, lane := range Lanes() {
		if err := l.makeStream(ctx, stream(lane), subject(lane), l.cfg.limits(lane)); err != nil {
			return err
		}
		_, err := l.js.CreateOrUpdateConsumer(ctx, stream(lane), jetstream.ConsumerConfig{
			Durable:       processorConsumer,
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       ackWait,
			MaxDeliver:    -1,
			MaxAckPending: maxAckPending,
		})
		if err != nil {
			return fmt.Errorf("set up consumer of the %s lane: %w", lane, err)
		}
	}
	return l.makeStream(ctx, deadLetterStream, deadLetterSubject+".*", l.cfg.DeadLetter)
}

func (l *Log) makeStream(ctx context.Context, name, subject string, limits StreamLimits) error {
	_, err := l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:      name,
		Subjects:  []string{subject},
		Retention: jetstream.LimitsPolicy,
		Discard:   jetstream.DiscardNew,
		Storage:   jetstream.FileStorage,
		Replicas:  l.cfg.Replicas,
		MaxBytes:  limits.MaxBytes,
		MaxAge:    limits.MaxAge,
		// Records are unique by construction; merging makes duplicates harmless. The
		// window costs memory only for messages with an id, and has to be below MaxAge.
		Duplicates:  min(2*time.Minute, limits.MaxAge),
		AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("set up stream %s of the event log: %w", name, err)
	}
	return nil
}

func stream(lane Lane) string {
	if lane == Trace {
		return traceStream
	}
	return outcomeStream
}

func subject(lane Lane) string {
	if lane == Trace {
		return traceSubject
	}
	return outcomeSubject
}

// ServerURL is where others reach an embedded log that listens. Otherwise it is
// empty.
func (l *Log) ServerURL() string {
	if l.embedded == nil || l.cfg.Listen == "" {
		return ""
	}
	return l.embedded.server.ClientURL()
}

// Health returns why the log cannot take or give events, or nil.
func (l *Log) Health(ctx context.Context) error {
	for _, lane := range Lanes() {
		if _, err := l.js.Stream(ctx, stream(lane)); err != nil {
			return fmt.Errorf("event log, %s lane: %w", lane, err)
		}
	}
	return nil
}

// Close disconnects and stops the embedded server after it has written everything.
// Records being published are then confirmed, or fail with [ErrUnavailable].
func (l *Log) Close() error {
	if l.conn != nil {
		l.conn.Close()
	}
	if l.embedded == nil {
		return nil
	}
	return l.embedded.stop()
}
