package collector

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/yirifi/flywheel/internal/eventlog"
)

// Publisher is the durable log, as the collector uses it.
type Publisher interface {
	// Publish returns nil when the record is synced to disk, and not before. It stores a
	// sampled span of ctx with the record.
	// [eventlog.ErrFull] says that the lane has no room; any other error leaves
	// open whether the record was stored. It may be called concurrently and keeps
	// no reference to record after it returns.
	Publish(ctx context.Context, lane eventlog.Lane, record []byte) error
	// MaxRecordBytes is the size of the largest record that Publish takes.
	MaxRecordBytes() int
}

// recordOverhead is the most that the fields of LogRecord and LogBatch, and the
// tag and length of an event, add to the events of one part.
const recordOverhead = 128

// group is one record of the log: parts of batches that are synced together.
type group struct {
	record []byte
	// done is closed when the log has answered; err, nil for success, is set before.
	done chan struct{}
	err  error
	// links name the spans of the batches that are traced.
	links []trace.Link
}

// committer groups the parts of batches of one lane.
//
// What arrives while nothing is being published is published at once; what arrives
// meanwhile makes up the next group. So a client that sends alone never waits for
// others, and the busier the lane, the larger its groups. There is no timer.
// All methods are safe for concurrent use.
type committer struct {
	lane        eventlog.Lane
	log         Publisher
	groupBytes  int
	maxInFlight int
	timeout     time.Duration
	// waiting is the memory that batches take in the collector, all lanes together;
	// room is how much of it this lane may fill.
	waiting *atomic.Int64
	room    int64
	stats   *counters
	// published, unless nil, is told how long each stored group took.
	published func(eventlog.Lane, time.Duration)
	tracer    trace.Tracer // nil: off
	logger    *slog.Logger
	state     reportedState

	mu       sync.Mutex
	open     *group
	closed   []*group // full groups that wait to be published, oldest first
	inFlight int
	running  sync.WaitGroup // the publishing goroutines
	buffers  sync.Pool      // of *[]byte
}

// add puts a part of a batch, whose events have size bytes, into a group and
// returns the group, or nil when there is no room.
func (c *committer) add(b *batch, p part, size int) *group {
	total := int64(size + recordOverhead)
	if c.waiting.Add(total) > c.room {
		c.waiting.Add(-total)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil && len(c.open.record)+int(total) > c.groupBytes {
		c.close()
	}
	if c.open == nil {
		c.open = &group{record: c.buffer(), done: make(chan struct{})}
	}
	g := c.open
	before := len(g.record)
	g.record = appendPart(g.record, b, p, size)
	g.addSpan(b.span.SpanContext())
	c.waiting.Add(int64(len(g.record)-before) - total)
	if len(g.record) >= c.groupBytes {
		c.close()
	}
	c.start()
	return g
}

// close puts the open group at the end of the queue.
func (c *committer) close() {
	c.closed = append(c.closed, c.open)
	c.open = nil
}

// start starts publishing where a group should not wait any longer: it is full
// and another may be in flight, or nothing is in flight.
func (c *committer) start() {
	if c.inFlight >= c.maxInFlight || c.inFlight > 0 && len(c.closed) == 0 {
		return
	}
	g := c.next()
	c.inFlight++
	c.running.Go(func() { c.publishFrom(g) })
}

// next takes the oldest group, nil when there is none.
func (c *committer) next() *group {
	var g *group
	if len(c.closed) > 0 {
		g = c.closed[0]
		c.closed[0] = nil
		c.closed = c.closed[1:]
		return g
	}
	g, c.open = c.open, nil
	return g
}

// publishFrom publishes g and then whatever has gathered, until nothing is left.
func (c *committer) publishFrom(g *group) {
	for g != nil {
		c.publish(g)
		c.mu.Lock()
		g = c.next()
		if g == nil {
			c.inFlight--
		}
		c.mu.Unlock()
	}
}

// publish publishes a group and tells its batches. The context is not that of any
// one call: a client that leaves must not take the others with it.
func (c *committer) publish(g *group) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	ctx, span := c.beginSpan(ctx, g)
	began := time.Now()
	g.err = c.log.Publish(ctx, c.lane, g.record)
	endSpan(span, g.err)
	c.note(g, began, time.Now())
	c.waiting.Add(-int64(len(g.record)))
	c.recycle(g.record)
	g.record = nil
	close(g.done)
}

// note counts a published group, and reports when publishing begins to fail and
// when it works again.
func (c *committer) note(g *group, began, ended time.Time) {
	changed := c.state.change(g.err != nil, ended)
	lane := &c.stats.lanes[c.lane]
	if g.err != nil {
		lane.failed.Add(1)
		if changed {
			c.logger.Warn("the log refuses events", slog.Int("bytes", len(g.record)), slog.Any("error", g.err))
		}
		return
	}
	lane.groups.Add(1)
	lane.bytes.Add(uint64(len(g.record)))
	if c.published != nil {
		c.published(c.lane, ended.Sub(began))
	}
	if changed {
		c.logger.Info("the log takes events again")
	}
}

// stateEvery is how often at most a lane reports that it began or ceased to fail. A
// lane that is full takes a group whenever processors free some room.
const stateEvery = 10 * time.Second

// reportedState is whether a lane was last reported to fail. The zero value is a lane
// that works. It is safe for concurrent use.
type reportedState struct {
	mu      sync.Mutex
	failing bool
	at      time.Time
}

// change reports whether what a group has met is to be reported.
func (s *reportedState) change(failing bool, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failing == s.failing || now.Sub(s.at) < stateEvery {
		return false
	}
	s.failing, s.at = failing, now
	return true
}

// wait returns when nothing is being published any more. There must be no more
// calls of add.
func (c *committer) wait() { c.running.Wait() }

func (c *committer) buffer() []byte {
	if b, ok := c.buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, c.groupBytes)
}

// recycle keeps a record's memory for a later group, unless one huge event made
// it larger than groups are.
func (c *committer) recycle(record []byte) {
	if cap(record) <= 2*c.groupBytes {
		c.buffers.Put(&record)
	}
}

// Field numbers and lengths of the log's own fields.
const (
	recordBatches  = protowire.Number(1)
	batchTenant    = protowire.Number(3)
	batchReceived  = protowire.Number(4)
	batchIDBytes   = 16
	batchIDField   = 2 + batchIDBytes
	singleByteTags = 1
)

// appendPart appends a LogRecord.batches field: a LogBatch with the events as they
// came and what the collector knows of them. Appended fields of a message make up
// the message, so a group is the concatenation of its parts.
func appendPart(record []byte, b *batch, p part, size int) []byte {
	received := uint64(b.received.UnixMicro())
	length := batchIDField + size +
		singleByteTags + protowire.SizeBytes(len(b.tenant)) +
		singleByteTags + protowire.SizeVarint(received)
	record = protowire.AppendTag(record, recordBatches, protowire.BytesType)
	record = protowire.AppendVarint(record, uint64(length))
	record = protowire.AppendTag(record, batchIDNumber, protowire.BytesType)
	record = protowire.AppendBytes(record, b.id)
	for r := range b.laneRuns(p) {
		record = append(record, b.raw[r.start:r.end]...)
	}
	record = protowire.AppendTag(record, batchTenant, protowire.BytesType)
	record = protowire.AppendString(record, b.tenant)
	record = protowire.AppendTag(record, batchReceived, protowire.VarintType)
	return protowire.AppendVarint(record, received)
}
