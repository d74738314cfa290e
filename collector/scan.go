package collector

import (
	"encoding/binary"
	"math"
	"math/bits"
	"time"
	"unicode/utf8"

	"github.com/yirifi/flywheel/internal/eventlog"
)

// window is the span of time in which events are accepted, in the two units that
// the contract uses: microseconds, and the milliseconds inside a UUIDv7.
type window struct {
	minUS, maxUS int64
	minMS, maxMS int64
}

func newWindow(now time.Time, maxAge, maxSkew time.Duration) window {
	oldest, latest := now.Add(-maxAge), now.Add(maxSkew)
	return window{
		minUS: oldest.UnixMicro(), maxUS: latest.UnixMicro(),
		minMS: oldest.UnixMilli(), maxMS: latest.UnixMilli(),
	}
}

// scan checks the wire bytes of one event and returns the lane it travels in, or
// the first problem found.
//
// The rules are those of the contract. Beyond them, a field that is not repeated
// may occur once only, a signed integer without a range must not be negative, and
// groups are refused. Unknown fields are skipped, but must be well formed. A
// scalar that is on the wire with its zero value counts as absent, as everywhere
// in proto3. What scan accepts, every protobuf decoder accepts.
//
// It allocates only for a problem and keeps no reference to b.
func (p *eventPlan) scan(b []byte, w *window) (eventlog.Lane, *problem) {
	if len(b) > p.maxBytes {
		return 0, eventTooLarge(len(b), p.maxBytes)
	}
	set, bad := p.event.scan(b, w)
	if bad != nil {
		return 0, bad
	}
	payload := set & p.payloads
	if bits.OnesCount64(payload) != 1 {
		return 0, p.notOnePayload(payload)
	}
	rules := &p.rules[bits.TrailingZeros64(payload)]
	if missing := rules.requires &^ set; missing != 0 {
		return 0, p.missingID(payload, missing)
	}
	return rules.lane, nil
}

// scan checks the wire bytes of one message and returns the bits of the fields
// that are set.
func (m *messagePlan) scan(b []byte, w *window) (set uint64, bad *problem) {
	var seen uint64
	for i := 0; i < len(b); {
		// Varints of one byte are by far the most frequent: they are read in place.
		key, next := uint64(b[i]), i+1
		if key >= 0x80 {
			key, next = varint(b, i)
		}
		number, wire := key>>3, uint8(key&7)
		if next == 0 || number == 0 || number > maxFieldNumber {
			return 0, badTag()
		}
		if number >= uint64(len(m.fields)) || m.fields[number] == nil {
			if i = skip(b, next, wire); i == 0 {
				return 0, badUnknown(number, wire)
			}
			continue
		}
		f := m.fields[number]
		if wire != f.wire {
			return 0, f.wrongWire(wire)
		}
		if seen&f.bit != 0 {
			return 0, f.repeated()
		}
		seen |= f.bit

		var v uint64
		if wire == wireVarint || wire == wireBytes {
			if next < len(b) && b[next] < 0x80 {
				v, next = uint64(b[next]), next+1
			} else if v, next = varint(b, next); next == 0 {
				return 0, f.truncated()
			}
		}
		var present bool
		switch wire {
		case wireVarint:
			i = next
			present, bad = f.integer(v, w)
		case wireBytes:
			if v > uint64(len(b)-next) {
				return 0, f.truncated()
			}
			i = next + int(v)
			present, bad = f.bytes(b[next:i], w)
		default:
			if i = skip(b, next, wire); i == 0 {
				return 0, f.truncated()
			}
			present, bad = f.float(b[next:i])
		}
		if bad != nil {
			return 0, bad
		}
		if present {
			set |= f.bit
		}
	}
	if missing := m.required &^ set; missing != 0 {
		return 0, m.missing(missing)
	}
	return set, nil
}

// integer checks the value of a varint field.
func (f *fieldPlan) integer(v uint64, w *window) (present bool, bad *problem) {
	signed := int64(v)
	number := 0.0
	switch f.kind {
	case kindEnum, kindInt32:
		signed = int64(int32(v))
		number = float64(signed)
	case kindInt64:
		number = float64(signed)
	case kindUint32:
		signed = int64(uint32(v))
		number = float64(signed)
	case kindUint64:
		number = float64(v)
	default: // a bool is no number
	}
	if signed == 0 && !f.explicit {
		return false, nil
	}
	switch {
	case f.kind == kindEnum:
		if signed < 0 || signed >= 64 || f.enum&(1<<signed) == 0 {
			return false, f.unknownEnum(signed)
		}
	case f.unixUS:
		if signed < w.minUS || signed > w.maxUS {
			return false, f.outOfTime(time.UnixMicro(signed), w)
		}
	case f.ranged:
		return true, f.inRange(number)
	case number < 0:
		return false, f.negative(signed)
	}
	return true, nil
}

// float checks the value of a float or double field, whose bytes are b.
func (f *fieldPlan) float(b []byte) (present bool, bad *problem) {
	var number float64
	if f.kind == kindFloat {
		number = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	} else {
		number = math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	if number == 0 && !f.explicit {
		return false, nil
	}
	if f.ranged {
		return true, f.inRange(number)
	}
	if math.IsNaN(number) {
		return false, f.notANumber()
	}
	return true, nil
}

// inRange checks a number against min and max. NaN is in no range.
func (f *fieldPlan) inRange(number float64) *problem {
	if number >= f.min && number <= f.max {
		return nil
	}
	return f.outOfRange(number)
}

// bytes checks the value of a string, bytes or message field.
func (f *fieldPlan) bytes(value []byte, w *window) (present bool, bad *problem) {
	switch {
	case f.kind == kindMessage:
		return true, f.nested(value, w)
	case len(value) == 0 && !f.explicit:
		return false, nil
	case f.uuid7:
		return true, f.id(value, w)
	case len(value) > f.maxBytes:
		return false, f.tooLarge(len(value))
	case f.kind == kindString && !utf8.Valid(value):
		return false, f.invalidUTF8(value)
	}
	return true, nil
}

// id checks a UUIDv7, RFC 9562 section 5.7, and the time inside it.
func (f *fieldPlan) id(value []byte, w *window) *problem {
	if !isUUID7(value) {
		return f.notUUID7(value)
	}
	if !f.timed {
		return nil
	}
	ms := int64(binary.BigEndian.Uint64(value) >> 16)
	if ms < w.minMS || ms > w.maxMS {
		return f.outOfTime(time.UnixMilli(ms), w)
	}
	return nil
}

// isUUID7 reports whether b is 16 bytes with version 7 and variant 10.
func isUUID7(b []byte) bool {
	return len(b) == 16 && b[6]>>4 == 7 && b[8]>>6 == 2
}

// nested checks the value of a message field.
func (f *fieldPlan) nested(value []byte, w *window) *problem {
	if len(value) > f.maxBytes {
		return f.tooLarge(len(value))
	}
	if _, bad := f.message.scan(value, w); bad != nil {
		return bad.within(f.name)
	}
	return nil
}
