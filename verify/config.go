package verify

import (
	"errors"
	"fmt"
	"time"
)

// Config says what is verified, and how long a difference may take to go away.
type Config struct {
	// From and To bound the start of interactions and opportunities, widened to whole
	// hours. Days are compared when they are inside as a whole. Zero: no bound.
	From, To time.Time
	// Tenant is the only tenant to look at. Empty: all.
	Tenant string
	// MinRead and MinReject are those of the settler that wrote the rates.
	MinRead, MinReject time.Duration
	// MaxDifferences is how many differences end the search.
	MaxDifferences int
	// Wait is for how long nothing may change in a bucket that differs, or that is not
	// settled, until this counts as a difference: longer than from an insert to its
	// touch and from there to the settled rates.
	Wait time.Duration
	// ChunkRows is how many partial rows are worked on at a time, unless one hour of a
	// tenant has more. Two chunks are in memory.
	ChunkRows uint64
}

// DefaultConfig returns the settings unless told otherwise.
func DefaultConfig() Config {
	return Config{MinRead: 750 * time.Millisecond, MaxDifferences: 20, Wait: 30 * time.Second, ChunkRows: 1_000_000}
}

// Validate returns everything that is wrong with the settings, or nil.
func (c Config) Validate() error {
	var errs []error
	if !c.From.IsZero() && !c.To.IsZero() && !c.From.Before(c.To) {
		errs = append(errs, fmt.Errorf("from %s to %s: there is no time between them", c.From.Format(time.RFC3339), c.To.Format(time.RFC3339)))
	}
	if c.MinRead < 0 || c.MinReject < 0 {
		errs = append(errs, fmt.Errorf("minimum visible times of %s and %s: they cannot be negative", c.MinRead, c.MinReject))
	}
	if c.MaxDifferences < 1 {
		errs = append(errs, fmt.Errorf("at most %d differences: at least 1 is needed", c.MaxDifferences))
	}
	if c.Wait < 0 {
		errs = append(errs, fmt.Errorf("wait of %s: it cannot be negative", c.Wait))
	}
	if c.ChunkRows < 1 {
		errs = append(errs, fmt.Errorf("chunks of %d rows: at least 1 is needed", c.ChunkRows))
	}
	return errors.Join(errs...)
}
