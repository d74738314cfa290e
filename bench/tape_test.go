package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// TestTape checks batches of every kind of size: that they are what the generated code would
// encode, that ids are used once, and that sessions and interactions are whole.
func TestTape(t *testing.T) {
	t.Parallel()
	made, err := newTape(flywheelFormat(), interactionsPerSession)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 7, 512, made.events() + 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			c := newCursor(made, 1, 4, interactionsPerSession)
			check := newMixCheck()
			var memory []byte
			for events := 0; events < 2*made.events(); events += size {
				memory = c.next(memory, size)
				check.batch(t, memory, size)
			}
			check.whole(t)
		})
	}
}

// mixCheck is what was seen of a client's events.
type mixCheck struct {
	ids map[uuid.UUID]bool
	// events is how many events each opportunity has, sessions how many each session.
	events, sessions map[uuid.UUID]int
}

func newMixCheck() *mixCheck {
	return &mixCheck{ids: map[uuid.UUID]bool{}, events: map[uuid.UUID]int{}, sessions: map[uuid.UUID]int{}}
}

func (m *mixCheck) batch(t *testing.T, wire []byte, size int) {
	t.Helper()
	var batch flywheelv1.CollectStreamRequest
	if err := batch.UnmarshalVT(wire); err != nil {
		t.Fatal(err)
	}
	again, err := batch.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, wire) {
		t.Fatal("the batch is not encoded as the generated code does it")
	}
	if len(batch.GetEvents()) != size {
		t.Fatalf("%d events, want %d", len(batch.GetEvents()), size)
	}
	m.id(t, batch.GetBatchId())
	for _, e := range batch.GetEvents() {
		m.id(t, e.GetEventId())
		m.events[uuid.UUID(e.GetOpportunityId())]++
		session := uuid.UUID(e.GetSessionId())
		m.sessions[session]++
		if m.sessions[session] != int(e.GetSequence()) {
			t.Fatalf("event %d of its session has the sequence %d", m.sessions[session], e.GetSequence())
		}
		if e.GetTimeUnixUs() == 0 || e.GetPayload() == nil {
			t.Fatalf("the event has no time or no payload: %v", e)
		}
	}
}

// id notes an id, which must be new.
func (m *mixCheck) id(t *testing.T, wire []byte) {
	t.Helper()
	id := uuid.UUID(wire)
	if id.Version() != 7 || m.ids[id] {
		t.Fatalf("id %s is no UUIDv7 or was used before", id)
	}
	m.ids[id] = true
}

// whole checks that at most the last session and the last interaction are not whole.
func (m *mixCheck) whole(t *testing.T) {
	t.Helper()
	var parts int
	for _, n := range m.events {
		if n != eventsPer {
			parts++
		}
	}
	for _, n := range m.sessions {
		if n != eventsPer*interactionsPerSession {
			parts++
		}
	}
	if parts > 2 {
		t.Errorf("%d sessions or interactions have not all their events", parts)
	}
}

// BenchmarkCursor measures what a batch costs to make.
func BenchmarkCursor(b *testing.B) {
	for name, f := range map[string]format{"flywheel": flywheelFormat(), "otlp": otlpFormat()} {
		b.Run(name, func(b *testing.B) {
			made, err := newTape(f, interactionsPerSession)
			if err != nil {
				b.Fatal(err)
			}
			c := newCursor(made, 0, 1, interactionsPerSession)
			const events = 512
			var memory []byte
			b.ReportAllocs()
			for b.Loop() {
				memory = c.next(memory, events)
			}
			b.SetBytes(int64(len(memory)))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
		})
	}
}
