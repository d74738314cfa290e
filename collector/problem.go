package collector

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
	"unicode/utf8"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// problem is why an event was not taken. Its message never repeats the event's
// text: it may be shown to people who must not see the content.
type problem struct {
	reason  flywheelv1.RejectReason
	field   string // path from the event, "" for the event itself
	message string
}

// within says that the problem is in the member name of an enclosing message.
func (p *problem) within(name string) *problem {
	if p.field == "" {
		p.field = name
	} else {
		p.field = name + "." + p.field
	}
	return p
}

func (f *fieldPlan) problem(reason flywheelv1.RejectReason, format string, args ...any) *problem {
	return &problem{reason: reason, field: f.name, message: fmt.Sprintf(format, args...)}
}

func (f *fieldPlan) malformed(format string, args ...any) *problem {
	return f.problem(flywheelv1.RejectReason_REJECT_REASON_MALFORMED, format, args...)
}

func (f *fieldPlan) truncated() *problem {
	return f.malformed("the value ends early or is not well formed: send the event as a protobuf encoder wrote it")
}

func (f *fieldPlan) wrongWire(wire uint8) *problem {
	return f.malformed("has wire type %d, the contract says %d: generate the client from this server's proto files", wire, f.wire)
}

func (f *fieldPlan) repeated() *problem {
	return f.malformed("occurs more than once: send it once")
}

func (f *fieldPlan) unknownEnum(value int64) *problem {
	return f.problem(flywheelv1.RejectReason_REJECT_REASON_UNKNOWN_ENUM,
		"has the value %d, which this server does not know: send a value of the contract, or update the server", value)
}

func (f *fieldPlan) negative(value int64) *problem {
	return f.problem(flywheelv1.RejectReason_REJECT_REASON_OUT_OF_RANGE, "is %d: it must not be negative", value)
}

func (f *fieldPlan) outOfRange(value float64) *problem {
	return f.problem(flywheelv1.RejectReason_REJECT_REASON_OUT_OF_RANGE, "is %v: it must be from %v to %v", value, f.min, f.max)
}

func (f *fieldPlan) notANumber() *problem {
	return f.problem(flywheelv1.RejectReason_REJECT_REASON_OUT_OF_RANGE, "is not a number: leave the field out when it is not known")
}

func (f *fieldPlan) tooLarge(size int) *problem {
	return f.problem(flywheelv1.RejectReason_REJECT_REASON_TOO_LARGE, "has %d bytes, the limit is %d: shorten it or leave it out", size, f.maxBytes)
}

func (f *fieldPlan) invalidUTF8(value []byte) *problem {
	at := 0
	for at < len(value) {
		r, size := utf8.DecodeRune(value[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return f.problem(flywheelv1.RejectReason_REJECT_REASON_INVALID_UTF8, "is not valid UTF-8 at byte %d: convert the text to UTF-8", at)
}

func (f *fieldPlan) notUUID7(value []byte) *problem {
	const reason = flywheelv1.RejectReason_REJECT_REASON_NOT_UUID7
	switch {
	case len(value) == 36:
		return f.problem(reason, "has 36 bytes, as the text form of a UUID has: send the 16 bytes of a UUIDv7, big endian")
	case len(value) != 16:
		return f.problem(reason, "has %d bytes: send the 16 bytes of a UUIDv7, big endian", len(value))
	case value[8]>>6 != 2:
		return f.problem(reason, "is not a UUID of RFC 9562: send a UUIDv7, big endian")
	default:
		return f.problem(reason, "is a UUID of version %d: send a UUIDv7 (RFC 9562), whose timestamp says where to keep the event", value[6]>>4)
	}
}

// outOfTime says that a point in time is outside the window.
func (f *fieldPlan) outOfTime(at time.Time, w *window) *problem {
	what := "the time"
	if f.uuid7 {
		what = "the time in the id"
	}
	oldest, latest := time.UnixMicro(w.minUS), time.UnixMicro(w.maxUS)
	if at.After(latest) {
		return f.problem(flywheelv1.RejectReason_REJECT_REASON_TIME_IN_FUTURE,
			"%s is %s, the latest accepted is %s: check the client's clock and its unit", what, stamp(at), stamp(latest))
	}
	return f.problem(flywheelv1.RejectReason_REJECT_REASON_TIME_TOO_OLD,
		"%s is %s, the oldest accepted is %s: check the client's clock and its unit, or raise the server's limit", what, stamp(at), stamp(oldest))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// missing names the first of the required fields that are not set.
func (m *messagePlan) missing(fields uint64) *problem {
	return &problem{
		reason:  flywheelv1.RejectReason_REJECT_REASON_MISSING_FIELD,
		field:   m.names[bits.TrailingZeros64(fields)],
		message: "is required in " + m.name + ": set it to something other than its zero value",
	}
}

func badTag() *problem {
	return &problem{
		reason:  flywheelv1.RejectReason_REJECT_REASON_MALFORMED,
		message: "the bytes are not a protobuf message: send the event as a protobuf encoder wrote it",
	}
}

func badUnknown(number uint64, wire uint8) *problem {
	return &problem{
		reason:  flywheelv1.RejectReason_REJECT_REASON_MALFORMED,
		message: fmt.Sprintf("the unknown field %d, of wire type %d, is not well formed: send the event as a protobuf encoder wrote it", number, wire),
	}
}

func eventTooLarge(size, limit int) *problem {
	return &problem{
		reason:  flywheelv1.RejectReason_REJECT_REASON_TOO_LARGE,
		message: fmt.Sprintf("the event has %d bytes, the limit is %d: send less content", size, limit),
	}
}

// notOnePayload says that an event has none of the payloads, or several.
func (p *eventPlan) notOnePayload(payloads uint64) *problem {
	if payloads == 0 {
		return &problem{
			reason:  flywheelv1.RejectReason_REJECT_REASON_UNKNOWN_PAYLOAD,
			field:   "payload",
			message: "the event has no payload that this server knows: set one member of Event.payload; a newer payload needs a newer server",
		}
	}
	return &problem{
		reason:  flywheelv1.RejectReason_REJECT_REASON_MALFORMED,
		field:   "payload",
		message: "the event has more than one payload: send " + strings.Join(p.payloadNames(payloads), " and ") + " as events of their own",
	}
}

// missingID says that a payload needs an id that its event does not have.
func (p *eventPlan) missingID(payload, missing uint64) *problem {
	return &problem{
		reason:  flywheelv1.RejectReason_REJECT_REASON_MISSING_FIELD,
		field:   p.event.names[bits.TrailingZeros64(missing)],
		message: "is required on an event with the payload " + p.payloadNames(payload)[0],
	}
}

func (p *eventPlan) payloadNames(payloads uint64) []string {
	var names []string
	for ; payloads != 0; payloads &= payloads - 1 {
		names = append(names, p.event.names[bits.TrailingZeros64(payloads)])
	}
	return names
}
