package feedback

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
)

// Config bounds what a query may cost.
type Config struct {
	// QueryTimeout is how long a query may take before it ends with
	// DEADLINE_EXCEEDED.
	QueryTimeout time.Duration
	// MaxRows is how many rows an answer may have. A query with more ends with
	// RESOURCE_EXHAUSTED.
	MaxRows int
	// MaxBuckets is how many time buckets a time range may have.
	MaxBuckets int
	// Grace is how long queries in hand may take when the service stops.
	Grace time.Duration
	// ServerOptions are added to the server's own: interceptors and stats handlers.
	ServerOptions []grpc.ServerOption
}

// DefaultConfig returns the settings of a service unless told otherwise.
func DefaultConfig() Config {
	return Config{
		QueryTimeout: 20 * time.Second,
		MaxRows:      100_000,
		MaxBuckets:   10_000,
		Grace:        10 * time.Second,
	}
}

// Validate returns everything that is wrong with the settings, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.QueryTimeout <= 0 {
		errs = append(errs, fmt.Errorf("query timeout %s: a positive duration is needed", c.QueryTimeout))
	}
	if c.MaxRows <= 0 {
		errs = append(errs, fmt.Errorf("maximum of rows %d: a positive number is needed", c.MaxRows))
	}
	if c.MaxBuckets <= 0 {
		errs = append(errs, fmt.Errorf("maximum of buckets %d: a positive number is needed", c.MaxBuckets))
	}
	if c.Grace < 0 {
		errs = append(errs, fmt.Errorf("grace %s: it cannot be negative", c.Grace))
	}
	return errors.Join(errs...)
}
