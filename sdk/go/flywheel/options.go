package flywheel

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const (
	// maxBatchEvents and maxBatchBytes are what a collector takes unless it is told
	// otherwise, maxContentBytes what the contract allows for one text.
	maxBatchEvents  = 10_000
	maxBatchBytes   = 4 << 20
	maxContentBytes = 1 << 20
	maxTenantBytes  = 64
)

// config is what the options set.
type config struct {
	tenant      string
	credentials credentials.TransportCredentials
	insecure    bool
	dialOptions []grpc.DialOption

	batchEvents, batchBytes int
	delay                   time.Duration
	queueEvents, queueBytes int
	block                   bool

	consent    Consent
	maxContent int

	logger *slog.Logger
	clock  func() time.Time
	// virtual says that clock is not the system's.
	virtual bool
	random  io.Reader
	// clockGiven: clock is not the system's.
	clockGiven bool
}

func defaultConfig() config {
	return config{
		batchEvents: 512, batchBytes: 512 << 10, delay: time.Second,
		queueEvents: 65_536, queueBytes: 64 << 20,
		maxContent: 256 << 10,
		logger:     slog.Default(),
		clock:      time.Now,
	}
}

// Option changes how a [Client] works. Later options win.
type Option func(*config)

// WithTenant names the tenant that the events belong to: 1 to 64 characters of a-z,
// 0-9, "_" and "-". Without it the collector takes "default".
func WithTenant(name string) Option { return func(c *config) { c.tenant = name } }

// WithTransportCredentials secures the connection in the given way, for any target.
// Without it, and without [WithInsecure], connections to other machines use TLS with
// the system's roots, and connections to this machine (loopback addresses,
// "localhost", "unix:") are not encrypted.
func WithTransportCredentials(creds credentials.TransportCredentials) Option {
	return func(c *config) { c.credentials = creds }
}

// WithInsecure allows a connection to another machine that is not encrypted, for
// example inside a mesh that encrypts by itself.
func WithInsecure() Option { return func(c *config) { c.insecure = true } }

// WithDialOptions passes options on to gRPC, after the client's own.
func WithDialOptions(opts ...grpc.DialOption) Option {
	return func(c *config) { c.dialOptions = append(c.dialOptions, opts...) }
}

// WithBatch says when a batch is sent: at so many events, at so many bytes, or when
// its first event has waited for delay. The defaults are 512, 512 KiB and 1 s; a
// collector takes at most 10,000 events and 4 MiB.
func WithBatch(events, bytes int, delay time.Duration) Option {
	return func(c *config) { c.batchEvents, c.batchBytes, c.delay = events, bytes, delay }
}

// WithQueue bounds the events that are held until they are acknowledged, those under
// way included. The defaults are 65,536 events and 64 MiB. From three quarters of
// either bound on, only events that rates are computed from are queued; edits,
// messages, tool calls and the like are dropped first.
func WithQueue(events, bytes int) Option {
	return func(c *config) { c.queueEvents, c.queueBytes = events, bytes }
}

// WithBlockWhenFull makes emitting wait for room in the queue, instead of dropping
// the event. For importers: an interactive agent must not wait. Close ends the
// waiting, and the events that waited are dropped.
func WithBlockWhenFull() Option { return func(c *config) { c.block = true } }

// WithContent says that the user allowed text (prompts, outputs, what they wrote) to
// leave the process, and for which use. Without it, or with the zero consent, only
// lengths do.
func WithContent(consent Consent) Option { return func(c *config) { c.consent = consent } }

// WithMaxContent is how many bytes of text one event may carry. Beyond that the event
// is sent without its text, never with a part of it. The default is 256 KiB, the
// largest 1 MiB.
func WithMaxContent(bytes int) Option { return func(c *config) { c.maxContent = bytes } }

// WithLogger takes the warnings about what could not be sent, each kind at most once
// a minute. The default is [slog.Default]. Texts of events are never logged.
func WithLogger(log *slog.Logger) Option { return func(c *config) { c.logger = log } }

// WithClock gives events, and the ids made for them, the time that now returns, for
// importers and replays. Delays and retries keep to the real time. now is called by
// the goroutines that emit.
func WithClock(now func() time.Time) Option {
	return func(c *config) { c.clock, c.clockGiven = now, true }
}

// WithRandom takes the random part of ids from random, so that an importer with a
// seed, a [WithClock] and one goroutine makes the same ids each time. Each id reads
// what it needs and nothing ahead, and the ids from [Client.Session] on depend on
// nothing before it, so a reader may be seeded anew between sessions. Reads are never
// concurrent. Ids of batches do not come from it. If a read fails, the system's
// source is used from then on.
func WithRandom(random io.Reader) Option { return func(c *config) { c.random = random } }

// validate returns everything that is wrong.
func (c *config) validate() error {
	var errs []error
	within := func(name string, value, low, high int) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("%s is %d: must be from %d to %d", name, value, low, high))
		}
	}
	const unbounded = int(^uint(0) >> 1)
	within("events per batch", c.batchEvents, 1, maxBatchEvents)
	within("bytes per batch", c.batchBytes, 1<<10, maxBatchBytes)
	within("events in the queue", c.queueEvents, 1, unbounded)
	within("bytes in the queue", c.queueBytes, 1<<10, unbounded)
	within("bytes of content", c.maxContent, 1, maxContentBytes)
	if c.delay <= 0 {
		errs = append(errs, fmt.Errorf("delay of a batch is %s: must be positive", c.delay))
	}
	if c.tenant != "" && !validTenant(c.tenant) {
		errs = append(errs, fmt.Errorf("tenant %q: use 1 to %d characters of a-z, 0-9, \"_\" and \"-\"", c.tenant, maxTenantBytes))
	}
	if c.logger == nil || c.clock == nil {
		errs = append(errs, errors.New("logger and clock must not be nil"))
	}
	return errors.Join(errs...)
}

func validTenant(name string) bool {
	if len(name) > maxTenantBytes {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
