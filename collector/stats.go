package collector

import (
	"slices"
	"sync/atomic"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
)

// Stats are counts since the collector was created, and what it has in hand.
type Stats struct {
	// Batches were answered, the refused ones included.
	Batches uint64
	// Refused batches were refused as a whole.
	Refused uint64
	// RefusedFor is Refused by the reason that clients are told, every reason included:
	// INVALID_BATCH, LOG_FULL and LOG_UNAVAILABLE.
	RefusedFor map[string]uint64
	// Accepted events are durable and their clients were told so.
	Accepted uint64
	// Rejected events by reason, those of refused batches excluded.
	Rejected map[flywheelv1.RejectReason]uint64
	// Groups were published to the log: each is one record of it.
	Groups uint64
	// Bytes of the published groups.
	Bytes uint64
	// Lanes is by [eventlog.Lane].
	Lanes []LaneStats
	// WaitingBytes is the memory of requests and groups that wait for the log, at most
	// about WaitingLimit.
	WaitingBytes, WaitingLimit int64
	// Streams are the calls of CollectStream that are open.
	Streams int64
}

// LaneStats are counts of one lane.
type LaneStats struct {
	// Groups were confirmed by the log, Failed ones were not.
	Groups, Failed uint64
	// Bytes of the confirmed groups.
	Bytes uint64
}

// maxReasons is how many reject reasons are counted apart, maxLanes how many lanes.
const (
	maxReasons = 16
	maxLanes   = 2
)

// refusalReasons are what [refusal.reason] returns.
func refusalReasons() []string { return []string{invalidBatch, fullLog, unavailableLog} }

// counters are the stats as they are counted.
type counters struct {
	batches, accepted atomic.Uint64
	refused           [3]atomic.Uint64 // by refusalReasons
	rejected          [maxReasons]atomic.Uint64
	lanes             [maxLanes]laneCounters
	streams           atomic.Int64
}

type laneCounters struct{ groups, failed, bytes atomic.Uint64 }

func (c *counters) countRefused(r *refusal) {
	c.refused[slices.Index(refusalReasons(), r.reason())].Add(1)
}

func (c *counters) countRejected(rejected []*flywheelv1.RejectedEvent) {
	for _, r := range rejected {
		c.rejected[int(r.GetReason())%maxReasons].Add(1)
	}
}

// Stats returns the counts so far. It may be called at any time, concurrently.
func (c *Collector) Stats() Stats {
	s := Stats{
		Batches:      c.stats.batches.Load(),
		Accepted:     c.stats.accepted.Load(),
		Rejected:     make(map[flywheelv1.RejectReason]uint64),
		RefusedFor:   make(map[string]uint64),
		WaitingBytes: c.waiting.Load(),
		WaitingLimit: int64(c.cfg.MaxWaitingBytes),
		Streams:      c.stats.streams.Load(),
	}
	for i, reason := range refusalReasons() {
		n := c.stats.refused[i].Load()
		s.RefusedFor[reason] = n
		s.Refused += n
	}
	for reason := range c.stats.rejected {
		if n := c.stats.rejected[reason].Load(); n > 0 {
			s.Rejected[flywheelv1.RejectReason(reason)] = n
		}
	}
	for _, lane := range eventlog.Lanes() {
		counted := &c.stats.lanes[lane]
		l := LaneStats{Groups: counted.groups.Load(), Failed: counted.failed.Load(), Bytes: counted.bytes.Load()}
		s.Lanes = append(s.Lanes, l)
		s.Groups, s.Bytes = s.Groups+l.Groups, s.Bytes+l.Bytes
	}
	return s
}
