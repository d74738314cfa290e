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

// stallCheck is how long a confirmation may take before the embedded server is asked
// whether it still stores: on a write error it answers nothing.
const stallCheck = time.Second

// Publish stores a record and returns nil when the log has confirmed that it is
// stored; the embedded log confirms after it has synced the record to disk.
//
// [ErrFull] and [ErrTooLarge] say that the record was not stored. [ErrUnavailable],
// also when ctx ends early or the connection is lost, leaves that open: publish the
// record again, a duplicate does no harm.
//
// The record belongs to the caller again as soon as Publish returns, whatever it
// returns. A sampled span of ctx is stored with the record (see [Message.Span]). Calls
// are pipelined: several at once share the connection, and their records may be stored
// in any order.
func (l *Log) Publish(ctx context.Context, lane Lane, record []byte) error {
	of, err := l.laneShards(lane)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	header := spanHeader(ctx)
	err = l.spread(of, func(s *stream) error {
		return l.publish(ctx, s, &nats.Msg{Subject: s.subject, Header: header, Data: record})
	})
	if err != nil {
		return fmt.Errorf("publish to lane %s: %w", lane, err)
	}
	return nil
}

func (l *Log) publish(ctx context.Context, s *stream, msg *nats.Msg) error {
	if most := l.MaxRecordBytes(); len(msg.Data) > most {
		return fmt.Errorf("%w: %d bytes, at most %d are possible", ErrTooLarge, len(msg.Data), most)
	}
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	if err := s.refuses(); err != nil {
		l.busy.Store(true)
		return err
	}
	weight := min(int64(len(msg.Data))+1, l.cfg.InFlightBytes)
	if err := s.room.Acquire(ctx, weight); err != nil {
		return unavailable(err)
	}
	defer s.room.Release(weight)
	if err := l.admit(s); err != nil {
		return err
	}
	return l.store(ctx, s, msg)
}

// store sends a record and waits until it is stored, keeping the meters.
func (l *Log) store(ctx context.Context, s *stream, msg *nats.Msg) (err error) {
	size := int64(len(msg.Data)) + recordOverhead
	meters := []*meter{&s.used, &l.disk.used}
	for _, m := range meters {
		m.begin(size)
	}
	defer func() {
		for _, m := range meters {
			m.end(size, errors.Is(err, ErrFull))
		}
	}()
	// The client copies the message before it returns. It would send it again when
	// nobody listens, after we have given the record back: so it must not try again.
	confirmation, err := l.publishing.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return unavailable(err)
	}
	return l.await(ctx, s, confirmation)
}

// await waits for the confirmation of a message.
func (l *Log) await(ctx context.Context, s *stream, confirmation jetstream.PubAckFuture) error {
	stored, refused := confirmation.Ok(), confirmation.Err()
	stall := time.NewTicker(stallCheck)
	defer stall.Stop()
	for {
		select {
		case <-stored:
			return nil
		case err := <-refused:
			return refusal(err)
		case <-ctx.Done():
			return unavailable(ctx.Err())
		case <-stall.C:
			if err := l.checkStopped(s); err != nil {
				return err
			}
		}
	}
}

// checkStopped returns an error when the embedded server has given up storing into
// the stream, and keeps it for those who publish next. What the owner of an embedded
// log elsewhere says is asked for by [Log.look].
func (l *Log) checkStopped(s *stream) error {
	if l.server == nil {
		l.busy.Store(true)
		return s.refuses()
	}
	lasting, cause := l.server.health(s.name)
	if cause == nil || !lasting {
		s.stopped.Store(nil)
		return nil
	}
	err := refusal(fmt.Errorf("the log in %s cannot store: %w: free space there, it goes on by itself when the disk takes writes", l.cfg.Dir, cause))
	if s.stopped.CompareAndSwap(nil, &err) {
		l.log.Error("the event log cannot store and refuses records: free space on the disk of its folder, it goes on by itself",
			slog.String("stream", s.name), slog.String("folder", l.cfg.Dir), slog.Any("error", cause))
	}
	return err
}
