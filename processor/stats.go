package processor

import (
	"sync/atomic"

	"github.com/yirifi/flywheel/internal/eventlog"
)

// Stats counts what a processor has done since it was made, and what it has in hand.
type Stats struct {
	// Events were read from the log, duplicates and dead letters included.
	Events uint64
	// Rows were inserted into all tables but bucket_touches. Fewer than Events: the
	// events of one interaction in one batch are one row.
	Rows uint64
	// RowsOf is Rows by table.
	RowsOf map[string]uint64
	// Flushes are batches that were stored and acknowledged.
	Flushes uint64
	// DeadLettered events cannot be stored and were set aside.
	DeadLettered uint64
	// Retries are attempts that followed a failed one.
	Retries uint64
	// Lanes is by [eventlog.Lane].
	Lanes []LaneStats
}

// LaneStats is what a processor has done in one lane.
type LaneStats struct {
	// Records were read from the log. Redelivered ones of them had been delivered
	// before: their rows may be in ClickHouse already, and then merge there.
	Records, Redelivered uint64
	// Events were in the records. Merged ones of them added no row: all they say went
	// into rows that earlier events of the same batch had begun.
	Events, Merged uint64
	// RecordsInHand and BytesInHand are read and not yet stored or given back.
	RecordsInHand, BytesInHand int64
}

type counters struct {
	flushes, deadLettered, retries atomic.Uint64
	rows                           map[string]*atomic.Uint64 // by table
	lanes                          []laneCounters            // by lane
}

type laneCounters struct {
	records, redelivered, events, merged atomic.Uint64
	recordsInHand, bytesInHand           atomic.Int64
}

func newCounters() *counters {
	c := &counters{rows: map[string]*atomic.Uint64{}, lanes: make([]laneCounters, len(eventlog.Lanes()))}
	for _, s := range newSinks() {
		c.rows[s.table] = new(atomic.Uint64)
	}
	return c
}

// take counts a record that was added to a batch.
func (c *laneCounters) take(record *eventlog.Message, events, merged uint64) {
	c.records.Add(1)
	if record.Delivered() > 1 {
		c.redelivered.Add(1)
	}
	c.events.Add(events)
	c.merged.Add(merged)
	c.recordsInHand.Add(1)
	c.bytesInHand.Add(int64(len(record.Data())))
}

// leave counts the records of a batch that is written or given back.
func (c *laneCounters) leave(b *batch) {
	c.recordsInHand.Add(-int64(len(b.records)))
	c.bytesInHand.Add(-int64(b.bytes))
}

// Stats may be called at any time.
func (p *Processor) Stats() Stats {
	s := Stats{
		Flushes:      p.stats.flushes.Load(),
		DeadLettered: p.stats.deadLettered.Load(),
		Retries:      p.stats.retries.Load(),
		RowsOf:       map[string]uint64{},
	}
	for table, rows := range p.stats.rows {
		s.RowsOf[table] = rows.Load()
		s.Rows += s.RowsOf[table]
	}
	for i := range p.stats.lanes {
		c := &p.stats.lanes[i]
		s.Lanes = append(s.Lanes, LaneStats{
			Records: c.records.Load(), Redelivered: c.redelivered.Load(),
			Events: c.events.Load(), Merged: c.merged.Load(),
			RecordsInHand: c.recordsInHand.Load(), BytesInHand: c.bytesInHand.Load(),
		})
		s.Events += s.Lanes[i].Events
	}
	return s
}
