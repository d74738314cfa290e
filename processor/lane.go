package processor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
)

const (
	// signOfLife is how often the log is told that a record is being worked on: a few
	// times within the minute after which it would give the record to others.
	signOfLife = 20 * time.Second
	// consumeAgain is the pause before a lane is opened again after a failure.
	consumeAgain = time.Second
)

// lane processes one lane of the log: one goroutine fetches records, one fills a
// batch with them, and one writes the batch before it. Two batches go round.
type lane struct {
	p      *Processor
	which  eventlog.Lane
	writer *writer
	log    *slog.Logger
	stats  *laneCounters
}

func newLane(p *Processor, which eventlog.Lane) *lane {
	log := p.slog.With(slog.String("lane", which.String()))
	return &lane{p: p, which: which, writer: newWriter(p, which, log), log: log, stats: &p.stats.lanes[which]}
}

// run processes until reading ends and everything fetched is written or given back.
// Writing ends later than reading.
func (l *lane) run(reading, writing context.Context) {
	records := make(chan *eventlog.Message)
	var fetching sync.WaitGroup
	fetching.Go(func() { l.fetch(reading, records) })
	l.process(records, func(b *batch) { l.writer.write(writing, b) })
	fetching.Wait()
}

// process makes batches of records and calls write with one after the other, until
// there are no more records and every batch is written.
func (l *lane) process(records <-chan *eventlog.Message, write func(*batch)) {
	ready, free := make(chan *batch), make(chan *batch, 2)
	free <- &batch{}
	var writing sync.WaitGroup
	writing.Go(func() {
		for b := range ready {
			write(b)
			l.stats.leave(b)
			b.reset()
			free <- b
		}
	})
	l.fill(records, ready, free)
	close(ready)
	writing.Wait()
}

// fill fills batches with records until there are no more. A batch is handed on when
// it is full, or when it is old enough and the writer is idle: so batches grow with
// the load, and a full one waits.
func (l *lane) fill(records <-chan *eventlog.Message, ready chan<- *batch, free <-chan *batch) {
	b := &batch{}
	due := false
	age := time.NewTimer(0)
	age.Stop()
	alive := time.NewTicker(signOfLife)
	defer alive.Stop()
	for {
		in, out := records, ready
		full := b.bytes >= l.p.cfg.MaxBytes || b.rows.Rows() >= l.p.cfg.MaxRows
		if full {
			in = nil
		}
		if !full && !due {
			out = nil
		}
		select {
		case record, more := <-in:
			if !more {
				if len(b.records) > 0 {
					ready <- b
				}
				return
			}
			if len(b.records) == 0 {
				age.Reset(l.p.cfg.MaxDelay)
			}
			events, merged := b.add(record)
			l.stats.take(record, events, merged)
		case out <- b:
			age.Stop()
			// The writer gave the other one back before it took this one.
			b, due = <-free, false
		case <-age.C:
			due = true
		case <-alive.C:
			b.inProgress()
		}
	}
}

// fetch passes records on until ctx ends, and then closes the channel.
func (l *lane) fetch(ctx context.Context, records chan<- *eventlog.Message) {
	defer close(records)
	for {
		err := l.consume(ctx, records)
		if ctx.Err() != nil {
			return
		}
		l.log.WarnContext(ctx, "cannot read the event log, will try again", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(consumeAgain):
		}
	}
}

// consume passes records on until something fails or ctx ends.
func (l *lane) consume(ctx context.Context, records chan<- *eventlog.Message) error {
	consumer, err := l.p.log.Consume(ctx, l.which)
	if err != nil {
		return err
	}
	defer consumer.Close()
	for {
		record, err := consumer.Next(ctx)
		if err != nil {
			return err
		}
		select {
		case records <- record:
		case <-ctx.Done():
			return record.Nak(0)
		}
	}
}
