package processor

import (
	"errors"
	"fmt"
	"time"
)

// SettlerConfig says how often rates are settled and what counts.
//
// MinRead and MinReject apply when a bucket is settled: a change leaves buckets as
// they are until they receive data.
type SettlerConfig struct {
	// Interval is the pause between two settlements. It grows with how long the
	// last one took, so that settling leaves the machine to others.
	Interval time.Duration
	// FullInterval is how often minutes of all time are looked at, and not only
	// those that received data lately.
	FullInterval time.Duration
	// UserInterval is how often, at most, the rates of users are brought up to date in
	// one hour of data.
	UserInterval time.Duration
	// MinRead is how long an interaction must have been visible to count as read.
	MinRead time.Duration
	// MinReject is how long an interaction must have been visible for its
	// rejection to count: a faster one counts as ignored. A rejection of something
	// whose visible time was not measured counts.
	MinReject time.Duration
	// Settled, unless nil, is called with how long [Settler.Run] took to look at a table
	// and to settle what it found. It must be quick and may be called concurrently.
	Settled func(table string, took time.Duration)
}

// DefaultSettlerConfig returns the settings of a settler unless told otherwise.
func DefaultSettlerConfig() SettlerConfig {
	return SettlerConfig{
		Interval:     time.Second,
		FullInterval: 10 * time.Minute,
		UserInterval: 10 * time.Second,
		MinRead:      750 * time.Millisecond,
	}
}

// Validate returns everything that is wrong with the settings, or nil.
func (c SettlerConfig) Validate() error {
	var errs []error
	if c.Interval <= 0 {
		errs = append(errs, fmt.Errorf("interval %s: a positive duration is needed", c.Interval))
	}
	if c.FullInterval < c.Interval {
		errs = append(errs, fmt.Errorf("full interval %s: at least the interval (%s) is needed", c.FullInterval, c.Interval))
	}
	if c.UserInterval <= 0 {
		errs = append(errs, fmt.Errorf("user interval %s: a positive duration is needed", c.UserInterval))
	}
	if c.MinRead < 0 {
		errs = append(errs, fmt.Errorf("minimum visible time of a read %s: it cannot be negative", c.MinRead))
	}
	if c.MinReject < 0 {
		errs = append(errs, fmt.Errorf("minimum visible time of a rejection %s: it cannot be negative", c.MinReject))
	}
	return errors.Join(errs...)
}
