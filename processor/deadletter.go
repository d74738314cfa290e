package processor

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
)

const (
	// setAsidePatience is how long a batch waits for the dead-letter stream.
	setAsidePatience = 2 * time.Second
	// maxReason is the largest length of a dead letter's reason.
	maxReason = 1000
)

// suspect is an event that may be one that ClickHouse refuses.
type suspect struct {
	rawEvent
	record *eventlog.Message
}

// isolate stores the rows of one table event by event as far as it has to: it halves
// a refused batch until what is refused stands alone, and sets that aside. One bad
// event among n costs about 2 log2(n) inserts, and every other event is stored.
func (w *writer) isolate(ctx context.Context, s sink, b *batch, cause error) error {
	return w.halve(ctx, s, b, w.suspects(s, b), cause)
}

// suspects are a batch's events that have rows in a table.
func (w *writer) suspects(s sink, b *batch) []suspect {
	var all []suspect
	var rows signal.Batch
	var decode decoder
	for _, record := range b.records {
		for event, err := range eventsOf(record.Data()) {
			if err != nil || decode.add(&rows, event) != nil {
				continue
			}
			if s.fill(&rows).Len() > 0 {
				all = append(all, suspect{event, record})
			}
			s.empty()
			rows.Reset()
		}
	}
	return all
}

// halve isolates the events of a refused insert, whose error is cause.
func (w *writer) halve(ctx context.Context, s sink, b *batch, refused []suspect, cause error) error {
	if len(refused) == 1 {
		one := refused[0]
		w.setAside(ctx, b, letter{record: one.record, source: one.source, table: s.table, reason: cause.Error(), wires: [][]byte{one.wire}})
		return nil
	}
	middle := len(refused) / 2
	for _, half := range [2][]suspect{refused[:middle], refused[middle:]} {
		err := w.insertEvents(ctx, s, half)
		if warehouse.Permanent(err) {
			err = w.halve(ctx, s, b, half, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) insertEvents(ctx context.Context, s sink, events []suspect) error {
	var rows signal.Batch
	var decode decoder
	for _, event := range events {
		if err := decode.add(&rows, event.rawEvent); err != nil {
			return err
		}
	}
	return w.insert(ctx, s, &rows)
}

// setAside makes dead letters. When the log does not take them for some time, the
// record is kept: it comes again later, and holds nothing else up meanwhile.
func (w *writer) setAside(ctx context.Context, b *batch, l letter) {
	dead := eventlog.DeadLetter{
		Lane:     w.which,
		Shard:    l.record.Shard(),
		Sequence: l.record.Sequence(),
		Tenant:   l.source.tenant,
		Reason:   oneLine(l.reason),
		Table:    l.table,
		Batch:    appendBatch(nil, l.source, l.wires...),
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, w.p.log.DeadLetter(ctx, dead)
	}, backoff.WithMaxElapsedTime(setAsidePatience))
	attributes := []any{
		slog.String("tenant", dead.Tenant), slog.Int("shard", dead.Shard), slog.Uint64("sequence", dead.Sequence), slog.Int("events", len(l.wires)),
	}
	if err != nil {
		b.keep(l.record)
		w.log.ErrorContext(ctx, "cannot set events aside that cannot be stored: their record comes again", append(attributes, slog.Any("error", err))...)
		return
	}
	w.p.stats.deadLettered.Add(uint64(len(l.wires)))
	w.log.WarnContext(ctx, "set events aside that cannot be stored: see the dead letters", attributes...)
}

// oneLine makes a reason fit into a header.
func oneLine(reason string) string {
	reason = strings.Join(strings.Fields(reason), " ")
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	return reason
}
