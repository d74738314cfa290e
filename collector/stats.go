package collector

import (
	"sync/atomic"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// Stats are counts since the collector was created.
type Stats struct {
	// Batches were answered, the refused ones included.
	Batches uint64
	// Refused batches were refused as a whole.
	Refused uint64
	// Accepted events are durable and their clients were told so.
	Accepted uint64
	// Rejected events by reason, those of refused batches excluded.
	Rejected map[flywheelv1.RejectReason]uint64
	// Groups were published to the log: each is one record of it.
	Groups uint64
	// Bytes of the published groups.
	Bytes uint64
}

// maxReasons is how many reject reasons are counted apart.
const maxReasons = 16

// counters are the stats as they are counted.
type counters struct {
	batches, refused, accepted, groups, bytes atomic.Uint64
	rejected                                  [maxReasons]atomic.Uint64
}

func (c *counters) countRejected(rejected []*flywheelv1.RejectedEvent) {
	for _, r := range rejected {
		c.rejected[int(r.GetReason())%maxReasons].Add(1)
	}
}

// Stats returns the counts so far. It may be called at any time, concurrently.
func (c *Collector) Stats() Stats {
	s := Stats{
		Batches:  c.stats.batches.Load(),
		Refused:  c.stats.refused.Load(),
		Accepted: c.stats.accepted.Load(),
		Groups:   c.stats.groups.Load(),
		Bytes:    c.stats.bytes.Load(),
		Rejected: make(map[flywheelv1.RejectReason]uint64),
	}
	for reason := range c.stats.rejected {
		if n := c.stats.rejected[reason].Load(); n > 0 {
			s.Rejected[flywheelv1.RejectReason(reason)] = n
		}
	}
	return s
}
