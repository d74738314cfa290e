package processor

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Config says how a processor batches and how patient it is.
//
// Per lane, one batch fills while the one before it is being written, and no more:
// the memory a lane takes is bounded by twice MaxBytes of log records, and twice MaxRows
// of rows (150 B an edit, 0.7 kB an interaction). What is on its way to ClickHouse adds
// a megabyte per table.
type Config struct {
	// MaxRows is the number of rows, and MaxBytes the size of the log records, at
	// which a batch is full. A batch exceeds them by one record at most.
	MaxRows, MaxBytes int
	// MaxDelay is the age at which a batch that is not full is written, if no other
	// is being written.
	MaxDelay time.Duration
	// RetryMin and RetryMax are the first and the longest pause between attempts to
	// write what ClickHouse did not take. Attempts go on until the processor stops.
	RetryMin, RetryMax time.Duration
	// Grace is how long a processor that stops tries to finish what it has in hand.
	Grace time.Duration
	// TrimInterval is how often processed records are freed in the log.
	TrimInterval time.Duration
	// Inserted, unless nil, is called with how long ClickHouse took for rows that it
	// confirmed. It must be quick and may be called concurrently.
	Inserted func(table string, took time.Duration)
	// Tracer, unless nil, makes spans of storing batches of which some record was
	// published within a span, and of their inserts.
	Tracer trace.Tracer
}

// DefaultConfig returns the settings of a processor unless told otherwise.
func DefaultConfig() Config {
	return Config{
		MaxRows:      100_000,
		MaxBytes:     32 << 20,
		MaxDelay:     500 * time.Millisecond,
		RetryMin:     100 * time.Millisecond,
		RetryMax:     10 * time.Second,
		Grace:        15 * time.Second,
		TrimInterval: 5 * time.Second,
	}
}

// Validate returns everything that is wrong with the settings, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.MaxRows < 1 {
		errs = append(errs, fmt.Errorf("batches of %d rows: at least 1 is needed", c.MaxRows))
	}
	if c.MaxBytes < 1 {
		errs = append(errs, fmt.Errorf("batches of %d bytes: at least 1 is needed", c.MaxBytes))
	}
	if c.MaxDelay < 0 {
		errs = append(errs, fmt.Errorf("batches delayed by %s: it cannot be negative", c.MaxDelay))
	}
	if c.RetryMin <= 0 || c.RetryMax < c.RetryMin {
		errs = append(errs, fmt.Errorf("pauses between attempts of %s to %s: they must be positive and not shrink", c.RetryMin, c.RetryMax))
	}
	if c.Grace < 0 {
		errs = append(errs, fmt.Errorf("grace of %s: it cannot be negative", c.Grace))
	}
	if c.TrimInterval <= 0 {
		errs = append(errs, fmt.Errorf("trim interval %s: a positive duration is needed", c.TrimInterval))
	}
	return errors.Join(errs...)
}
