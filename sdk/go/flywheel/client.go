package flywheel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// ErrClosed is returned by [Client.Flush] when the client was closed before all
// events were delivered.
var ErrClosed = errors.New("the client is closed")

const (
	tenantKey = "flywheel-tenant"
	userAgent = "flywheel-go"

	// pingInterval is after how long without traffic the connection is checked while
	// events are under way, pingTimeout how long the answer may take.
	pingInterval = 30 * time.Second
	pingTimeout  = 10 * time.Second
)

// Client sends events to a collector. Make one per process with [Dial] and end it
// with [Client.Close]. Its methods are safe for concurrent use, on a nil *Client too.
type Client struct {
	cfg      config
	ids      *generator
	counters *counters
	queue    *queue
	conn     *grpc.ClientConn
	closing  sync.Once
	// cancel stops the exporter at once; done is closed when it has ended.
	cancel context.CancelFunc
	done   chan struct{}
}

// counters are the numbers behind [Stats].
type counters struct {
	sent, accepted, rejected, dropped, retries, repaired, contentOmitted atomic.Uint64
}

// Stats counts what became of the events since the client was made. Every event that
// was emitted is in exactly one of Queued, Accepted, Rejected and Dropped.
type Stats struct {
	// Queued events are held in memory: waiting, or sent and not yet answered.
	Queued uint64
	// Sent events were sent at least once.
	Sent uint64
	// Accepted events are durable: the collector has acknowledged them.
	Accepted uint64
	// Rejected events were refused by the collector for good: they break the
	// contract.
	Rejected uint64
	// Dropped events were given up: no room in the queue, or the client was closed.
	Dropped uint64
	// Retries counts batches that were sent again.
	Retries uint64
	// Repaired texts were too long or not valid UTF-8, and were made to fit.
	Repaired uint64
	// ContentOmitted events were sent without their text, which was too large.
	ContentOmitted uint64
}

// Dial makes a client of the collector at target, a gRPC target such as
// "collector.example.com:443" or "127.0.0.1:7410". It does not wait for a connection
// and does not fail for the lack of one: events are queued until there is one. It
// fails when an option or the target is not valid.
//
// The client has one goroutine, and one more while it is connected, besides gRPC's.
func Dial(target string, opts ...Option) (*Client, error) {
	c := &Client{cfg: defaultConfig(), counters: new(counters), done: make(chan struct{})}
	for _, option := range opts {
		if option != nil {
			option(&c.cfg)
		}
	}
	if err := c.cfg.validate(); err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	conn, err := grpc.NewClient(target, append(c.cfg.transport(target), c.cfg.dialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	slack := clockSlack
	if c.cfg.virtual {
		slack = 0
	}
	c.conn, c.ids, c.queue = conn, newGenerator(c.cfg.random, slack), newQueue(&c.cfg, c.counters)
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	if c.cfg.tenant != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, tenantKey, c.cfg.tenant)
	}
	e := newExporter(c.queue, conn, c.counters, c.cfg.logger, c.cfg.delay)
	go func() {
		defer close(c.done)
		e.run(ctx)
	}()
	return c, nil
}

// transport returns the options of the connection.
func (c *config) transport(target string) []grpc.DialOption {
	creds := c.credentials
	switch {
	case creds != nil:
	case c.insecure || local(target):
		creds = insecure.NewCredentials()
	default:
		creds = credentials.NewTLS(nil)
	}
	retry := backoff.DefaultConfig
	retry.BaseDelay, retry.MaxDelay = minBackoff, maxBackoff
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithUserAgent(userAgent),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: pingTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout}),
	}
}

// local says whether a gRPC target is on this machine.
func local(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	if _, rest, found := strings.Cut(target, "://"); found {
		_, target, _ = strings.Cut(rest, "/")
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = target
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ok says whether the client was made by Dial.
func (c *Client) ok() bool { return c != nil && c.queue != nil }

// emit queues an event, and takes it over.
func (c *Client) emit(e *flywheelv1.Event, l lane) {
	c.queue.put(e, l)
	e.ReturnToVTPool()
}

// Flush sends what is queued without waiting for a batch to fill up, and returns when
// every event that was emitted before the call is acknowledged, rejected or dropped
// ([Client.Stats] tells which). If ctx ends first, the result is its error; the
// events stay queued. If the client is closed first, it is [ErrClosed].
func (c *Client) Flush(ctx context.Context) error {
	if !c.ok() {
		return nil
	}
	f := c.queue.flush()
	select {
	case <-f.done:
	case <-ctx.Done():
		return fmt.Errorf("flush events: %w", ctx.Err())
	}
	if f.lost > 0 {
		return fmt.Errorf("flush events: %d not delivered: %w", f.lost, ErrClosed)
	}
	return nil
}

// Close lets no further events in, flushes, and releases the connection and the
// goroutines. If ctx ends before all events are answered, those left are dropped
// and the result is an error that says how many. A second Close waits for the first.
// Events emitted after Close count as dropped.
func (c *Client) Close(ctx context.Context) error {
	if !c.ok() {
		return nil
	}
	f := c.queue.close()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.cancel()
		<-c.done
	}
	var err error
	c.closing.Do(func() {
		c.cancel()
		if closed := c.conn.Close(); closed != nil {
			err = fmt.Errorf("close client: %w", closed)
		}
	})
	if f.lost > 0 {
		err = errors.Join(err, fmt.Errorf("close client: %d events not delivered: %w", f.lost, cmp.Or(ctx.Err(), ErrClosed)))
	}
	return err
}

// Stats returns the numbers as they are now.
func (c *Client) Stats() Stats {
	if !c.ok() {
		return Stats{}
	}
	n := c.counters
	return Stats{
		Queued: uint64(c.queue.queued()), Sent: n.sent.Load(), Accepted: n.accepted.Load(),
		Rejected: n.rejected.Load(), Dropped: n.dropped.Load(), Retries: n.retries.Load(),
		Repaired: n.repaired.Load(), ContentOmitted: n.contentOmitted.Load(),
	}
}
