package collector

import (
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// FuzzScan checks the promise of the scanner: every decoder accepts what it
// accepts, and the decoded values keep the rules of the contract.
func FuzzScan(f *testing.F) {
	for _, e := range everyPayload(noon()) {
		f.Add(encode(f, e))
	}
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff})
	plan, w := testPlan(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, bad := plan.scan(b, &w); bad != nil {
			if bad.reason == 0 || bad.message == "" {
				t.Errorf("the problem says nothing: %+v", bad)
			}
			return
		}
		checkDecodes(t, b, w)
	})
}

// FuzzRead checks that no request makes reading a batch panic, and that what it
// makes of the request is in the bounds of the request.
func FuzzRead(f *testing.F) {
	request := &flywheelv1.CollectRequest{BatchId: newID(noon()), Events: everyPayload(noon())}
	f.Add(encode(f, request))
	plan, w := testPlan(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := &batch{raw: raw}
		b.read(&limits{plan: plan, bytes: 1 << 20, events: 100, runBytes: 512, window: w})
		if b.refused != nil {
			return
		}
		kept := uint32(len(b.rejected))
		for _, r := range b.runs {
			kept += r.events
			if r.start >= r.end || r.end > len(raw) {
				t.Errorf("run %+v is outside the request of %d bytes", r, len(raw))
			}
		}
		if kept != b.events {
			t.Errorf("%d events, but %d kept or rejected", b.events, kept)
		}
		if err := proto.Unmarshal(withoutEvents(raw), &flywheelv1.CollectRequest{}); err != nil {
			t.Errorf("protobuf refuses the request: %v", err)
		}
	})
}

// withoutEvents returns a request without its events, which may be malformed.
func withoutEvents(raw []byte) []byte {
	var rest []byte
	for i := 0; i < len(raw); {
		start := i
		number, wire, next := tag(raw, i)
		if i = skip(raw, next, wire); number != eventsNumber {
			rest = append(rest, raw[start:i]...)
		}
	}
	return rest
}

// checkDecodes fails the test unless every decoder accepts the event and its
// values keep the rules.
func checkDecodes(t *testing.T, b []byte, w window) {
	t.Helper()
	var decoded, fast, unsafe flywheelv1.Event
	if err := proto.Unmarshal(b, &decoded); err != nil {
		t.Fatalf("protobuf refuses the event: %v", err)
	}
	if err := fast.UnmarshalVT(b); err != nil {
		t.Fatalf("vtprotobuf refuses the event: %v", err)
	}
	if err := unsafe.UnmarshalVTUnsafe(b); err != nil {
		t.Fatalf("unsafe vtprotobuf refuses the event: %v", err)
	}
	if !proto.Equal(&decoded, &fast) || !proto.Equal(&decoded, &unsafe) {
		t.Error("the decoders disagree")
	}
	checkRules(t, decoded.ProtoReflect())
	checkEvent(t, &decoded, w)
}

// checkEvent checks what the contract says about events as a whole.
func checkEvent(t *testing.T, e *flywheelv1.Event, w window) {
	t.Helper()
	m := e.ProtoReflect()
	payload := m.WhichOneof(m.Descriptor().Oneofs().ByName("payload"))
	if payload == nil {
		t.Fatal("no payload")
	}
	rules, _ := proto.GetExtension(payload.Options(), flywheelv1.E_EventRules).(*flywheelv1.EventRules)
	if rules.GetOpportunity() && len(e.GetOpportunityId()) == 0 || rules.GetInteraction() && len(e.GetInteractionId()) == 0 {
		t.Error("an id that the payload requires is missing")
	}
	for _, id := range [][]byte{e.GetSessionId(), e.GetOpportunityId(), e.GetInteractionId()} {
		if len(id) == 0 {
			continue
		}
		var ms int64
		for _, c := range id[:6] {
			ms = ms<<8 | int64(c)
		}
		if at := time.UnixMilli(ms).UnixMicro(); at < w.minUS-1000 || at > w.maxUS {
			t.Errorf("the time in %x is out of the window", id)
		}
	}
	if e.GetTimeUnixUs() < w.minUS || e.GetTimeUnixUs() > w.maxUS {
		t.Error("time_unix_us is out of the window")
	}
}

// checkRules checks every field of a decoded message against its rules.
func checkRules(t *testing.T, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		rules := rulesOf(fd)
		if !m.Has(fd) {
			if rules.GetRequired() {
				t.Errorf("%s is missing", fd.FullName())
			}
			continue
		}
		checkValue(t, fd, rules, m.Get(fd))
	}
}

func checkValue(t *testing.T, fd protoreflect.FieldDescriptor, rules *flywheelv1.FieldRules, v protoreflect.Value) {
	t.Helper()
	limit := 256
	if rules.GetMaxBytes() > 0 {
		limit = int(rules.GetMaxBytes())
	}
	number, isNumber := 0.0, true
	switch fd.Kind() {
	case protoreflect.MessageKind:
		checkRules(t, v.Message())
		return
	case protoreflect.StringKind:
		if len(v.String()) > limit || !utf8.ValidString(v.String()) {
			t.Errorf("%s: %d bytes of text, or not UTF-8", fd.FullName(), len(v.String()))
		}
		return
	case protoreflect.BytesKind:
		if id := v.Bytes(); rules.GetUuid7() && (len(id) != 16 || id[6]&0xf0 != 0x70 || id[8]&0xc0 != 0x80) || len(id) > limit {
			t.Errorf("%s: %x", fd.FullName(), id)
		}
		return
	case protoreflect.EnumKind:
		if fd.Enum().Values().ByNumber(v.Enum()) == nil {
			t.Errorf("%s: unknown value %d", fd.FullName(), v.Enum())
		}
		return
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		number = v.Float()
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		if number = float64(v.Int()); v.Int() < 0 {
			t.Errorf("%s: %d is negative", fd.FullName(), v.Int())
		}
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		number = float64(v.Uint())
	default:
		isNumber = false
	}
	if isNumber && rules.GetMax() != 0 && !(number >= rules.GetMin() && number <= rules.GetMax()) {
		t.Errorf("%s: %v is not in [%v, %v]", fd.FullName(), number, rules.GetMin(), rules.GetMax())
	}
}
