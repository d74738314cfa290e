package eventlog

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Lane is one of the two ways through the log. Lanes share nothing: one that is
// full or slow does not hold up the other.
type Lane uint8

const (
	// Outcome carries life-cycle events, feedback and outcomes: what rates need.
	Outcome Lane = iota
	// Trace carries edits, messages and tool calls. Under pressure it is refused
	// first.
	Trace
)

// Lanes returns all lanes, the most important first.
func Lanes() []Lane { return []Lane{Outcome, Trace} }

// String returns the lane's name in lower case.
func (l Lane) String() string {
	switch l {
	case Outcome:
		return "outcome"
	case Trace:
		return "trace"
	default:
		return fmt.Sprintf("lane(%d)", uint8(l))
	}
}

// MarshalText returns the lane's name.
func (l Lane) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the lane's name.
func (l *Lane) UnmarshalText(text []byte) (err error) {
	*l, err = parseLane(string(text))
	return err
}

// parseLane is the inverse of [Lane.String].
func parseLane(name string) (Lane, error) {
	for _, lane := range Lanes() {
		if lane.String() == name {
			return lane, nil
		}
	}
	return 0, fmt.Errorf("unknown lane %q", name)
}

// The names on the server.
const (
	streamPrefix      = "FLYWHEEL_"
	deadLetterSubject = "flywheel.deadletter."
	durable           = "processor"
)

// stream is what this process knows of one stream of the server.
type stream struct {
	name    string
	subject string // what its messages are published to; a prefix for dead letters
	filter  string // all subjects of the stream
	limits  StreamLimits
	// consumed: it is a shard of a lane, and has the durable consumer of the processors.
	consumed bool
	lane     Lane
	shard    int
	// own: this process creates it and sets its limits. It takes others as they are.
	own bool

	// room bounds the bytes that are published and not confirmed.
	room *semaphore.Weighted
	// used is how much of the stream's size is used.
	used meter
	// stopped is why the embedded server, here or elsewhere, has given up storing into
	// the stream. That lasts until it is restarted.
	stopped atomic.Pointer[error]
	// acked is the reply subject of the last acknowledgement of this process.
	acked atomic.Pointer[string]
	// warned is when the stream's age was last warned about: Unix nanoseconds.
	warned atomic.Int64
}

func (c Config) newDeadLetters() *stream {
	return &stream{
		name: streamPrefix + "DEADLETTER", subject: deadLetterSubject, filter: deadLetterSubject + ">",
		limits: c.DeadLetter, own: true, room: semaphore.NewWeighted(c.InFlightBytes),
	}
}

// refuses returns why nothing can be stored into the stream, nil when it can.
func (s *stream) refuses() error {
	if reason := s.stopped.Load(); reason != nil {
		return *reason
	}
	return nil
}
