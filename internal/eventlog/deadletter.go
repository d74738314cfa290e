package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of dead letters.
const (
	tenantHeader   = "Flywheel-Tenant"
	reasonHeader   = "Flywheel-Reason"
	sequenceHeader = "Flywheel-Sequence"
	laneHeader     = "Flywheel-Lane"
)

// DeadLetter is events that cannot be stored, and why.
type DeadLetter struct {
	// Lane and Sequence are where the events were.
	Lane     Lane
	Sequence uint64
	// Tenant sent them.
	Tenant string
	// Reason is why they cannot be stored, in words.
	Reason string
	// Time is when they were set aside. Set by the log.
	Time time.Time
	// Batch is a LogBatch with the events, in protobuf.
	Batch []byte
}

// DeadLetter sets events aside. When it returns nil they are synced to disk.
func (l *Log) DeadLetter(ctx context.Context, d DeadLetter) error {
	msg := nats.NewMsg(deadLetterSubject + "." + d.Lane.String())
	msg.Data = d.Batch
	msg.Header.Set(laneHeader, d.Lane.String())
	msg.Header.Set(tenantHeader, d.Tenant)
	msg.Header.Set(reasonHeader, d.Reason)
	msg.Header.Set(sequenceHeader, strconv.FormatUint(d.Sequence, 10))
	if err := l.publish(ctx, msg); err != nil {
		return fmt.Errorf("set dead letter aside: %w", err)
	}
	return nil
}

// DeadLetters yields all dead letters, the oldest first.
func (l *Log) DeadLetters(ctx context.Context) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		stream, err := l.js.Stream(ctx, deadLetterStream)
		if err != nil {
			yield(DeadLetter{}, fmt.Errorf("read dead letters: %w", err))
			return
		}
		state := stream.CachedInfo().State
		for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
			msg, err := stream.GetMsg(ctx, sequence)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				yield(DeadLetter{}, fmt.Errorf("read dead letter %d: %w", sequence, err))
				return
			}
			if !yield(deadLetterOf(msg), nil) {
				return
			}
		}
	}
}

func deadLetterOf(msg *jetstream.RawStreamMsg) DeadLetter {
	d := DeadLetter{
		Tenant: msg.Header.Get(tenantHeader),
		Reason: msg.Header.Get(reasonHeader),
		Time:   msg.Time,
		Batch:  msg.Data,
	}
	if msg.Header.Get(laneHeader) == Trace.String() {
		d.Lane = Trace
	}
	// Written by DeadLetter; a message of somebody else has no position in a lane.
	d.Sequence, _ = strconv.ParseUint(msg.Header.Get(sequenceHeader), 10, 64)
	return d
}
