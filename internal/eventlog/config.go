package eventlog

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxPayload is the largest message of the embedded server, and what others must
	// take too.
	maxPayload = 8 << 20
	// headerRoom is what the headers of a message may take: the server's own limit.
	headerRoom = 64 << 10

	// maxShards keeps a slip of the keyboard from creating streams without end.
	maxShards = 64

	minStreamBytes = 1 << 20
	minAge         = time.Minute
)

// StreamLimits bound what one stream of the log holds.
type StreamLimits struct {
	// MaxBytes is the size at which the stream refuses, records and their overhead
	// counted once however many replicas there are.
	MaxBytes int64
	// MaxAge is how long a record is kept at most, acknowledged or not.
	MaxAge time.Duration
}

// Config says where the log is and what it keeps. Start from [DefaultConfig].
//
// Every [Open] applies the limits to the streams, also to existing ones: processes
// that share a log should have the same.
type Config struct {
	// URL names the servers of an external log: nats:// or tls://, several separated
	// by commas; user and password, or a token, may be part of it. Empty: the log is
	// embedded in this process.
	//
	// Flywheel promises no more than the server does: set "sync_interval: always"
	// there, or use replicas on independent power. "max_payload: 8MB" must be set.
	URL string
	// Credentials is a NATS credentials file for URL. Empty: none.
	Credentials string
	// Replicas is the number of copies that an external cluster holds of each
	// stream: 1, 3 or 5.
	Replicas int
	// Shards is how many streams each lane has, for a log whose leader of one stream is
	// the limit. [Log.Publish] spreads records over so many. It may differ between
	// processes and may change: what reads the log reads all shards that there are, also
	// those that nobody writes to any more.
	Shards int

	// Dir is the folder of the embedded log. One process at a time uses it.
	Dir string
	// Listen is a TCP address (host:port) on which the embedded log also serves other
	// processes. A missing host means loopback, port 0 any free port. Empty: the log
	// serves this process only, without any socket.
	Listen string
	// DiskReserve is the free space of Dir's disk, in bytes, below which the trace lane
	// is refused; below a quarter of it everything is. 0: 2 % of the disk but at least
	// 512 MiB, and an eighth of a disk for which that is too much.
	DiskReserve int64
	// Token is what other processes must show to use Listen. Empty: nothing.
	Token string

	// Outcome, Trace and DeadLetter bound the streams, those of a lane each shard.
	Outcome, Trace, DeadLetter StreamLimits
	// KeepProcessed is how long [Log.Trim] leaves acknowledged records in place, to be
	// delivered again by [Log.Rewind] should ClickHouse lose inserts in a power cut.
	KeepProcessed time.Duration

	// AckWait is how long a delivered record may stay without an answer
	// ([Message.Ack], Nak or InProgress) before it is delivered again.
	AckWait time.Duration
	// PublishTimeout bounds the wait for the server's confirmation of a record.
	PublishTimeout time.Duration
	// InFlightBytes bounds, per stream, the records that wait for confirmation;
	// further calls of Publish wait.
	InFlightBytes int64
	// PrefetchBytes is how much a [Consumer] asks the server for at a time, all shards
	// together but at least the largest record of each; it holds at most twice as much.
	PrefetchBytes int
}

// DefaultConfig returns the defaults of an embedded log; Dir is left to be set.
func DefaultConfig() Config {
	return Config{
		Replicas:       1,
		Shards:         1,
		Outcome:        StreamLimits{MaxBytes: 8 << 30, MaxAge: 72 * time.Hour},
		Trace:          StreamLimits{MaxBytes: 16 << 30, MaxAge: 72 * time.Hour},
		DeadLetter:     StreamLimits{MaxBytes: 1 << 30, MaxAge: 30 * 24 * time.Hour},
		KeepProcessed:  2 * time.Minute,
		AckWait:        time.Minute,
		PublishTimeout: 30 * time.Second,
		InFlightBytes:  32 << 20,
		PrefetchBytes:  8 << 20,
	}
}

// Validate returns everything that is wrong with the configuration, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.URL == "" {
		errs = append(errs, c.validateEmbedded()...)
	} else {
		errs = append(errs, c.validateExternal()...)
	}
	if c.Shards < 1 || c.Shards > maxShards {
		errs = append(errs, fmt.Errorf("shards are %d: 1 to %d are possible", c.Shards, maxShards))
	}
	errs = append(errs, c.Outcome.validate("outcome")...)
	errs = append(errs, c.Trace.validate("trace")...)
	errs = append(errs, c.DeadLetter.validate("dead letter")...)
	if c.DiskReserve < 0 || c.DiskReserve > 0 && c.URL != "" {
		errs = append(errs, fmt.Errorf("disk reserve is %d bytes: it must not be negative, and is for the embedded log only", c.DiskReserve))
	}
	if c.KeepProcessed < 0 || c.KeepProcessed >= min(c.Outcome.MaxAge, c.Trace.MaxAge) {
		errs = append(errs, fmt.Errorf("keep processed is %v: it must be at least 0 and below the maximum age of the lanes", c.KeepProcessed))
	}
	if c.AckWait < time.Second {
		errs = append(errs, fmt.Errorf("acknowledgement wait is %v: at least 1s is needed", c.AckWait))
	}
	if c.PublishTimeout <= 0 {
		errs = append(errs, fmt.Errorf("publish timeout is %v: it must be positive", c.PublishTimeout))
	}
	if c.InFlightBytes < 1 {
		errs = append(errs, fmt.Errorf("in-flight bytes are %d: at least 1 is needed", c.InFlightBytes))
	}
	if c.PrefetchBytes < maxPayload {
		errs = append(errs, fmt.Errorf("prefetch is %d bytes: at least %d are needed, the largest record", c.PrefetchBytes, maxPayload))
	}
	return errors.Join(errs...)
}

func (c Config) validateEmbedded() (errs []error) {
	if c.Dir == "" {
		errs = append(errs, errors.New("a folder is needed for the embedded log, or the URL of an external one"))
	}
	if c.Credentials != "" {
		errs = append(errs, errors.New("credentials are for an external log: a URL is needed with them"))
	}
	if c.Replicas != 1 {
		errs = append(errs, fmt.Errorf("replicas are %d: the embedded log holds exactly 1", c.Replicas))
	}
	if c.Token != "" && c.Listen == "" {
		errs = append(errs, errors.New("a token is for a listen address: one is needed with it"))
	}
	if c.Listen != "" {
		if _, _, err := c.listenAddress(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (c Config) validateExternal() (errs []error) {
	if c.Dir != "" {
		errs = append(errs, errors.New("a folder is for the embedded log and contradicts a URL"))
	}
	if c.Token != "" {
		errs = append(errs, errors.New("a token is for the embedded log: that of an external one is part of its URL"))
	}
	if c.Listen != "" {
		errs = append(errs, errors.New("a listen address is for the embedded log and contradicts a URL"))
	}
	if !slices.Contains([]int{1, 3, 5}, c.Replicas) {
		errs = append(errs, fmt.Errorf("replicas are %d: 1, 3 or 5 are possible", c.Replicas))
	}
	if c.Credentials != "" {
		if _, err := os.Stat(c.Credentials); err != nil {
			errs = append(errs, fmt.Errorf("read credentials: %w", err))
		}
	}
	for server := range strings.SplitSeq(c.URL, ",") {
		// The error of url.Parse repeats the URL and so a password in it.
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Hostname() == "" {
			errs = append(errs, errors.New("the URL is not of the form nats://host:port or tls://host:port"))
		}
	}
	return errs
}

// listenAddress returns host and port of Listen; port 0 stands for any.
func (c Config) listenAddress() (host string, port int, err error) {
	host, service, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", 0, fmt.Errorf("parse listen address: %w", err)
	}
	number, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("parse listen address: port %q is no number below 65536", service)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return host, int(number), nil
}

func (s StreamLimits) validate(name string) (errs []error) {
	if s.MaxBytes < minStreamBytes {
		errs = append(errs, fmt.Errorf("%s stream is %d bytes: at least %d are needed", name, s.MaxBytes, minStreamBytes))
	}
	if s.MaxAge < minAge {
		errs = append(errs, fmt.Errorf("%s stream keeps records for %v: at least %v is needed", name, s.MaxAge, minAge))
	}
	return errs
}
