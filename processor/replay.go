package processor

import (
	"context"
	"fmt"

	"github.com/yirifi/flywheel/internal/eventlog"
)

// Replay stores the events of records again that the log still holds, beside running
// processors, which it leaves alone. Rows merge idempotently, so what is there already
// stays as it is; what is missing comes back; and the settlers count every minute
// again that has an event in r.
//
// After each batch, stored is called with what is left of r: a later Replay may go on
// there. When Replay returns nil, everything is stored or, if it can never be, among
// the dead letters. Failures of ClickHouse are outlasted; Replay ends early when ctx
// ends, with its error, or when the log cannot be read or takes no dead letters.
func (p *Processor) Replay(ctx context.Context, r eventlog.Range, stored func(left eventlog.Range)) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	l := newLane(p, r.Lane)
	records := make(chan *eventlog.Message)
	go func() {
		defer close(records)
		for record, err := range p.log.Read(ctx, r) {
			if err != nil {
				fail(err)
				return
			}
			select {
			case records <- record:
			case <-ctx.Done():
				return
			}
		}
	}()
	left := r
	l.process(records, func(b *batch) {
		if ctx.Err() != nil {
			return
		}
		if err := l.writer.storeAgain(ctx, b); err != nil {
			fail(err)
			return
		}
		left.First = b.records[len(b.records)-1].Sequence() + 1
		stored(left)
	})
	if ctx.Err() != nil {
		return fmt.Errorf("process lane %s again: %w", r.Lane, context.Cause(ctx))
	}
	if left.First < r.End { // the log no longer holds the last records
		left.First = r.End
		stored(left)
	}
	return nil
}

// storeAgain stores a batch whose records nobody has to answer.
func (w *writer) storeAgain(ctx context.Context, b *batch) error {
	if err := w.store(ctx, b); err != nil {
		return err
	}
	w.p.stats.flushes.Add(1)
	if len(b.kept) > 0 {
		return fmt.Errorf("%d records have events that cannot be stored, and the log takes no dead letters", len(b.kept))
	}
	return nil
}
