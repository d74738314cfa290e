package signal_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// scenario is the events of a file, and the names of the ids in it.
type scenario struct {
	events []namedEvent
	ids    map[string]uuid.UUID
	names  map[uuid.UUID]string
}

type namedEvent struct {
	name string
	wire []byte
}

// zero is the time from which scenarios count.
var zero = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func mapKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

// parseScenario reads the events: the lines after the line "events".
func parseScenario(t *testing.T, text string) *scenario {
	t.Helper()
	_, lines, found := strings.Cut(text, "\nevents\n")
	if !found {
		t.Fatal("there is no line 'events'")
	}
	sc := &scenario{ids: map[string]uuid.UUID{}, names: map[uuid.UUID]string{}}
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := sc.parseEvent(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return sc
}

// parseEvent reads a line "+time payload key=value …".
func (sc *scenario) parseEvent(line string) error {
	words, err := split(line)
	if err != nil {
		return err
	}
	after, err := time.ParseDuration(strings.TrimPrefix(words[0], "+"))
	if err != nil {
		return err
	}
	at := zero.Add(after)
	name := fmt.Sprintf("E%d", len(sc.events)+1)
	event := &flywheelv1.Event{TimeUnixUs: at.UnixMicro(), Sequence: uint64(len(sc.events) + 1)}
	m := event.ProtoReflect()
	payload := m.Descriptor().Fields().ByName(protoreflect.Name(words[1]))
	if payload == nil {
		return fmt.Errorf("no payload %q", words[1])
	}
	targets := []protoreflect.Message{m, m.Mutable(payload).Message()}
	if d := payload.Message().Fields().ByName("dimensions"); d != nil {
		targets = append(targets, targets[1].Mutable(d).Message())
	}
	event.SessionId = sc.id("S", zero)
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "event":
			name = value
			continue
		case "session", "opportunity", "interaction":
			key += "_id"
		case "consent", "prompt", "text", "user_text", "comment", "arguments":
			if event.Content == nil {
				event.Content = &flywheelv1.Content{}
			}
			if err := sc.set(event.Content.ProtoReflect(), key, value, at); err != nil {
				return err
			}
			continue
		}
		if err := sc.setFirst(targets, key, value, at); err != nil {
			return err
		}
	}
	if event.EventId == nil {
		event.EventId = sc.id(name, at)
	}
	wire, err := event.MarshalVT()
	sc.events = append(sc.events, namedEvent{name, wire})
	return err
}

// split cuts a line into words; a value may be quoted.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		end := strings.IndexAny(line, " \"")
		switch {
		case end < 0:
			return append(words, line), nil
		case line[end] == ' ':
			words, line = append(words, line[:end]), line[end:]
		default:
			quoted, err := strconv.QuotedPrefix(line[end:])
			if err != nil {
				return nil, err
			}
			value, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			words, line = append(words, line[:end]+value), line[end+len(quoted):]
		}
	}
	return words, nil
}

func (sc *scenario) setFirst(targets []protoreflect.Message, key, value string, at time.Time) error {
	for _, target := range targets {
		if target.Descriptor().Fields().ByName(protoreflect.Name(key)) != nil {
			return sc.set(target, key, value, at)
		}
	}
	return fmt.Errorf("no field %q", key)
}

// set sets a field from text: durations for microseconds, names for ids, enum values
// in lower case without their prefix.
func (sc *scenario) set(m protoreflect.Message, key, value string, at time.Time) error {
	field := m.Descriptor().Fields().ByName(protoreflect.Name(key))
	v, err := sc.value(field, value, at)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	m.Set(field, v)
	return nil
}

func (sc *scenario) value(field protoreflect.FieldDescriptor, text string, at time.Time) (protoreflect.Value, error) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(sc.id(text, at)), nil
	case protoreflect.BoolKind:
		b, err := strconv.ParseBool(text)
		return protoreflect.ValueOfBool(b), err
	case protoreflect.FloatKind:
		f, err := strconv.ParseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(f)), err
	case protoreflect.Uint32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err
	case protoreflect.Uint64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(n), err
	case protoreflect.Int64Kind:
		d, err := time.ParseDuration(text)
		return protoreflect.ValueOfInt64(d.Microseconds()), err
	case protoreflect.EnumKind:
		n, err := enumNumber(field.Enum(), text)
		return protoreflect.ValueOfEnum(n), err
	default:
		return protoreflect.Value{}, fmt.Errorf("a %s cannot be written", field.Kind())
	}
}

// enumNumber finds a value by the end of its name; a number stands for itself.
func enumNumber(enum protoreflect.EnumDescriptor, text string) (protoreflect.EnumNumber, error) {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return protoreflect.EnumNumber(n), nil
	}
	prefix := strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), "UNSPECIFIED")
	if v := enum.Values().ByName(protoreflect.Name(prefix + strings.ToUpper(text))); v != nil {
		return v.Number(), nil
	}
	return 0, fmt.Errorf("%s has no value %q", enum.Name(), text)
}

// id returns the UUIDv7 with a name, made when it is first named: at that time.
// A name with an exclamation mark is an id of version 4.
func (sc *scenario) id(name string, at time.Time) []byte {
	id, ok := sc.ids[name]
	if !ok {
		sum := sha256.Sum256([]byte(name))
		copy(id[:], sum[:])
		var ms [8]byte
		binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
		copy(id[:6], ms[2:])
		id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
		if strings.HasSuffix(name, "!") {
			id[6] = 0x40
		}
		sc.ids[name], sc.names[id] = id, name
	}
	return id[:]
}
