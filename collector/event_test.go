package collector

import (
	"crypto/rand"
	"encoding/binary"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// newID returns a UUIDv7 of the given time.
func newID(at time.Time) []byte {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	binary.BigEndian.PutUint64(id, uint64(at.UnixMilli())<<16|uint64(id[6])<<8|uint64(id[7]))
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id
}

// event returns an event that has every id and no payload.
func event(at time.Time) *flywheelv1.Event {
	return &flywheelv1.Event{
		EventId:       newID(at),
		SessionId:     newID(at),
		TimeUnixUs:    at.UnixMicro(),
		Sequence:      1,
		OpportunityId: newID(at),
		InteractionId: newID(at),
	}
}

// shown returns an ordinary event of the outcome lane, of about 200 bytes.
func shown(at time.Time) *flywheelv1.Event {
	e := event(at)
	e.Payload = &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{
		Dimensions: &flywheelv1.Dimensions{
			Surface:       flywheelv1.Surface_SURFACE_INLINE_COMPLETION,
			Model:         "tab-7b@2026-11-20",
			Variant:       "control",
			Language:      "go",
			Client:        "acme-vscode",
			ClientVersion: "1.24.0",
			ViewKind:      flywheelv1.ViewKind_VIEW_KIND_GHOST_TEXT,
			Source:        flywheelv1.Source_SOURCE_NETWORK,
			Trigger:       flywheelv1.Trigger_TRIGGER_TYPING,
			User:          "u-83c1",
		},
		LatencyUs: 181_000,
	}}
	return e
}

// edit returns an ordinary event of the trace lane, with content.
func edit(at time.Time) *flywheelv1.Event {
	e := event(at)
	e.OpportunityId, e.InteractionId = nil, nil
	e.Content = &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Text: "return größe, nil"}
	e.Payload = &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
		Document: "doc-1", Version: 7, Offset: 120, InsertedLength: 18, Source: flywheelv1.EditSource_EDIT_SOURCE_USER,
	}}
	return e
}

// everyPayload returns an event for each payload of the contract, in which every
// field of the payload and of the content is set.
func everyPayload(at time.Time) []*flywheelv1.Event {
	var events []*flywheelv1.Event
	members := (&flywheelv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("payload").Fields()
	for i := range members.Len() {
		e := event(at)
		e.Content = &flywheelv1.Content{}
		fill(e.Content.ProtoReflect(), at)
		fill(e.ProtoReflect().Mutable(members.Get(i)).Message(), at)
		events = append(events, e)
	}
	return events
}

// fill sets every field of a message to a valid value.
func fill(m protoreflect.Message, at time.Time) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch fd.Kind() {
		case protoreflect.MessageKind:
			fill(m.Mutable(fd).Message(), at)
		case protoreflect.BytesKind:
			m.Set(fd, protoreflect.ValueOfBytes(newID(at)))
		case protoreflect.StringKind:
			m.Set(fd, protoreflect.ValueOfString("größe"))
		case protoreflect.BoolKind:
			m.Set(fd, protoreflect.ValueOfBool(true))
		case protoreflect.EnumKind:
			m.Set(fd, protoreflect.ValueOfEnum(fd.Enum().Values().Get(1).Number()))
		case protoreflect.FloatKind:
			m.Set(fd, protoreflect.ValueOfFloat32(0.5))
		case protoreflect.Uint32Kind:
			m.Set(fd, protoreflect.ValueOfUint32(30))
		case protoreflect.Uint64Kind:
			m.Set(fd, protoreflect.ValueOfUint64(1<<40))
		case protoreflect.Int64Kind:
			m.Set(fd, protoreflect.ValueOfInt64(1<<40))
		default:
			panic("no value for a " + fd.Kind().String())
		}
	}
}

func encode(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		tb.Fatalf("encode: %v", err)
	}
	return b
}
