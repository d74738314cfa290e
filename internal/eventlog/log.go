package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// requestTimeout bounds one request to the server where the caller sets no limit.
	requestTimeout = 10 * time.Second
	flushTimeout   = 5 * time.Second
)

// Log is an open event log. All methods are safe for concurrent use.
type Log struct {
	cfg    Config
	log    *slog.Logger
	server *embedded // nil when the log is external

	// Records go out on one connection; deliveries, acknowledgements and requests
	// take the other, so that no confirmation waits behind a prefetch.
	publishing, consuming *connection

	lanes       []*shards // by Lane
	deadLetters *stream

	disk     disk        // of the embedded log
	busy     atomic.Bool // somebody has published since the last look at what is left
	watching sync.WaitGroup
	unwatch  context.CancelFunc

	mu        sync.Mutex
	closed    bool
	inUse     sync.WaitGroup // calls of publish
	consumers map[*Consumer]struct{}
}

// Open starts the embedded log or connects to an external one, and creates the
// streams and the processors' consumers, or brings their settings up to date. It may
// run in several processes at once. The context bounds Open only. The caller must
// call [Log.Close].
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Log, error) {
	return start(ctx, cfg, log, (*Log).ensure)
}

// Attach connects to an external log that others run, and leaves its streams and their
// limits as they are: those of cfg mean nothing. It fails when a stream is missing.
// Otherwise it is like [Open].
func Attach(ctx context.Context, cfg Config, log *slog.Logger) (*Log, error) {
	if cfg.URL == "" {
		return nil, errors.New("attach to event log: the URL of an external one is needed")
	}
	return start(ctx, cfg, log, (*Log).adopt)
}

// start opens a log and prepares its streams.
func start(ctx context.Context, cfg Config, log *slog.Logger, prepare func(*Log, context.Context, *stream) error) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check event log settings: %w", err)
	}
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	l := &Log{cfg: cfg, log: log, unwatch: unwatch, consumers: make(map[*Consumer]struct{})}
	l.lanes = []*shards{Outcome: newShards(cfg, Outcome, cfg.Outcome), Trace: newShards(cfg, Trace, cfg.Trace)}
	l.deadLetters = cfg.newDeadLetters()
	if err := l.open(ctx, watching, prepare); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Log) open(ctx, watching context.Context, prepare func(*Log, context.Context, *stream) error) (err error) {
	if l.cfg.URL == "" {
		if l.server, err = startServer(ctx, l.cfg, l.log); err != nil {
			return err
		}
	}
	if l.publishing, err = l.connect("publish"); err != nil {
		return err
	}
	if l.consuming, err = l.connect("consume"); err != nil {
		return err
	}
	if most := l.publishing.nc.MaxPayload(); most < maxPayload {
		return fmt.Errorf(`the NATS server takes messages of %d bytes at most, Flywheel needs %d: set "max_payload: 8MB" in the configuration of every server of the cluster and reload it`,
			most, maxPayload)
	}
	for _, s := range l.streams() {
		if err := prepare(l, ctx, s); err != nil {
			return err
		}
	}
	if err := l.discover(ctx); err != nil {
		return err
	}
	if err := l.serveDisk(); err != nil {
		return err
	}
	if err := l.look(ctx); err != nil {
		return err
	}
	l.watching.Go(func() { l.watch(watching) })
	return nil
}

// MaxRecordBytes is the size of the largest record that [Log.Publish] takes.
func (l *Log) MaxRecordBytes() int { return maxPayload - headerRoom }

// ServerURL is the URL at which other processes reach the embedded log, with the
// token as its user. It is empty when the log does not listen.
func (l *Log) ServerURL() string {
	if l.server == nil || l.cfg.Listen == "" {
		return ""
	}
	address := l.server.current().ClientURL()
	if l.cfg.Token == "" {
		return address
	}
	return strings.Replace(address, "://", "://"+url.QueryEscape(l.cfg.Token)+"@", 1)
}

// Health returns nil when the log is able to store and deliver. An embedded log that
// had a write error says so here until it has recovered.
func (l *Log) Health(ctx context.Context) error {
	if !l.publishing.nc.IsConnected() || !l.consuming.nc.IsConnected() {
		return fmt.Errorf("check event log: %w", unavailable(errors.New("not connected")))
	}
	if l.server != nil {
		if _, err := l.server.health(""); err != nil {
			return fmt.Errorf("check event log: %w", unavailable(err))
		}
		return nil
	}
	if err := l.lookAtDisk(ctx); err != nil {
		return fmt.Errorf("check event log: %w", err)
	}
	for _, s := range l.streams() {
		if err := s.refuses(); err != nil {
			return fmt.Errorf("check event log stream %s: %w", s.name, err)
		}
		if _, err := l.consuming.js.Stream(ctx, s.name); err != nil {
			return fmt.Errorf("check event log stream %s: %w", s.name, unavailable(err))
		}
	}
	return nil
}

// Close refuses new records, waits for the confirmation of those in flight, closes
// the consumers, passes on the last acknowledgements, and stops the embedded server.
// Calling it again does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	consumers := slices.Collect(maps.Keys(l.consumers))
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.unwatch()
	l.watching.Wait()
	l.inUse.Wait()
	var closing sync.WaitGroup
	for _, c := range consumers {
		closing.Go(c.Close)
	}
	closing.Wait()
	err := errors.Join(l.publishing.close(), l.consuming.close())
	if l.server != nil {
		err = errors.Join(err, l.server.stop())
	}
	if err != nil {
		return fmt.Errorf("close event log: %w", err)
	}
	return nil
}

// enter begins a call that Close has to wait for; leave ends it.
func (l *Log) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.inUse.Add(1)
	return nil
}

func (l *Log) leave() { l.inUse.Done() }

// request bounds a request to the server.
func request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTimeout)
}

// streamInfo asks the server for the state of a stream.
func (l *Log) streamInfo(ctx context.Context, s *stream) (jetstream.Stream, *jetstream.StreamInfo, error) {
	handle, err := l.consuming.js.Stream(ctx, s.name)
	if err != nil {
		return nil, nil, fmt.Errorf("read stream %s: %w", s.name, unavailable(err))
	}
	return handle, handle.CachedInfo(), nil
}

// consumerInfo asks the server how far the processors are.
func (l *Log) consumerInfo(ctx context.Context, s *stream) (*jetstream.ConsumerInfo, error) {
	handle, err := l.consuming.js.Consumer(ctx, s.name, durable)
	if err != nil {
		return nil, fmt.Errorf("read consumer of %s: %w", s.name, unavailable(err))
	}
	return handle.CachedInfo(), nil
}
