package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// prefetch bounds what a consumer has fetched ahead.
	prefetchMessages = 256
	prefetchBytes    = 16 << 20
)

// Consumer gives the records of a lane to a processor. Consumers of one lane, in any
// number of processes, share its records. A Consumer is for one goroutine, its
// messages are for any.
type Consumer struct {
	lane     Lane
	messages jetstream.MessagesContext
}

// Message is one record. It comes again, to this consumer or another, unless it is
// acknowledged within a minute of its last sign of life.
type Message struct {
	msg      jetstream.Msg
	sequence uint64
}

// Consume opens the records of a lane that no processor has acknowledged yet.
func (l *Log) Consume(ctx context.Context, lane Lane) (*Consumer, error) {
	consumer, err := l.js.Consumer(ctx, stream(lane), processorConsumer)
	if err != nil {
		return nil, fmt.Errorf("consume the %s lane: %w", lane, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(prefetchMessages, prefetchBytes),
		jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return nil, fmt.Errorf("consume the %s lane: %w", lane, err)
	}
	return &Consumer{lane: lane, messages: messages}, nil
}

// Next waits for the next record. It returns ctx's error when ctx ends first. After
// another error the consumer is of no more use.
func (c *Consumer) Next(ctx context.Context) (*Message, error) {
	msg, err := c.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("consume the %s lane: %w", c.lane, err)
	}
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("consume the %s lane: %w", c.lane, err)
	}
	return &Message{msg: msg, sequence: meta.Sequence.Stream}, nil
}

// Close ends the consumer. What it had fetched and not given out comes again.
func (c *Consumer) Close() { c.messages.Stop() }

// Data is the record. It stays valid as long as it is referenced.
func (m *Message) Data() []byte { return m.msg.Data() }

// Sequence is the record's position in its lane, from 1.
func (m *Message) Sequence() uint64 { return m.sequence }

// Ack says that the record is processed: it does not come again. The log may forget
// an acknowledgement when it crashes, so the record may come again all the same.
func (m *Message) Ack() error { return wrapAck(m.msg.Ack()) }

// Nak gives the record back, to come again after a delay.
func (m *Message) Nak(delay time.Duration) error { return wrapAck(m.msg.NakWithDelay(delay)) }

// InProgress is a sign of life: the record does not come again for another minute.
func (m *Message) InProgress() error { return wrapAck(m.msg.InProgress()) }

func wrapAck(err error) error {
	if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return nil
	}
	return fmt.Errorf("answer event log: %w", err)
}
