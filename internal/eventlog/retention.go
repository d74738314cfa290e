package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// floor says that by then everything up to a sequence was processed.
type floor struct {
	at       time.Time
	sequence uint64
}

// Pending is the number of records of a lane that are not acknowledged by the
// processors.
func (l *Log) Pending(ctx context.Context, lane Lane) (uint64, error) {
	info, err := l.consumerInfo(ctx, lane)
	if err != nil {
		return 0, err
	}
	return info.NumPending + uint64(info.NumAckPending), nil
}

func (l *Log) consumerInfo(ctx context.Context, lane Lane) (*jetstream.ConsumerInfo, error) {
	consumer, err := l.js.Consumer(ctx, stream(lane), processorConsumer)
	if err != nil {
		return nil, fmt.Errorf("look at the %s lane: %w", lane, err)
	}
	return consumer.CachedInfo(), nil
}

// Trim frees processed records of lanes that are more than half full. It is to be
// called every few seconds by whoever processes. A record is freed when Trim has seen
// it acknowledged at least KeepProcessed ago; what is not acknowledged is never freed.
func (l *Log) Trim(ctx context.Context) error {
	for _, lane := range Lanes() {
		if err := l.trim(ctx, lane); err != nil {
			return fmt.Errorf("trim the %s lane: %w", lane, err)
		}
	}
	return nil
}

func (l *Log) trim(ctx context.Context, lane Lane) error {
	info, err := l.consumerInfo(ctx, lane)
	if err != nil {
		return err
	}
	processed, due := l.processed(lane, info.AckFloor.Stream)
	if !due {
		return nil
	}
	s, err := l.js.Stream(ctx, stream(lane))
	if err != nil {
		return err
	}
	state := s.CachedInfo().State
	if state.Bytes <= uint64(l.cfg.limits(lane).MaxBytes)/2 || processed < state.FirstSeq {
		return nil
	}
	l.log.Debug("event log: freeing processed records", slog.String("lane", lane.String()), slog.Uint64("up_to", processed))
	return s.Purge(ctx, jetstream.WithPurgeSequence(processed+1))
}

// processed notes how far the lane is processed now, and returns how far it was
// KeepProcessed ago, where that is known.
func (l *Log) processed(lane Lane, now uint64) (sequence uint64, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	floors := append(l.floors[lane], floor{at: time.Now(), sequence: now})
	limit := time.Now().Add(-l.cfg.KeepProcessed)
	for len(floors) > 1 && !floors[1].at.After(limit) {
		floors = floors[1:]
	}
	l.floors[lane] = floors
	return floors[0].sequence, !floors[0].at.After(limit) && floors[0].sequence > 0
}

// Rewind makes the processors get everything again that is younger than d.
func (l *Log) Rewind(ctx context.Context, d time.Duration) error {
	since := time.Now().Add(-d)
	for _, lane := range Lanes() {
		if err := l.rewind(ctx, lane, since); err != nil {
			return fmt.Errorf("rewind the %s lane: %w", lane, err)
		}
	}
	return nil
}

func (l *Log) rewind(ctx context.Context, lane Lane, since time.Time) error {
	s, err := l.js.Stream(ctx, stream(lane))
	if err != nil {
		return err
	}
	info, err := l.consumerInfo(ctx, lane)
	if err != nil {
		return err
	}
	state := s.CachedInfo().State
	// Only what is acknowledged has to be asked for again.
	n := int(info.AckFloor.Stream) - int(state.FirstSeq) + 1
	if state.Msgs == 0 || n <= 0 {
		return nil
	}
	var searchErr error
	first := sort.Search(n, func(i int) bool {
		msg, err := s.GetMsg(ctx, state.FirstSeq+uint64(i))
		if err != nil {
			searchErr = errors.Join(searchErr, err)
			return true
		}
		return !msg.Time.Before(since)
	})
	if searchErr != nil || first == n {
		return searchErr
	}
	_, err = l.js.ResetConsumerToSequence(ctx, stream(lane), processorConsumer, state.FirstSeq+uint64(first))
	return err
}
