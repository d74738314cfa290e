// Package eventlog is the durable log between collectors and processors. It is the
// only place that names a stream, a subject or a consumer of NATS JetStream, and it
// holds the embedded server.
package eventlog

import (
	"errors"
	"fmt"
	"time"
)

// Lane is a part of the log with limits of its own.
type Lane uint8

const (
	// Outcome holds the events that rates are computed from.
	Outcome Lane = iota
	// Trace holds the sequence around them. Under pressure it is refused first.
	Trace
)

// Lanes lists the lanes.
func Lanes() []Lane { return []Lane{Outcome, Trace} }

// String is the lane's name in lower case.
func (l Lane) String() string {
	if l == Trace {
		return "trace"
	}
	return "outcome"
}

// StreamLimits bound what a stream keeps.
type StreamLimits struct {
	// MaxBytes is the largest size of the stream. When it is reached, publishing
	// fails with [ErrFull]; nothing is dropped.
	MaxBytes int64
	// MaxAge is how long messages are kept, processed or not.
	MaxAge time.Duration
}

// Config says where the log is and what it keeps.
type Config struct {
	// URL names NATS servers with JetStream, comma separated. Empty: the server is
	// embedded and keeps its files in Dir.
	URL string
	// Credentials is the path of a NATS credentials file for URL. May be empty.
	Credentials string
	// Dir is the folder of the embedded server.
	Dir string
	// Listen is a TCP address on which the embedded server also serves others. Empty:
	// this process only.
	Listen string
	// Replicas is the number of copies in a cluster: 1, 3 or 5.
	Replicas int
	// Outcome, Trace and DeadLetter bound the streams.
	Outcome, Trace, DeadLetter StreamLimits
	// KeepProcessed is how long processed messages are kept at least once a stream is
	// more than half full; see [Log.Trim].
	KeepProcessed time.Duration
}

// DefaultConfig is a configuration with the default limits and no place.
func DefaultConfig() Config {
	return Config{
		Replicas:      1,
		Outcome:       StreamLimits{MaxBytes: 8 << 30, MaxAge: 72 * time.Hour},
		Trace:         StreamLimits{MaxBytes: 16 << 30, MaxAge: 72 * time.Hour},
		DeadLetter:    StreamLimits{MaxBytes: 1 << 30, MaxAge: 30 * 24 * time.Hour},
		KeepProcessed: 2 * time.Minute,
	}
}

// Validate returns everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	switch {
	case c.URL == "" && c.Dir == "":
		errs = append(errs, errors.New("the embedded event log needs a folder, or a NATS URL is needed"))
	case c.URL != "" && c.Listen != "":
		errs = append(errs, errors.New("a listen address is for the embedded event log: it contradicts a NATS URL"))
	case c.URL == "" && c.Replicas != 1:
		errs = append(errs, fmt.Errorf("%d replicas need a NATS cluster: the embedded event log is one server", c.Replicas))
	case c.URL == "" && c.Credentials != "":
		errs = append(errs, errors.New("NATS credentials are for a NATS URL"))
	}
	if c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5 {
		errs = append(errs, fmt.Errorf("%d replicas: 1, 3 or 5 are possible", c.Replicas))
	}
	for name, limits := range map[string]StreamLimits{"outcome": c.Outcome, "trace": c.Trace, "dead-letter": c.DeadLetter} {
		if limits.MaxBytes < 1<<20 {
			errs = append(errs, fmt.Errorf("%s stream of %d bytes: at least 1 MiB is needed", name, limits.MaxBytes))
		}
		if limits.MaxAge < time.Minute {
			errs = append(errs, fmt.Errorf("%s stream that keeps messages for %s: at least a minute is needed", name, limits.MaxAge))
		}
	}
	if c.KeepProcessed < 0 {
		errs = append(errs, fmt.Errorf("processed messages cannot be kept for %s", c.KeepProcessed))
	}
	return errors.Join(errs...)
}

// limits are the limits of a lane.
func (c Config) limits(lane Lane) StreamLimits {
	if lane == Trace {
		return c.Trace
	}
	return c.Outcome
}
