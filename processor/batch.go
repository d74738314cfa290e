package processor

import (
	"fmt"
	"sync"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/processor/signal"
)

// batch is the records that are written together, with their rows. The rows' strings
// are the records' memory, which the batch holds until reset.
type batch struct {
	records []*eventlog.Message
	bytes   int
	rows    signal.Batch
	// letters are events that have no rows.
	letters []letter
	decoder decoder

	mu sync.Mutex
	// kept are the records that must not be acknowledged: some event is neither stored
	// nor set aside. Guarded by mu.
	kept map[*eventlog.Message]bool
}

// letter is events of one batch of a record that cannot be stored for one reason.
type letter struct {
	record *eventlog.Message
	source *source
	table  string // that refused them, empty when they have no rows
	reason string
	wires  [][]byte
}

// add takes a record's events over and returns how many there are, and how many of them
// added no row because earlier ones had begun all of theirs.
func (b *batch) add(record *eventlog.Message) (events, merged uint64) {
	b.records = append(b.records, record)
	b.bytes += len(record.Data())
	for event, err := range eventsOf(record.Data()) {
		events++
		rows := b.rows.Rows()
		if err == nil {
			err = b.decoder.add(&b.rows, event)
		}
		switch {
		case err != nil:
			b.refuse(record, event, err.Error())
		case b.rows.Rows() == rows:
			merged++
		}
	}
	return events, merged
}

// refuse notes an event that cannot be stored. Events that follow each other with the
// same reason make one letter.
func (b *batch) refuse(record *eventlog.Message, event rawEvent, reason string) {
	if n := len(b.letters); n > 0 {
		last := &b.letters[n-1]
		if last.source == event.source && last.reason == reason {
			last.wires = append(last.wires, event.wire)
			return
		}
	}
	b.letters = append(b.letters, letter{record: record, source: event.source, reason: reason, wires: [][]byte{event.wire}})
}

// keep marks a record that must come again. It may be called concurrently.
func (b *batch) keep(record *eventlog.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil {
		b.kept = map[*eventlog.Message]bool{}
	}
	b.kept[record] = true
}

// inProgress keeps the records from coming again. A record that comes again all the
// same is stored twice, which changes nothing.
func (b *batch) inProgress() {
	for _, record := range b.records {
		_ = record.InProgress()
	}
}

// finish acknowledges the records, but gives those back that have to be kept. It
// returns the last error; such records come again.
func (b *batch) finish(again time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed error
	for _, record := range b.records {
		answer := record.Ack
		if b.kept[record] {
			answer = func() error { return record.Nak(again) }
		}
		if err := answer(); err != nil {
			failed = err
		}
	}
	return failed
}

// giveBack makes all records come again.
func (b *batch) giveBack(after time.Duration) error {
	var failed error
	for _, record := range b.records {
		if err := record.Nak(after); err != nil {
			failed = err
		}
	}
	return failed
}

// reset empties the batch and keeps its buffers.
func (b *batch) reset() {
	clear(b.records)
	b.records = b.records[:0]
	clear(b.letters)
	b.letters = b.letters[:0]
	b.bytes, b.kept = 0, nil
	b.rows.Reset()
}

// decoder turns wire bytes into rows with one event that it uses again and again.
type decoder struct{ event flywheelv1.Event }

// add decodes an event and combines it into rows, whose strings are then the event's
// bytes. An error says why the event cannot be stored.
func (d *decoder) add(rows *signal.Batch, event rawEvent) error {
	d.release()
	if err := d.event.UnmarshalVTUnsafe(event.wire); err != nil {
		return fmt.Errorf("the event cannot be decoded: %w", err)
	}
	return rows.Add(event.source.tenant, &d.event)
}

// release returns the parts of the last event to their pools. Those would keep byte
// fields as buffers to write into: here they are a record's bytes, so they are
// taken out first.
func (d *decoder) release() {
	switch p := d.event.Payload.(type) {
	case *flywheelv1.Event_Ended:
		p.Ended.SupersededBy = nil
	case *flywheelv1.Event_SessionStarted:
		p.SessionStarted.ParentSessionId = nil
	}
	d.event.ResetVT()
}
