package processor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
)

// writer stores the batches of a lane, one at a time.
type writer struct {
	p       *Processor
	which   eventlog.Lane
	log     *slog.Logger
	sinks   []sink
	touches *warehouse.Touches
}

// sink is a table that rows of batches go to.
type sink struct {
	table string
	// fill makes columns of the table's rows in a batch. They are valid until empty.
	fill  func(*signal.Batch) warehouse.Columns
	empty func()
}

func newSink[R any](table string, columns *warehouse.Table[R], rows func(*signal.Batch) []R) sink {
	return sink{
		table: table,
		fill: func(b *signal.Batch) warehouse.Columns {
			columns.Append(rows(b))
			return columns
		},
		empty: columns.Reset,
	}
}

func newWriter(p *Processor, which eventlog.Lane, log *slog.Logger) *writer {
	return &writer{p: p, which: which, log: log, sinks: newSinks(), touches: warehouse.NewTouches()}
}

// newSinks returns a sink for each table that rows of batches go to.
func newSinks() []sink {
	return []sink{
		newSink("interactions", warehouse.NewInteractions(), func(b *signal.Batch) []warehouse.Interaction { return b.Interactions }),
		newSink("opportunities", warehouse.NewOpportunities(), func(b *signal.Batch) []warehouse.Opportunity { return b.Opportunities }),
		newSink("content", warehouse.NewContent(), func(b *signal.Batch) []warehouse.Text { return b.Content }),
		newSink("edits", warehouse.NewEdits(), func(b *signal.Batch) []warehouse.Edit { return b.Edits }),
		newSink("steps", warehouse.NewSteps(), func(b *signal.Batch) []warehouse.Step { return b.Steps }),
	}
}

// write stores a batch and acknowledges its records. It goes on trying until ctx
// ends; then it gives the records back.
func (w *writer) write(ctx context.Context, b *batch) {
	stop := w.stayAlive(b)
	spanned, span := w.beginSpan(ctx, b)
	err := w.store(spanned, b)
	endSpan(span, err)
	stop()
	if err != nil {
		again := w.p.cfg.RetryMax
		if ctx.Err() != nil {
			again = 0 // for whoever is next
		}
		w.log.WarnContext(ctx, "gave records back to the event log", slog.Int("records", len(b.records)), slog.Any("error", err))
		if err := b.giveBack(again); err != nil {
			w.log.WarnContext(ctx, "cannot give records back to the event log, they come again later", slog.Any("error", err))
		}
		return
	}
	w.p.stats.flushes.Add(1)
	if err := b.finish(w.p.cfg.RetryMax); err != nil {
		w.log.WarnContext(ctx, "cannot acknowledge records, they come again", slog.Any("error", err))
	}
}

// stayAlive gives signs of life of a batch's records until stop is called.
func (w *writer) stayAlive(b *batch) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(signOfLife)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				b.inProgress()
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}

// store stores the rows of a batch and sets aside what cannot be stored. The touches
// come last: a settler that sees one must find the rows (docs/adr/002).
func (w *writer) store(ctx context.Context, b *batch) error {
	var group errgroup.Group
	for _, s := range w.sinks {
		group.Go(func() error { return w.storeTable(ctx, s, b) })
	}
	group.Go(func() error {
		for _, l := range b.letters {
			w.setAside(ctx, b, l)
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return w.touch(ctx, &b.rows)
}

// storeTable inserts the rows of one table, all but those that ClickHouse refuses.
func (w *writer) storeTable(ctx context.Context, s sink, b *batch) error {
	err := w.insert(ctx, s, &b.rows)
	if warehouse.Permanent(err) {
		return w.isolate(ctx, s, b, err)
	}
	return err
}

// insert inserts the rows of one table in one block, as often as it takes.
func (w *writer) insert(ctx context.Context, s sink, rows *signal.Batch) error {
	columns := s.fill(rows)
	defer s.empty()
	if err := w.insertColumns(ctx, s.table, columns); err != nil {
		return err
	}
	w.p.stats.rows[s.table].Add(uint64(columns.Len()))
	return nil
}

// insertColumns inserts columns into a table, as often as it takes.
func (w *writer) insertColumns(ctx context.Context, table string, columns warehouse.Columns) error {
	return w.p.retry(ctx, func() error {
		ctx, span := w.beginInsertSpan(ctx, table, columns)
		began := time.Now()
		err := w.p.db.Insert(ctx, table, columns)
		endSpan(span, err)
		if err == nil && columns.Len() > 0 && w.p.cfg.Inserted != nil {
			w.p.cfg.Inserted(table, time.Since(began))
		}
		return err
	})
}

// touch notes the minutes of the interactions and opportunities that were stored.
func (w *writer) touch(ctx context.Context, rows *signal.Batch) error {
	w.touches.Append(touchesOf(rows, time.Now()))
	defer w.touches.Reset()
	return w.insertColumns(ctx, "bucket_touches", w.touches)
}

// touchesOf are the minutes of rows, each once.
func touchesOf(rows *signal.Batch, now time.Time) []warehouse.Touch {
	type bucket struct {
		tenant string
		minute int64
	}
	var touches []warehouse.Touch
	seen := map[bucket]bool{}
	var last bucket
	note := func(tenant string, startedMs int64) {
		b := bucket{tenant, startedMs / time.Minute.Milliseconds()}
		if b == last || seen[b] {
			return
		}
		seen[b], last = true, b
		at := time.UnixMilli(b.minute * time.Minute.Milliseconds())
		touches = append(touches, warehouse.Touch{Tenant: tenant, Bucket: at, Touches: 1, TouchedAt: now})
	}
	for i := range rows.Interactions {
		note(rows.Interactions[i].Tenant, warehouse.MillisOf(rows.Interactions[i].ID))
	}
	for i := range rows.Opportunities {
		note(rows.Opportunities[i].Tenant, warehouse.MillisOf(rows.Opportunities[i].ID))
	}
	return touches
}
