package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// readPatience is how long Read waits for a record before it asks whether there is
// one.
const readPatience = 2 * time.Second

// Range is the records of one shard of a lane with the sequences from First up to, but
// not including, End.
type Range struct {
	Lane  Lane   `json:"lane"`
	Shard int    `json:"shard,omitempty"`
	First uint64 `json:"first"`
	End   uint64 `json:"end"`
}

// Records is how many sequences are in the range.
func (r Range) Records() uint64 {
	if r.End <= r.First {
		return 0
	}
	return r.End - r.First
}

// Ranges finds the records of a lane, shard by shard, that were stored from one time on
// and before another. A zero from is the first record that the log holds, a zero to is
// now.
func (l *Log) Ranges(ctx context.Context, lane Lane, from, to time.Time) ([]Range, error) {
	of, err := l.laneShards(lane)
	if err != nil {
		return nil, fmt.Errorf("find records: %w", err)
	}
	if err := l.discover(ctx); err != nil {
		return nil, fmt.Errorf("find records: %w", err)
	}
	var ranges []Range
	for _, s := range of.all() {
		r, err := l.rangeOf(ctx, s, from, to)
		if err != nil {
			return nil, fmt.Errorf("find records of %s: %w", s.name, err)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

func (l *Log) rangeOf(ctx context.Context, s *stream, from, to time.Time) (Range, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	_, stored, err := l.streamInfo(ctx, s)
	if err != nil {
		return Range{}, err
	}
	r := Range{Lane: s.lane, Shard: s.shard, First: max(stored.State.FirstSeq, 1), End: stored.State.LastSeq + 1}
	if !from.IsZero() {
		if r.First, err = l.firstSince(ctx, s, from); err != nil {
			return Range{}, err
		}
	}
	if !to.IsZero() {
		end, err := l.firstSince(ctx, s, to)
		if err != nil {
			return Range{}, err
		}
		r.End = min(r.End, end)
	}
	r.End = max(r.End, r.First)
	return r, nil
}

// Read yields the records of a range in their order, whether processors have
// acknowledged them or not, and changes nothing for processors. Their answers
// ([Message.Ack] and so on) mean nothing. Records that the log no longer holds are
// left out with a warning. It outlasts failures of the connection; any other error
// ends the iteration, as does the end of ctx with its error.
func (l *Log) Read(ctx context.Context, r Range) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		if err := l.read(ctx, r, yield); err != nil {
			yield(nil, fmt.Errorf("read lane %s: %w", r.Lane, err))
		}
	}
}

// read returns nil when the range is at its end or yield wants no more.
func (l *Log) read(ctx context.Context, r Range, yield func(*Message, error) bool) error {
	s, err := l.shardOf(r.Lane, r.Shard)
	if err != nil || r.Records() == 0 {
		return err
	}
	consumer, err := l.consuming.js.OrderedConsumer(ctx, s.name, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   r.First,
	})
	if err != nil {
		return unavailable(err)
	}
	iterator, err := consumer.Messages(jetstream.PullMaxBytes(l.cfg.PrefetchBytes),
		jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return unavailable(err)
	}
	defer iterator.Stop()
	for due := r.First; due < r.End; {
		m, err := l.nextOf(ctx, s, iterator, r)
		if err != nil {
			return err
		}
		if m == nil || m.sequence >= r.End {
			l.warnGone(s, due, r.End)
			return nil
		}
		l.warnGone(s, due, m.sequence)
		due = m.sequence + 1
		if !yield(m, nil) {
			return nil
		}
	}
	return nil
}

// nextOf returns the next record, or nil when the log no longer holds any of r.
func (l *Log) nextOf(ctx context.Context, s *stream, iterator jetstream.MessagesContext, r Range) (*Message, error) {
	for {
		waiting, cancel := context.WithTimeout(ctx, readPatience)
		msg, err := iterator.Next(jetstream.NextContext(waiting))
		cancel()
		if err == nil {
			return newMessage(msg, s)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return nil, unavailable(err)
		}
		_, stored, err := l.streamInfo(ctx, s)
		if err == nil && (stored.State.Msgs == 0 || stored.State.FirstSeq >= r.End) {
			return nil, nil
		}
	}
}

// warnGone warns of records between the one that was due and the next one there is.
func (l *Log) warnGone(s *stream, due, next uint64) {
	if next > due {
		l.log.Warn("event log no longer holds records that were to be read",
			slog.String("stream", s.name), slog.Uint64("from", due), slog.Uint64("to", next-1))
	}
}
