package processor

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
)

func marshal(tb testing.TB, m interface{ MarshalVT() ([]byte, error) }) []byte {
	tb.Helper()
	wire, err := m.MarshalVT()
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

func testID(tb testing.TB) []byte {
	tb.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		tb.Fatal(err)
	}
	return id[:]
}

func endedEvent(tb testing.TB) *flywheelv1.Event {
	tb.Helper()
	return &flywheelv1.Event{
		EventId: testID(tb), SessionId: testID(tb), InteractionId: testID(tb), TimeUnixUs: 1e15,
		Payload: &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_SUPERSEDED, SupersededBy: testID(tb)}},
	}
}

// FuzzEvents checks that any bytes can be walked through, that nothing of a valid
// record is lost, and that what becomes a dead letter can be walked through again.
func FuzzEvents(f *testing.F) {
	batch := &flywheelv1.LogBatch{BatchId: testID(f), Tenant: "t", ReceivedUnixUs: 5, Events: []*flywheelv1.Event{endedEvent(f), endedEvent(f)}}
	f.Add(marshal(f, &flywheelv1.LogRecord{Batches: []*flywheelv1.LogBatch{batch, {Tenant: "u"}, batch}}))
	f.Add([]byte{0x0a, 0x02, 0x12, 0x05})
	f.Add([]byte{0x0b, 0x0c, 0x0a, 0x00})
	f.Fuzz(func(t *testing.T, record []byte) {
		var rows signal.Batch
		var decode decoder
		kept := slices.Clone(record)
		var wires [][]byte
		for event, err := range eventsOf(record) {
			if err == nil && decode.add(&rows, event) == nil {
				wires = append(wires, event.wire)
			}
			letter := appendBatch(nil, event.source, event.wire)
			for again, err := range eventsOf(slices.Concat([]byte{0x0a}, varint(len(letter)), letter)) {
				if err != nil || !bytes.Equal(again.wire, event.wire) || !cmp.Equal(again.source.tenant, event.source.tenant) {
					t.Fatalf("%x came out of %x as %x: %v", event.wire, letter, again.wire, err)
				}
			}
		}
		var whole flywheelv1.LogRecord
		if whole.UnmarshalVT(kept) == nil {
			n := 0
			for _, b := range whole.Batches {
				n += len(b.Events)
			}
			if n < len(wires) {
				t.Fatalf("%d events in the record, %d found", n, len(wires))
			}
		}
		decode.release()
		if !bytes.Equal(record, kept) {
			t.Fatal("decoding changed the record")
		}
	})
}

func varint(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func TestEventsOfRecord(t *testing.T) {
	t.Parallel()
	var batches []*flywheelv1.LogBatch
	want := []string{}
	for _, tenant := range []string{"a", "b", "a"} {
		e := endedEvent(t)
		batches = append(batches, &flywheelv1.LogBatch{BatchId: testID(t), Tenant: tenant, ReceivedUnixUs: 7, Events: []*flywheelv1.Event{e, e}})
		want = append(want, tenant+string(marshal(t, e)), tenant+string(marshal(t, e)))
	}
	got := []string{}
	for event, err := range eventsOf(marshal(t, &flywheelv1.LogRecord{Batches: batches})) {
		if err != nil || event.source.received != 7 || len(event.source.id) != 16 {
			t.Errorf("event %+v, error %v", event, err)
		}
		got = append(got, event.source.tenant+string(event.wire))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestPoolsKeepNoRecord decodes an event, whose byte fields are the record's memory,
// and then others with the same pooled parts: these must not write into the record.
func TestPoolsKeepNoRecord(t *testing.T) {
	t.Parallel()
	record := marshal(t, endedEvent(t))
	kept := slices.Clone(record)
	for range 100 {
		var rows signal.Batch
		var decode decoder
		if err := decode.add(&rows, rawEvent{source: &source{}, wire: record}); err != nil {
			t.Fatal(err)
		}
		decode.release()
		other := flywheelv1.EventFromVTPool()
		if err := other.UnmarshalVT(marshal(t, endedEvent(t))); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(record, kept) {
			t.Fatal("the record has changed")
		}
	}
}

func TestTouchesOf(t *testing.T) {
	t.Parallel()
	id := func(second int) uuid.UUID {
		ms := int64(second) * 1000
		return uuid.UUID{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms)}
	}
	const minute = 60
	rows := &signal.Batch{
		Interactions: []warehouse.Interaction{
			{Tenant: "a", ID: id(100 * minute)}, {Tenant: "a", ID: id(100*minute + 59)}, {Tenant: "b", ID: id(100 * minute)},
			{Tenant: "a", ID: id(101 * minute)}, {Tenant: "a", ID: id(100*minute + 1)},
		},
		Opportunities: []warehouse.Opportunity{{Tenant: "a", ID: id(99 * minute)}, {Tenant: "b", ID: id(100*minute + 7)}},
		Content:       []warehouse.Text{{Tenant: "c", ID: id(minute)}},
	}
	now := time.Unix(7, 0)
	var want []warehouse.Touch
	for _, touch := range []struct {
		tenant string
		minute int64
	}{{"a", 100}, {"b", 100}, {"a", 101}, {"a", 99}} {
		want = append(want, warehouse.Touch{Tenant: touch.tenant, Bucket: time.Unix(touch.minute*minute, 0), Touches: 1, TouchedAt: now})
	}
	if diff := cmp.Diff(want, touchesOf(rows, now)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := oneLine("a\r\nb:\tc  d "); got != "a b: c d" {
		t.Errorf("%q", got)
	}
	if got := oneLine(strings.Repeat("ä", maxReason)); len(got) > maxReason || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
	}
}
