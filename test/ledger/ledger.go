// Package ledger sends events to collectors, keeps a ledger of what became of each,
// and checks the tables of ClickHouse against it.
//
// The promise under test: an acknowledged event is never lost and never counts twice.
// The ledger knows an event as acknowledged when any collector accepted it, as refused
// when every attempt was answered and none accepted it, and as unknown otherwise: an
// unknown event may be in the tables or not, and counts once at most.
package ledger

import (
	"maps"
	"sync"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// State is what the sender knows of an event.
type State int

// The states of an event.
const (
	// Refused events are in no log: every attempt was answered, none with success.
	Refused State = iota
	// Unknown events may be stored or not.
	Unknown
	// Acknowledged events are durable, says the collector.
	Acknowledged
)

// entry is an event and what became of it.
type entry struct {
	tenant string
	event  *flywheelv1.Event
	acked  bool
	// open counts the attempts without an answer that says what became of the event.
	open int
}

func (e *entry) state() State {
	switch {
	case e.acked:
		return Acknowledged
	case e.open > 0:
		return Unknown
	default:
		return Refused
	}
}

// Ledger holds every event that was sent. Its methods may be called concurrently; the
// zero Ledger is not ready, see [New].
type Ledger struct {
	mu       sync.Mutex
	events   map[uuid.UUID]*entry
	statuses map[string]int
	batches  int
	resent   int
}

// New returns an empty ledger.
func New() *Ledger {
	return &Ledger{events: map[uuid.UUID]*entry{}, statuses: map[string]int{}}
}

// answer is what a collector said of a batch, in either form of the call.
type answer interface {
	GetBatchId() []byte
	GetAccepted() uint32
	GetRejected() []*flywheelv1.RejectedEvent
}

// sent notes an attempt, before any byte of it leaves.
func (l *Ledger) sent(tenant string, events []*flywheelv1.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches++
	again := false
	for _, e := range events {
		id := uuid.UUID(e.GetEventId())
		known, ok := l.events[id]
		if !ok {
			known = &entry{tenant: tenant, event: proto.CloneOf(e)}
			l.events[id] = known
		}
		again = again || ok
		known.open++
	}
	if again {
		l.resent++
	}
}

// answered notes the answer to an attempt: each event was accepted or rejected.
func (l *Ledger) answered(events []*flywheelv1.Event, a answer) {
	rejected := map[uint32]bool{}
	for _, r := range a.GetRejected() {
		rejected[r.GetIndex()] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statuses["OK"]++
	if len(rejected) > 0 {
		l.statuses["OK, events rejected"]++
	}
	for i, e := range events {
		known := l.events[uuid.UUID(e.GetEventId())]
		known.open--
		known.acked = known.acked || !rejected[uint32(i)]
	}
}

// failed notes an attempt that was not answered with success. Its events stay open.
func (l *Ledger) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statuses[status.Code(err).String()]++
}

// Summary counts events by their state, and attempts.
type Summary struct {
	Acknowledged, Unknown, Refused int
	// Batches is how many were sent, Resent how many of them not for the first time.
	Batches, Resent int
	// Statuses are how often each gRPC status ended an attempt.
	Statuses map[string]int
}

// Summary returns the numbers as they are now.
func (l *Ledger) Summary() Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Summary{Batches: l.batches, Resent: l.resent, Statuses: maps.Clone(l.statuses)}
	for _, e := range l.events {
		switch e.state() {
		case Acknowledged:
			s.Acknowledged++
		case Unknown:
			s.Unknown++
		case Refused:
			s.Refused++
		}
	}
	return s
}
