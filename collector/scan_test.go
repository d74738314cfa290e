package collector

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
)

const (
	malformed      = flywheelv1.RejectReason_REJECT_REASON_MALFORMED
	missingField   = flywheelv1.RejectReason_REJECT_REASON_MISSING_FIELD
	notUUID7       = flywheelv1.RejectReason_REJECT_REASON_NOT_UUID7
	unknownEnum    = flywheelv1.RejectReason_REJECT_REASON_UNKNOWN_ENUM
	unknownPayload = flywheelv1.RejectReason_REJECT_REASON_UNKNOWN_PAYLOAD
	timeInFuture   = flywheelv1.RejectReason_REJECT_REASON_TIME_IN_FUTURE
	timeTooOld     = flywheelv1.RejectReason_REJECT_REASON_TIME_TOO_OLD
	tooLarge       = flywheelv1.RejectReason_REJECT_REASON_TOO_LARGE
	outOfRange     = flywheelv1.RejectReason_REJECT_REASON_OUT_OF_RANGE
	invalidUTF8    = flywheelv1.RejectReason_REJECT_REASON_INVALID_UTF8
	logFullReason  = flywheelv1.RejectReason_REJECT_REASON_LOG_FULL
)

// noon is the time by the clock of the tests of the scanner.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func testPlan(tb testing.TB) (*eventPlan, window) {
	tb.Helper()
	cfg := DefaultConfig()
	plan, err := compile(cfg.MaxEventBytes, cfg.MaxContentBytes)
	if err != nil {
		tb.Fatalf("compile: %v", err)
	}
	return plan, newWindow(noon(), cfg.MaxAge, cfg.MaxFutureSkew)
}

func TestScanAcceptsEveryPayload(t *testing.T) {
	t.Parallel()
	plan, w := testPlan(t)
	for _, e := range everyPayload(noon()) {
		lane, bad := plan.scan(encode(t, e), &w)
		if bad != nil {
			t.Errorf("%T: %+v", e.GetPayload(), bad)
			continue
		}
		number := e.ProtoReflect().WhichOneof(e.ProtoReflect().Descriptor().Oneofs().ByName("payload")).Number()
		if want := eventlog.Outcome; number < 40 && lane != want {
			t.Errorf("%T: lane %v, want %v", e.GetPayload(), lane, want)
		}
		if want := eventlog.Trace; number >= 40 && lane != want {
			t.Errorf("%T: lane %v, want %v", e.GetPayload(), lane, want)
		}
	}
}

// raw returns the bytes of a shown event followed by more.
func raw(t *testing.T, more ...byte) []byte {
	return append(encode(t, shown(noon())), more...)
}

// ended returns an event whose payload change has changed.
func ended(change func(*flywheelv1.Ended)) *flywheelv1.Event {
	e := event(noon())
	payload := &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_ACCEPTED}
	change(payload)
	e.Payload = &flywheelv1.Event_Ended{Ended: payload}
	return e
}

// with returns a shown event that change has changed.
func with(change func(*flywheelv1.Event)) *flywheelv1.Event {
	e := shown(noon())
	change(e)
	return e
}

func TestScanAccepts(t *testing.T) {
	t.Parallel()
	retention := func(r *flywheelv1.Retention) *flywheelv1.Event {
		return with(func(e *flywheelv1.Event) { e.Payload = &flywheelv1.Event_Retention{Retention: r} })
	}
	minimal := event(noon())
	minimal.Sequence, minimal.InteractionId = 0, nil
	minimal.Payload = &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{}}
	tests := map[string][]byte{
		"clock ahead within the skew": encode(t, with(func(e *flywheelv1.Event) { e.TimeUnixUs = noon().Add(9 * time.Minute).UnixMicro() })),
		"late within the age":         encode(t, with(func(e *flywheelv1.Event) { e.TimeUnixUs = noon().Add(-89 * 24 * time.Hour).UnixMicro() })),
		"event_id of any time":        encode(t, with(func(e *flywheelv1.Event) { e.EventId = newID(time.Unix(0, 0)) })),
		"string of the largest size":  encode(t, ended(func(p *flywheelv1.Ended) { p.Detail = strings.Repeat("x", 1024) })),
		"unknown fields":              raw(t, 0x9a, 0x06, 1, 'x', 0xa0, 0x06, 5, 0xa5, 0x06, 1, 2, 3, 4, 0xa9, 0x06, 1, 2, 3, 4, 5, 6, 7, 8),
		"empty id and zero sequence":  append(encode(t, minimal), 0x32, 0, 0x20, 0),
		"retention at once":           encode(t, retention(&flywheelv1.Retention{FourGram: new(float32(0))})),
		"retention at its bounds":     encode(t, retention(&flywheelv1.Retention{DelayS: 900, FourGram: new(float32(1))})),
		"mean_logprob below zero": encode(t, with(func(e *flywheelv1.Event) {
			e.Payload = &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{MeanLogprob: new(float32(-1.5))}}
		})),
		"feedback without ids": encode(t, with(func(e *flywheelv1.Event) {
			e.OpportunityId, e.InteractionId = nil, nil
			e.Payload = &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{Rating: new(uint32(0))}}
		})),
		"payload without fields": encode(t, with(func(e *flywheelv1.Event) { e.Payload = &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{}} })),
		"content of the largest prompt": encode(t, with(func(e *flywheelv1.Event) {
			e.Content = &flywheelv1.Content{Consent: 1, Prompt: strings.Repeat("x", 1<<20)}
		})),
	}
	plan, w := testPlan(t)
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, bad := plan.scan(b, &w); bad != nil {
				t.Errorf("refused: %+v", bad)
			}
			checkDecodes(t, b, w)
		})
	}
}

// wanted is the refusal of an event, as the scanner should word it.
type wanted struct {
	event  []byte
	reason flywheelv1.RejectReason
	field  string
	says   string
}

// wrongEvents are events of every kind that must be refused.
func wrongEvents(t *testing.T) map[string]wanted {
	t.Helper()
	cfg := DefaultConfig()
	good := raw(t)
	return map[string]wanted{
		"empty":                 {nil, missingField, "event_id", "required in Event"},
		"no session":            {encode(t, with(func(e *flywheelv1.Event) { e.SessionId = nil })), missingField, "session_id", "required"},
		"no time":               {encode(t, with(func(e *flywheelv1.Event) { e.TimeUnixUs = 0 })), missingField, "time_unix_us", "required"},
		"no opportunity":        {encode(t, with(func(e *flywheelv1.Event) { e.OpportunityId = nil })), missingField, "opportunity_id", "payload shown"},
		"no interaction":        {encode(t, with(func(e *flywheelv1.Event) { e.InteractionId = nil })), missingField, "interaction_id", "payload shown"},
		"no outcome":            {encode(t, ended(func(p *flywheelv1.Ended) { p.Outcome = 0 })), missingField, "ended.outcome", "required in Ended"},
		"outcome 0 on the wire": {append(encode(t, event(noon())), 0x82, 1, 2, 8, 0), missingField, "ended.outcome", "zero value"},
		"no consent":            {encode(t, with(func(e *flywheelv1.Event) { e.Content = &flywheelv1.Content{Text: "x"} })), missingField, "content.consent", "required in Content"},
		"empty content":         {encode(t, with(func(e *flywheelv1.Event) { e.Content = &flywheelv1.Content{} })), missingField, "content.consent", "required"},
		"text form of a UUID":   {encode(t, with(func(e *flywheelv1.Event) { e.EventId = []byte("0193583c-9f3e-7000-8000-000000000000") })), notUUID7, "event_id", "16 bytes"},
		"short id":              {encode(t, with(func(e *flywheelv1.Event) { e.SessionId = []byte{1} })), notUUID7, "session_id", "has 1 bytes"},
		"UUIDv4":                {encode(t, with(func(e *flywheelv1.Event) { e.InteractionId[6] = 0x4f })), notUUID7, "interaction_id", "version 4"},
		"other variant":         {encode(t, with(func(e *flywheelv1.Event) { e.InteractionId[8] = 0xc0 })), notUUID7, "interaction_id", "RFC 9562"},
		"nested id":             {encode(t, ended(func(p *flywheelv1.Ended) { p.SupersededBy = make([]byte, 16) })), notUUID7, "ended.superseded_by", "UUIDv7"},
		"unknown surface":       {encode(t, with(func(e *flywheelv1.Event) { e.GetShown().Dimensions.Surface = 60 })), unknownEnum, "shown.dimensions.surface", "value 60"},
		"negative enum":         {encode(t, ended(func(p *flywheelv1.Ended) { p.Outcome = -1 })), unknownEnum, "ended.outcome", "value -1"},
		"huge enum":             {encode(t, ended(func(p *flywheelv1.Ended) { p.DecidedBy = math.MaxInt32 })), unknownEnum, "ended.decided_by", "contract"},
		"no payload":            {encode(t, event(noon())), unknownPayload, "payload", "no payload"},
		"newer payload":         {append(encode(t, event(noon())), 0xfa, 1, 0), unknownPayload, "payload", "newer"},
		"two payloads":          {append(slices.Clone(good), 0x7a, 2, 8, 1), malformed, "payload", "shown and read"},
		"time in the future":    {encode(t, with(func(e *flywheelv1.Event) { e.TimeUnixUs = noon().Add(11 * time.Minute).UnixMicro() })), timeInFuture, "time_unix_us", "2026-11-23T12:11:00Z"},
		"time in nanoseconds":   {encode(t, with(func(e *flywheelv1.Event) { e.TimeUnixUs *= 1000 })), timeInFuture, "time_unix_us", "unit"},
		"time in milliseconds":  {encode(t, with(func(e *flywheelv1.Event) { e.TimeUnixUs /= 1000 })), timeTooOld, "time_unix_us", "unit"},
		"negative time":         {encode(t, with(func(e *flywheelv1.Event) { e.TimeUnixUs = -1 })), timeTooOld, "time_unix_us", "oldest"},
		"session in the future": {encode(t, with(func(e *flywheelv1.Event) { e.SessionId = newID(noon().Add(time.Hour)) })), timeInFuture, "session_id", "time in the id"},
		"old opportunity":       {encode(t, with(func(e *flywheelv1.Event) { e.OpportunityId = newID(noon().Add(-91 * 24 * time.Hour)) })), timeTooOld, "opportunity_id", "time in the id"},
		"interaction of 1970":   {encode(t, with(func(e *flywheelv1.Event) { e.InteractionId = newID(time.Unix(0, 0)) })), timeTooOld, "interaction_id", "1970"},
		"long string":           {encode(t, with(func(e *flywheelv1.Event) { e.GetShown().Dimensions.Model = strings.Repeat("x", 257) })), tooLarge, "shown.dimensions.model", "257 bytes, the limit is 256"},
		"long comment": {encode(t, with(func(e *flywheelv1.Event) {
			e.Content = &flywheelv1.Content{Consent: 1, Comment: strings.Repeat("x", 65537)}
		})), tooLarge, "content.comment", "65536"},
		"large content": {encode(t, with(func(e *flywheelv1.Event) {
			e.Content = &flywheelv1.Content{Consent: 1, Text: strings.Repeat("x", cfg.MaxContentBytes)}
		})), tooLarge, "content", "limit"},
		"large event": {append(slices.Clone(good), protowire.AppendBytes([]byte{0x9a, 0x06}, make([]byte, cfg.MaxEventBytes))...), tooLarge, "", "the event has"},
		"range": {encode(t, with(func(e *flywheelv1.Event) {
			e.Payload = &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{DelayS: 901}}
		})), outOfRange, "retention.delay_s", "from 0 to 900"},
		"float range": {encode(t, with(func(e *flywheelv1.Event) {
			e.Payload = &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{FourGram: new(float32(1.5))}}
		})), outOfRange, "retention.four_gram", "is 1.5"},
		"NaN in a range": {encode(t, with(func(e *flywheelv1.Event) {
			e.Payload = &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{FourGram: new(float32(math.NaN()))}}
		})), outOfRange, "retention.four_gram", "NaN"},
		"NaN": {encode(t, with(func(e *flywheelv1.Event) {
			e.Payload = &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{MeanLogprob: new(float32(math.NaN()))}}
		})), outOfRange, "generated.mean_logprob", "not a number"},
		"negative latency":         {encode(t, with(func(e *flywheelv1.Event) { e.GetShown().LatencyUs = -1 })), outOfRange, "shown.latency_us", "negative"},
		"not UTF-8":                {append(encode(t, event(noon())), 0x6a, 6, 10, 4, 0x12, 2, 'a', 0xff), invalidUTF8, "shown.dimensions.model", "at byte 1"},
		"truncated":                {good[:len(good)-1], malformed, "shown", "ends early"},
		"random":                   {[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, malformed, "", "not a protobuf message"},
		"field number 0":           {raw(t, 0x00, 0x00), malformed, "", "not a protobuf message"},
		"wrong wire type":          {raw(t, 0x0d, 1, 2, 3, 4)[len(good):], malformed, "event_id", "wire type 5, the contract says 2"},
		"nested wire type":         {append(encode(t, event(noon())), 0x6a, 2, 0x12, 1), malformed, "shown.latency_us", "wire type 2"},
		"repeated scalar":          {raw(t, 0x20, 1), malformed, "sequence", "more than once"},
		"repeated payload":         {append(slices.Clone(good), 0x6a, 0), malformed, "shown", "more than once"},
		"unknown field cut short":  {raw(t, 0x9a, 0x06, 9, 1), malformed, "", "unknown field 99"},
		"group":                    {raw(t, 0x9b, 0x06, 0x9c, 0x06), malformed, "", "wire type 3"},
		"varint cut short":         {raw(t, 0x9a)[len(good):], malformed, "", "not a protobuf message"},
		"overlong varint":          {append(encode(t, event(noon()))[:0], 0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), malformed, "sequence", "not well formed"},
		"float cut short":          {append(encode(t, event(noon())), 0x8a, 1, 2, 0x1d, 0), malformed, "retention.four_gram", "ends early"},
		"length beyond the int":    {[]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, malformed, "event_id", "ends early"},
		"payload beyond the event": {append(encode(t, event(noon())), 0x6a, 0x7f, 1), malformed, "shown", "ends early"},
	}
}

func TestScanRefuses(t *testing.T) {
	t.Parallel()
	plan, w := testPlan(t)
	seen := make(map[flywheelv1.RejectReason]bool)
	for name, test := range wrongEvents(t) {
		seen[test.reason] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, bad := plan.scan(test.event, &w)
			if bad == nil {
				t.Fatal("accepted")
			}
			if bad.reason != test.reason || bad.field != test.field || !strings.Contains(bad.message, test.says) {
				t.Errorf("got %v %q %q; want %v %q with %q", bad.reason, bad.field, bad.message, test.reason, test.field, test.says)
			}
		})
	}
	for number, name := range flywheelv1.RejectReason_name {
		reason := flywheelv1.RejectReason(number)
		if number != 0 && reason != logFullReason && !seen[reason] {
			t.Errorf("no test for %s", name)
		}
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	plan, w := testPlan(t)
	for _, e := range everyPayload(noon()) {
		b := encode(t, e)
		allocs := testing.AllocsPerRun(100, func() {
			if _, bad := plan.scan(b, &w); bad != nil {
				t.Fatalf("%T: %+v", e.GetPayload(), bad)
			}
		})
		if allocs != 0 {
			t.Errorf("%T: %v allocations, want 0", e.GetPayload(), allocs)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	plan, w := testPlan(b)
	for name, e := range map[string]proto.Message{"shown": shown(noon()), "edit": edit(noon())} {
		b.Run(name, func(b *testing.B) {
			event := encode(b, e)
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				if _, bad := plan.scan(event, &w); bad != nil {
					b.Fatal(bad)
				}
			}
		})
	}
}
