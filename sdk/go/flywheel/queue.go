package flywheel

import (
	"slices"
	"sync"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// lane says what an event is for, and so what is dropped first.
type lane uint8

const (
	// outcomeLane is what rates are computed from.
	outcomeLane lane = iota
	// traceLane is what happened around it. It may use three quarters of the queue.
	traceLane
)

// queue holds the events that are not acknowledged: encoded once, when they are
// emitted, into the open batch. Sealed batches are taken by the exporter, which
// releases their events when it is done with them. It is safe for concurrent use.
//
// Memory is that of the events' bytes, bounded by the configuration, and one buffer
// of the size of a batch.
type queue struct {
	cfg      *config
	counters *counters
	ids      *generator // of batches
	// wake tells the exporter that something changed.
	wake chan struct{}

	mu sync.Mutex
	// room is signalled when events are released or the queue closes.
	room sync.Cond
	// open holds the encoded events of the batch with the number order.
	open       []byte
	openEvents int
	order      uint64
	sealed     []*batch
	// events and bytes count everything that is not released.
	events, bytes int
	flushes       []*flush
	// hurry says that someone flushes.
	hurry  bool
	closed bool
}

// flush waits until the events that were in the queue when it began are released.
type flush struct {
	before uint64 // order of the first batch after them
	left   int    // events
	done   chan struct{}
	// lost is how many of them were given up because the client closed.
	lost int
}

func newQueue(cfg *config, counters *counters) *queue {
	q := &queue{cfg: cfg, counters: counters, ids: newGenerator(nil, clockSlack), wake: make(chan struct{}, 1)}
	q.room.L = &q.mu
	return q
}

// put encodes an event into the queue. If there is no room, it waits or drops the
// event, as configured.
func (q *queue) put(e *flywheelv1.Event, l lane) {
	size := e.SizeVT()
	encoded := encodedSize(size)
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.admit(encoded, l) {
		q.counters.dropped.Add(1)
		q.signal()
		return
	}
	if q.openEvents > 0 && headBytes+len(q.open)+encoded > q.cfg.batchBytes {
		q.seal()
	}
	buf, err := appendEvent(q.open, e, size)
	q.open = buf
	if err != nil {
		q.counters.dropped.Add(1)
		return
	}
	q.openEvents++
	q.events++
	q.bytes += encoded
	if q.openEvents == q.cfg.batchEvents || headBytes+len(q.open) >= q.cfg.batchBytes {
		q.seal()
	}
	if q.openEvents <= 1 {
		q.signal()
	}
}

// admit says whether there is room for an event, now or after waiting for it.
func (q *queue) admit(size int, l lane) bool {
	events, bytes := q.cfg.queueEvents, q.cfg.queueBytes
	if l == traceLane {
		events, bytes = max(events-events/4, 1), bytes-bytes/4
	}
	if size > bytes {
		return false
	}
	for !q.closed && (q.events+1 > events || q.bytes+size > bytes) {
		if !q.cfg.block {
			return false
		}
		q.seal()
		q.signal()
		q.room.Wait()
	}
	return !q.closed
}

// seal closes the open batch. Callers hold mu.
func (q *queue) seal() {
	if q.openEvents == 0 {
		return
	}
	q.sealed = append(q.sealed, newBatch(q.ids.next(time.Now()), q.order, q.openEvents, q.open))
	q.open, q.openEvents = q.open[:0], 0
	if cap(q.open) > 2*q.cfg.batchBytes {
		q.open = nil // it held one very large event
	}
	q.order++
}

// signal wakes the exporter.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// state is what the exporter needs to know of the queue.
type state struct {
	// sealed are the batches to be sent, which the exporter now owns.
	sealed []*batch
	// open says that there is an open batch, order its number.
	open  bool
	order uint64
	// hurry says that someone began to flush.
	hurry bool
	// finished says that the queue is closed and all events are released.
	finished bool
}

// take hands over what is sealed.
func (q *queue) take() state {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := state{
		sealed: q.sealed, open: q.openEvents > 0, order: q.order,
		hurry: q.hurry, finished: q.closed && q.events == 0,
	}
	q.sealed, q.hurry = nil, false
	return s
}

// sealOrder closes the open batch if it is still the one with that number.
func (q *queue) sealOrder(order uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.order == order {
		q.seal()
	}
}

// release makes room: events of the batch with that order are done with.
func (q *queue) release(order uint64, events, bytes int) {
	if events == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events -= events
	q.bytes -= bytes
	q.flushes = slices.DeleteFunc(q.flushes, func(f *flush) bool {
		if order >= f.before {
			return false
		}
		if f.left -= events; f.left > 0 {
			return false
		}
		close(f.done)
		return true
	})
	q.room.Broadcast()
}

// flush seals the open batch and returns what waits for everything in the queue. Its
// done is closed already when there is nothing.
func (q *queue) flush() *flush {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.flushLocked()
}

// close lets no further events in, and flushes.
func (q *queue) close() *flush {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.room.Broadcast()
	return q.flushLocked()
}

func (q *queue) flushLocked() *flush {
	q.seal()
	q.hurry = true
	q.signal()
	f := &flush{before: q.order, left: q.events, done: make(chan struct{})}
	if f.left == 0 {
		close(f.done)
		return f
	}
	q.flushes = append(q.flushes, f)
	return f
}

// abandon closes the queue and drops what is in it.
func (q *queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.counters.dropped.Add(uint64(q.events))
	q.events, q.bytes, q.openEvents = 0, 0, 0
	q.open, q.sealed = nil, nil
	for _, f := range q.flushes {
		f.lost = f.left
		close(f.done)
	}
	q.flushes = nil
	q.room.Broadcast()
}

// queued returns how many events are held.
func (q *queue) queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events
}
