package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"
)

// ErrNoDeadLetter says that the log holds no dead letter of that number, or no more.
var ErrNoDeadLetter = errors.New("the log holds no such dead letter")

// recordBatches is the field of LogRecord that holds a LogBatch (log.proto).
const recordBatches = 1

// deadLetterPatience is how long a reader waits for a letter before it asks whether
// there is one.
const deadLetterPatience = 250 * time.Millisecond

// DeadLetters yields the dead letters that the log holds when the iteration begins,
// oldest first, and holds [Config.PrefetchBytes] of them in memory at most twice. An
// error ends it. Each iteration reads the log anew. Letters may be removed meanwhile;
// one that is removed before its turn may be left out.
func (l *Log) DeadLetters(ctx context.Context) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		if err := l.readDeadLetters(ctx, yield); err != nil {
			yield(DeadLetter{}, fmt.Errorf("read dead letters: %w", err))
		}
	}
}

// readDeadLetters returns nil when all are read or yield wants no more.
func (l *Log) readDeadLetters(ctx context.Context, yield func(DeadLetter, error) bool) error {
	handle, info, err := l.streamInfo(ctx, l.deadLetters)
	if err != nil || info.State.Msgs == 0 {
		return err
	}
	consumer, err := l.consuming.js.OrderedConsumer(ctx, l.deadLetters.name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return unavailable(err)
	}
	iterator, err := consumer.Messages(jetstream.PullMaxBytes(l.cfg.PrefetchBytes),
		jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return unavailable(err)
	}
	defer iterator.Stop()
	for read := info.State.FirstSeq - 1; read < info.State.LastSeq; {
		letter, err := l.nextDeadLetter(ctx, handle, iterator, read)
		if errors.Is(err, ErrNoDeadLetter) || err == nil && letter.Number > info.State.LastSeq {
			return nil
		}
		if err != nil {
			return err
		}
		if !yield(letter, nil) {
			return nil
		}
		read = letter.Number
	}
	return nil
}

// nextDeadLetter waits for the letter after the one that was read last. The end of the
// stream may be letters that were removed, for which no delivery comes: so it asks.
func (l *Log) nextDeadLetter(ctx context.Context, handle jetstream.Stream, iterator jetstream.MessagesContext, read uint64) (DeadLetter, error) {
	for {
		waiting, cancel := context.WithTimeout(ctx, deadLetterPatience)
		msg, err := iterator.Next(jetstream.NextContext(waiting))
		cancel()
		if err == nil {
			meta, err := msg.Metadata()
			if err != nil {
				return DeadLetter{}, fmt.Errorf("read metadata: %w", err)
			}
			return letterOf(meta.Sequence.Stream, msg.Headers(), msg.Data())
		}
		if ctx.Err() != nil {
			return DeadLetter{}, ctx.Err()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return DeadLetter{}, unavailable(err)
		}
		_, err = handle.GetMsg(ctx, read+1, jetstream.WithGetMsgSubject(l.deadLetters.filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return DeadLetter{}, ErrNoDeadLetter
		}
	}
}

// letterOf parses a letter and says which one it is when it cannot.
func letterOf(number uint64, header nats.Header, data []byte) (DeadLetter, error) {
	letter, err := parseDeadLetter(number, header, data)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("read dead letter %d: %w", number, err)
	}
	return letter, nil
}

// DeadLetterAt returns the dead letter of a number. [ErrNoDeadLetter] says that there is
// none.
func (l *Log) DeadLetterAt(ctx context.Context, number uint64) (DeadLetter, error) {
	handle, _, err := l.streamInfo(ctx, l.deadLetters)
	if err != nil {
		return DeadLetter{}, err
	}
	raw, err := handle.GetMsg(ctx, max(number, 1))
	if number == 0 || errors.Is(err, jetstream.ErrMsgNotFound) {
		return DeadLetter{}, fmt.Errorf("dead letter %d: %w", number, ErrNoDeadLetter)
	}
	if err != nil {
		return DeadLetter{}, fmt.Errorf("read dead letter %d: %w", number, unavailable(err))
	}
	return letterOf(raw.Sequence, raw.Header, raw.Data)
}

// RemoveDeadLetter takes a dead letter out of the log. One that is gone is no error.
func (l *Log) RemoveDeadLetter(ctx context.Context, number uint64) error {
	handle, _, err := l.streamInfo(ctx, l.deadLetters)
	if err != nil {
		return err
	}
	err = handle.DeleteMsg(ctx, number)
	if err == nil {
		return nil
	}
	if _, gone := handle.GetMsg(ctx, number); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil
	}
	return fmt.Errorf("remove dead letter %d: %w", number, unavailable(err))
}

// Requeue puts the bytes of a dead letter back into the lane that they came from, as a
// record of their own, and removes the letter once the log has confirmed that record.
// After a failure or a crash in between, both are there: its events may then be
// requeued again, and merge in ClickHouse. Events that cannot be stored this time either
// become a new dead letter. The errors are those of [Log.Publish].
func (l *Log) Requeue(ctx context.Context, d DeadLetter) error {
	if err := l.Publish(ctx, d.Lane, requeued(d)); err != nil {
		return fmt.Errorf("requeue dead letter %d: %w", d.Number, err)
	}
	return l.RemoveDeadLetter(ctx, d.Number)
}

// requeued is the LogRecord that holds a dead letter's batch.
func requeued(d DeadLetter) []byte {
	record := make([]byte, 0, protowire.SizeTag(recordBatches)+protowire.SizeBytes(len(d.Batch)))
	record = protowire.AppendTag(record, recordBatches, protowire.BytesType)
	return protowire.AppendBytes(record, d.Batch)
}
