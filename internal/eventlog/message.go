package eventlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Message is a delivered record. One of Ack and Nak should follow; of several, the first
// holds. A message that gets no answer within [Config.AckWait] is delivered again. Its
// methods are safe for concurrent use.
type Message struct {
	msg       jetstream.Msg
	stream    *stream
	sequence  uint64
	delivered uint64
}

func newMessage(msg jetstream.Msg, s *stream) (*Message, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read metadata of a message of %s: %w", s.name, err)
	}
	return &Message{msg: msg, stream: s, sequence: meta.Sequence.Stream, delivered: meta.NumDelivered}, nil
}

// Data is the record. Nobody else uses its memory, now or later: it may be aliased
// for as long as is useful.
func (m *Message) Data() []byte { return m.msg.Data() }

// Shard is which shard of its lane the record is in.
func (m *Message) Shard() int { return m.stream.shard }

// Sequence is the record's number in its shard: the same at each delivery, growing in
// the order of storing.
func (m *Message) Sequence() uint64 { return m.sequence }

// Delivered is how often the record was delivered, this time included: 1 at the first
// time. After a [Log.Rewind] it starts anew.
func (m *Message) Delivered() uint64 { return m.delivered }

// Ack says that the record's effect is safe; it is not delivered again. Ack only when
// ClickHouse has confirmed the inserts, or the log the dead letter.
//
// Ack does not wait for the log. An acknowledgement that is lost with the connection
// or in a crash leads to another delivery.
func (m *Message) Ack() error {
	if err := answered(m.msg.Ack()); err != nil {
		return fmt.Errorf("acknowledge record %d: %w", m.sequence, err)
	}
	reply := m.msg.Reply()
	m.stream.acked.Store(&reply)
	return nil
}

// Nak gives the record back, to be delivered again after the delay, to any consumer.
func (m *Message) Nak(delay time.Duration) error {
	var err error
	if delay > 0 {
		err = m.msg.NakWithDelay(delay)
	} else {
		err = m.msg.Nak()
	}
	if err := answered(err); err != nil {
		return fmt.Errorf("give back record %d: %w", m.sequence, err)
	}
	return nil
}

// InProgress starts [Config.AckWait] anew.
func (m *Message) InProgress() error {
	if err := answered(m.msg.InProgress()); err != nil {
		return fmt.Errorf("keep record %d: %w", m.sequence, err)
	}
	return nil
}

// answered is the error of an answer. The first answer to a message holds, and
// further ones do nothing.
func answered(err error) error {
	if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return nil
	}
	return unavailable(err)
}
