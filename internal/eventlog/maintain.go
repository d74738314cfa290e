package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// expiryWarning is how often at most a lane warns of records about to expire.
const expiryWarning = 10 * time.Minute

// purgeParts is the part of a stream's size that is removed at once.
const purgeParts = 128

// floorPoll is the pause between looks at a consumer that was reset.
const floorPoll = 10 * time.Millisecond

// Pending is the number of records in a lane that processors have not acknowledged.
// Records whose Publish has returned are counted; records whose Ack by this process
// has returned are not.
func (l *Log) Pending(ctx context.Context, lane Lane) (uint64, error) {
	of, err := l.laneShards(lane)
	if err != nil {
		return 0, fmt.Errorf("count pending records: %w", err)
	}
	ctx, cancel := request(ctx)
	defer cancel()
	if err := l.discover(ctx); err != nil {
		return 0, fmt.Errorf("count pending records: %w", err)
	}
	var pending uint64
	for _, s := range of.all() {
		n, err := l.pending(ctx, s)
		if err != nil {
			return 0, fmt.Errorf("count pending records of %s: %w", s.name, err)
		}
		pending += n
	}
	return pending, nil
}

func (l *Log) pending(ctx context.Context, s *stream) (uint64, error) {
	if err := l.settleAcks(ctx, s); err != nil {
		return 0, err
	}
	// The server's own count of pending records lags behind a publish; sequences do
	// not. The stream comes first: what is stored or delivered in between is counted
	// rather too often than not at all.
	_, stored, err := l.streamInfo(ctx, s)
	if err != nil {
		return 0, err
	}
	consumed, err := l.consumerInfo(ctx, s)
	if err != nil {
		return 0, err
	}
	pending := uint64(max(consumed.NumAckPending, 0))
	first := max(consumed.Delivered.Stream+1, stored.State.FirstSeq)
	if last := stored.State.LastSeq; last >= first {
		pending += last - first + 1
	}
	return pending, nil
}

// settleAcks returns when the server has processed the acknowledgements sent so far.
// It processes a consumer's in order, and answers a note of progress: so it is told
// once more of the last record acknowledged, to which such a note means nothing.
func (l *Log) settleAcks(ctx context.Context, s *stream) error {
	reply := s.acked.Swap(nil)
	if reply == nil {
		return nil
	}
	_, err := l.consuming.nc.RequestWithContext(ctx, *reply, []byte("+WPI"))
	if err != nil && !errors.Is(err, nats.ErrNoResponders) {
		return unavailable(err)
	}
	return nil
}

// Rewind makes the log deliver again what was stored within the last d, acknowledged
// or not, after all that was never acknowledged. Nothing is skipped by it; a lane that
// stored nothing in that time is left alone. Call it when no processor of the lane
// consumes or has just ended, as at a start: answers to earlier deliveries, and
// requests that the server still holds, would count for the new ones.
func (l *Log) Rewind(ctx context.Context, d time.Duration) error {
	since := time.Now().Add(-d)
	if err := l.discover(ctx); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	for _, s := range l.laneStreams() {
		if err := l.rewind(ctx, s, since); err != nil {
			return fmt.Errorf("rewind %s: %w", s.name, err)
		}
	}
	return nil
}

func (l *Log) rewind(ctx context.Context, s *stream, since time.Time) error {
	ctx, cancel := request(ctx)
	defer cancel()
	_, stored, err := l.streamInfo(ctx, s)
	if err != nil {
		return err
	}
	first, err := l.firstSince(ctx, s, since)
	if err != nil || first > stored.State.LastSeq {
		return err
	}
	consumed, err := l.consumerInfo(ctx, s)
	if err != nil {
		return err
	}
	from := min(first, consumed.AckFloor.Stream+1)
	if _, err := l.consuming.js.ResetConsumerToSequence(ctx, s.name, durable, from); err != nil {
		return fmt.Errorf("reset consumer to record %d: %w", from, unavailable(err))
	}
	if err := l.awaitFloor(ctx, s, from); err != nil {
		return err
	}
	l.log.Info("event log rewound", slog.String("stream", s.name),
		slog.Uint64("from", from), slog.Uint64("to", stored.State.LastSeq))
	return nil
}

// awaitFloor returns when the server no longer takes records from one on for
// acknowledged, so that a Trim that follows cannot remove them.
func (l *Log) awaitFloor(ctx context.Context, s *stream, from uint64) error {
	for {
		consumed, err := l.consumerInfo(ctx, s)
		if err != nil || consumed.AckFloor.Stream < from {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the consumer to be at record %d: %w", from, unavailable(ctx.Err()))
		case <-time.After(floorPoll):
		}
	}
}

// Trim makes room: of each lane that is more than half full, and of both when the disk
// of the embedded log is below its reserve, it removes the records that are
// acknowledged, as are all before them, and older than [Config.KeepProcessed]. It
// removes nothing else. Processors call it every few seconds; several at once do no
// harm.
//
// It also warns when records that nobody has acknowledged approach
// [StreamLimits.MaxAge].
func (l *Log) Trim(ctx context.Context) error {
	errs := []error{l.discover(ctx), l.lookAtDisk(ctx)}
	for _, s := range l.laneStreams() {
		if err := l.trim(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("trim %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

func (l *Log) trim(ctx context.Context, s *stream) error {
	handle, stored, end, err := l.spent(ctx, s)
	if err != nil || end == 0 {
		return err
	}
	state, limit := stored.State, uint64(max(stored.Config.MaxBytes, 0))
	// A part at a time: the server reads what it removes, and stores nothing meanwhile.
	step := max(state.Msgs*(limit/purgeParts)/max(state.Bytes, 1), 1)
	for from := state.FirstSeq; from < end; from += step {
		if err := l.purge(ctx, handle, min(from+step, end)); err != nil {
			return err
		}
	}
	if end > state.FirstSeq {
		l.log.Debug("event log trimmed", slog.String("stream", s.name),
			slog.Uint64("from", state.FirstSeq), slog.Uint64("to", end-1))
	}
	return nil
}

func (l *Log) purge(ctx context.Context, handle jetstream.Stream, end uint64) error {
	ctx, cancel := request(ctx)
	defer cancel()
	if err := handle.Purge(ctx, jetstream.WithPurgeSequence(end)); err != nil {
		return fmt.Errorf("purge before record %d: %w", end, unavailable(err))
	}
	return nil
}

// spent returns the first record of a stream that must stay, 0 when all must.
func (l *Log) spent(ctx context.Context, s *stream) (handle jetstream.Stream, stored *jetstream.StreamInfo, end uint64, err error) {
	ctx, cancel := request(ctx)
	defer cancel()
	handle, stored, err = l.streamInfo(ctx, s)
	if err != nil || stored.State.Msgs == 0 {
		return handle, stored, 0, err
	}
	consumed, err := l.consumerInfo(ctx, s)
	if err != nil {
		return handle, stored, 0, err
	}
	end = consumed.AckFloor.Stream + 1
	if end <= stored.State.FirstSeq {
		l.warnExpiring(s, stored)
		return handle, stored, 0, nil
	}
	if stored.State.Bytes <= uint64(stored.Config.MaxBytes)/2 && !l.disk.low() {
		return handle, stored, 0, nil
	}
	young, err := l.firstSince(ctx, s, time.Now().Add(-l.cfg.KeepProcessed))
	return handle, stored, min(end, young), err
}

// warnExpiring warns when the oldest record of a stream, which is not acknowledged,
// has lived three quarters of its time.
func (l *Log) warnExpiring(s *stream, stored *jetstream.StreamInfo) {
	now := time.Now()
	left := s.limits.MaxAge - now.Sub(stored.State.FirstTime)
	last := s.warned.Load()
	if left > s.limits.MaxAge/4 || now.Sub(time.Unix(0, last)) < expiryWarning || !s.warned.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	l.log.Warn("unprocessed events will soon be too old for the event log",
		slog.String("stream", s.name), slog.Duration("left", left), slog.Duration("maxAge", s.limits.MaxAge))
}

// firstSince returns the number of the first record stored at or after t, or the
// number of the next record when there is none. The server answers from its index:
// a short-lived consumer starts there.
func (l *Log) firstSince(ctx context.Context, s *stream, t time.Time) (uint64, error) {
	probe, err := l.consuming.js.CreateConsumer(ctx, s.name, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartTimePolicy,
		OptStartTime:      &t,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: requestTimeout,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return 0, fmt.Errorf("find first record since %s: %w", t.Format(time.RFC3339), unavailable(err))
	}
	info := probe.CachedInfo()
	if err := l.consuming.js.DeleteConsumer(ctx, s.name, info.Name); err != nil {
		return 0, fmt.Errorf("find first record since %s: %w", t.Format(time.RFC3339), unavailable(err))
	}
	return info.Delivered.Stream + 1, nil
}
