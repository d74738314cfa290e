package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/test/ledger"
)

// tapeInteractions is how many interactions a tape has at least. Their texts, 5 MB, are
// more than what ClickHouse compresses at a time.
const tapeInteractions = 4000

// tape is events of the standard mix that are encoded once and sent again and again, each
// time with other ids and times: so that the load costs little of the machine that it
// shares with what it measures. It is whole sessions, and does not change: many cursors
// may read it.
type tape struct {
	format format
	// wire is the events, each as a field of a batch. marks says where they are; the last
	// one is where the wire ends.
	wire  []byte
	marks []mark
}

// mark is where an event begins in a tape, and where in the event its ids and its time are;
// 0 where it has none.
type mark struct {
	start                                          int
	event, session, opportunity, interaction, time uint16
	beginsSession, beginsInteraction               bool
	// lane is the one in which the event travels.
	lane eventlog.Lane
}

// format is how events are encoded.
type format struct {
	// event appends an event as a field of a batch, with room for ids and a time, and says
	// where in the field these are.
	event func(b []byte, e *flywheelv1.Event, interaction bool) ([]byte, mark, error)
	// putID and putSession write ids, and putTime writes a time, to where there is room.
	putID, putSession func(b []byte, id *uuid.UUID)
	putTime           func(b []byte, at time.Time)
	// begin appends what precedes the events of a batch that have so many bytes.
	begin func(b []byte, id uuid.UUID, size int) []byte
}

// newTape encodes a tape.
func newTape(f format, perSession int) (*tape, error) {
	corpus, err := loadCorpus()
	if err != nil {
		return nil, err
	}
	t, m := &tape{format: f}, newMix(corpus, perSession)
	for sessions := (tapeInteractions + perSession - 1) / perSession; m.made < sessions*perSession && err == nil; {
		begins := true
		m.interaction(func(e *flywheelv1.Event, session, interaction bool) {
			begin := len(t.wire)
			wire, mark, wrong := f.event(t.wire, e, interaction)
			if wrong != nil {
				err = fmt.Errorf("encode event: %w", wrong)
			}
			t.wire = wire
			mark.start, mark.beginsSession, mark.beginsInteraction = begin, session, begins
			if _, edit := e.GetPayload().(*flywheelv1.Event_Edit); edit {
				mark.lane = eventlog.Trace
			}
			t.marks = append(t.marks, mark)
			begins = false
		})
	}
	t.marks = append(t.marks, mark{start: len(t.wire)})
	return t, err
}

// events is how many events the tape has.
func (t *tape) events() int { return len(t.marks) - 1 }

// cursor makes batches from a tape, whose events have ids that no others have. It is not
// safe for concurrent use.
type cursor struct {
	tape   *tape
	at     int
	random *rand.Rand

	now                                      time.Time
	session, opportunity, interaction, event uuid.UUID
}

// newCursor returns the cursor of a client, which begins where no other client does.
func newCursor(t *tape, client, clients, perSession int) *cursor {
	sessions := t.events() / eventsPer / perSession
	return &cursor{
		tape: t, at: sessions * client / clients * perSession * eventsPer,
		random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(client))),
	}
}

// rest is how many events are left of the interaction under way.
func (c *cursor) rest() int { return (eventsPer - c.at%eventsPer) % eventsPer }

// next makes a batch of the next n events in the memory of b.
func (c *cursor) next(b []byte, n int) []byte {
	c.now = time.Now()
	b = c.tape.format.begin(b[:0], ledger.NewID(c.random, c.now), c.size(n))
	for n > 0 {
		marks := c.tape.marks[c.at:min(c.at+n, c.tape.events())]
		first, end := marks[0].start, c.tape.marks[c.at+len(marks)].start
		at := len(b)
		b = append(b, c.tape.wire[first:end]...)
		for i := range marks {
			c.patch(b[at+marks[i].start-first:], &marks[i])
		}
		n -= len(marks)
		c.at = (c.at + len(marks)) % c.tape.events()
	}
	return b
}

// size is how many bytes the next n events have.
func (c *cursor) size(n int) (size int) {
	for at := c.at; n > 0; at = 0 {
		most := min(n, c.tape.events()-at)
		size += c.tape.marks[at+most].start - c.tape.marks[at].start
		n -= most
	}
	return size
}

// patch gives an event its ids and its time.
func (c *cursor) patch(event []byte, m *mark) {
	if m.beginsSession {
		c.session = ledger.NewID(c.random, c.now)
	}
	if m.beginsInteraction {
		c.opportunity, c.interaction = ledger.NewID(c.random, c.now), ledger.NewID(c.random, c.now)
	}
	c.event = ledger.NewID(c.random, c.now)
	f := &c.tape.format
	f.putID(event[m.event:], &c.event)
	f.putSession(event[m.session:], &c.session)
	f.putTime(event[m.time:], c.now)
	f.putID(event[m.opportunity:], &c.opportunity)
	if m.interaction > 0 {
		f.putID(event[m.interaction:], &c.interaction)
	}
}

// flywheelFormat is batches of Flywheel, CollectStreamRequests, as its generated code
// encodes them.
func flywheelFormat() format {
	putID := func(b []byte, id *uuid.UUID) { copy(b, id[:]) }
	return format{
		event: flywheelEvent, putID: putID, putSession: putID,
		putTime: func(b []byte, at time.Time) { binary.PutUvarint(b, uint64(at.UnixMicro())) },
		begin: func(b []byte, id uuid.UUID, _ int) []byte {
			return protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), id[:])
		},
	}
}

// flywheelEvent appends an event as field 2 of a CollectStreamRequest.
func flywheelEvent(b []byte, e *flywheelv1.Event, interaction bool) ([]byte, mark, error) {
	rest := &flywheelv1.Event{Content: e.GetContent(), Payload: e.GetPayload()}
	tail, err := rest.MarshalVT()
	if err != nil {
		return b, mark{}, err
	}
	var m mark
	var body []byte
	field := func(number protowire.Number) uint16 {
		body = protowire.AppendTag(body, number, protowire.BytesType)
		body = protowire.AppendBytes(body, make([]byte, len(uuid.UUID{})))
		return uint16(len(body) - len(uuid.UUID{}))
	}
	m.event = field(1)
	m.session = field(2)
	body = protowire.AppendTag(body, 3, protowire.VarintType)
	m.time = uint16(len(body))
	// As many bytes as all times have until the year 4253.
	body = protowire.AppendVarint(body, uint64(time.Now().UnixMicro()))
	body = protowire.AppendVarint(protowire.AppendTag(body, 4, protowire.VarintType), e.GetSequence())
	m.opportunity = field(5)
	if interaction {
		m.interaction = field(6)
	}
	b, head := appendFramed(b, 2, append(body, tail...))
	m.moveBy(head)
	return b, m, nil
}

// appendFramed appends a message as a field, and says how many bytes precede it.
func appendFramed(b []byte, number protowire.Number, message []byte) (framed []byte, head int) {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	head = protowire.SizeTag(number) + protowire.SizeVarint(uint64(len(message)))
	return protowire.AppendBytes(b, message), head
}

// moveBy moves what the mark points to.
func (m *mark) moveBy(n int) {
	for _, at := range []*uint16{&m.event, &m.session, &m.time, &m.opportunity} {
		*at += uint16(n)
	}
	if m.interaction > 0 {
		m.interaction += uint16(n)
	}
}
