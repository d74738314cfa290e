package collector

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/yirifi/flywheel/internal/eventlog"
)

// Config says what a collector accepts and how much it holds at once.
// [DefaultConfig] is a good start; the zero value is not valid.
type Config struct {
	// MaxBatchBytes is the largest encoded batch. Up to twice as much is read in
	// order to answer with a clear error; the transport refuses anything larger.
	MaxBatchBytes int
	// MaxBatchEvents is the largest number of events in a batch.
	MaxBatchEvents int
	// MaxEventBytes is the largest encoded event, its content included.
	MaxEventBytes int
	// MaxContentBytes is the largest encoded content of an event.
	MaxContentBytes int
	// MaxFutureSkew is how far a client's clock may be ahead.
	MaxFutureSkew time.Duration
	// MaxAge is how old an event, and what it belongs to, may be.
	MaxAge time.Duration
	// GroupBytes is the size at which a group of batches is closed. A group is
	// larger only when a single event is.
	GroupBytes int
	// MaxInFlight is how many groups of one lane are published at once.
	MaxInFlight int
	// MaxWaitingBytes bounds the memory of batches that wait for the log. Trace
	// events are refused from three quarters of it on.
	MaxWaitingBytes int
	// MaxStreamBatches is how many batches of one stream are under way at once, and
	// MaxStreamBytes what they take together before no more are read. A client that
	// sends ahead of that is slowed down, not refused.
	MaxStreamBatches int
	MaxStreamBytes   int
	// PublishTimeout is how long the log may take to acknowledge a group.
	PublishTimeout time.Duration
	// RetryAfter is how long clients are told to wait before they send again.
	RetryAfter time.Duration
	// StopGrace is how long the calls in hand may take when the collector stops.
	StopGrace time.Duration
	// Published, unless nil, is called with how long the log took for a group that it
	// confirmed. It must be quick and may be called concurrently.
	Published func(lane eventlog.Lane, took time.Duration)
	// Tracer, unless nil, makes spans of the batches of streams and of the groups that
	// have a part of a traced batch. Spans of calls come from a stats handler in
	// ServerOptions.
	Tracer trace.Tracer
	// ServerOptions are added to the server's own: interceptors and stats handlers.
	ServerOptions []grpc.ServerOption
}

// DefaultConfig returns the settings of a collector that shares a machine with
// the rest of Flywheel.
func DefaultConfig() Config {
	return Config{
		MaxBatchBytes:    4 << 20,
		MaxBatchEvents:   10_000,
		MaxEventBytes:    1<<20 + 128<<10,
		MaxContentBytes:  1<<20 + 64<<10,
		MaxFutureSkew:    10 * time.Minute,
		MaxAge:           90 * 24 * time.Hour,
		GroupBytes:       512 << 10,
		MaxInFlight:      4,
		MaxWaitingBytes:  64 << 20,
		MaxStreamBatches: 256,
		MaxStreamBytes:   4 << 20,
		PublishTimeout:   10 * time.Second,
		RetryAfter:       time.Second,
		StopGrace:        20 * time.Second,
	}
}

// Validate returns everything that is wrong with the configuration, or nil.
func (c Config) Validate() error {
	var errs []error
	positive := func(name string, value int64) {
		if value <= 0 {
			errs = append(errs, fmt.Errorf("%s is %d: must be positive", name, value))
		}
	}
	positive("MaxBatchBytes", int64(c.MaxBatchBytes))
	positive("MaxBatchEvents", int64(c.MaxBatchEvents))
	positive("MaxEventBytes", int64(c.MaxEventBytes))
	positive("MaxContentBytes", int64(c.MaxContentBytes))
	positive("MaxFutureSkew", int64(c.MaxFutureSkew))
	positive("MaxAge", int64(c.MaxAge))
	positive("MaxInFlight", int64(c.MaxInFlight))
	positive("MaxStreamBatches", int64(c.MaxStreamBatches))
	positive("MaxStreamBytes", int64(c.MaxStreamBytes))
	positive("PublishTimeout", int64(c.PublishTimeout))
	positive("RetryAfter", int64(c.RetryAfter))
	positive("StopGrace", int64(c.StopGrace))
	if c.GroupBytes < minGroupBytes {
		errs = append(errs, fmt.Errorf("GroupBytes is %d: must be at least %d", c.GroupBytes, minGroupBytes))
	}
	if c.MaxContentBytes > c.MaxEventBytes {
		errs = append(errs, fmt.Errorf("MaxContentBytes is %d: must not exceed MaxEventBytes, %d", c.MaxContentBytes, c.MaxEventBytes))
	}
	if c.MaxEventBytes > c.MaxBatchBytes {
		errs = append(errs, fmt.Errorf("MaxEventBytes is %d: must not exceed MaxBatchBytes, %d", c.MaxEventBytes, c.MaxBatchBytes))
	}
	if c.MaxWaitingBytes < 4*c.MaxBatchBytes {
		errs = append(errs, fmt.Errorf("MaxWaitingBytes is %d: must be at least four times MaxBatchBytes, %d", c.MaxWaitingBytes, c.MaxBatchBytes))
	}
	return errors.Join(errs...)
}

// minGroupBytes leaves room for an ordinary event and a record's own fields.
const minGroupBytes = 4 << 10

// largestRecord is the size that no record of the log exceeds.
func (c Config) largestRecord() int {
	return max(c.GroupBytes, c.MaxEventBytes+recordOverhead)
}
