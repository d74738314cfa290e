package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// The service of OTLP for logs (opentelemetry-proto, collector/logs/v1).
const otlpExport = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

// uuidText is the length of an id as text.
const uuidText = 36

// otlpFormat is the same events as log records of OTLP (opentelemetry-proto, logs/v1):
// the session is the trace, text is the body, and everything else is attributes.
func otlpFormat() format { return otlpFormatOf("bench") }

// otlpFormatOf is the format of the records of a service.
func otlpFormatOf(service string) format {
	resource := appendAttribute(nil, 1, "service.name", textValue(service))
	scope, _ := appendFramed(nil, 1, protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "bench"))
	return format{
		event:      otlpRecord,
		putID:      putText,
		putSession: func(b []byte, id *uuid.UUID) { copy(b, id[:]) },
		putTime:    func(b []byte, at time.Time) { binary.LittleEndian.PutUint64(b, uint64(at.UnixNano())) },
		begin: func(b []byte, _ uuid.UUID, size int) []byte {
			framed := protowire.SizeTag(1) + protowire.SizeBytes(len(resource))
			inner := len(scope) + size
			b = protowire.AppendTag(b, 1, protowire.BytesType)
			b = protowire.AppendVarint(b, uint64(framed+protowire.SizeTag(2)+protowire.SizeBytes(inner)))
			b, _ = appendFramed(b, 1, resource)
			b = protowire.AppendTag(b, 2, protowire.BytesType)
			return append(protowire.AppendVarint(b, uint64(inner)), scope...)
		},
	}
}

// putText writes an id as text.
func putText(b []byte, id *uuid.UUID) {
	at := 0
	for _, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if at > 0 {
			b[at] = '-'
			at++
		}
		at += hex.Encode(b[at:], part)
	}
}

// otlpRecord appends an event as a LogRecord, field 2 of ScopeLogs.
func otlpRecord(b []byte, e *flywheelv1.Event, interaction bool) ([]byte, mark, error) {
	var m mark
	record := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	m.time = uint16(len(record))
	record = protowire.AppendFixed64(record, 0)
	record = protowire.AppendTag(record, 9, protowire.BytesType)
	record = protowire.AppendBytes(record, make([]byte, len(uuid.UUID{})))
	m.session = uint16(len(record) - len(uuid.UUID{}))
	id := func(name string) uint16 {
		record = appendAttribute(record, 6, name, textValue(strings.Repeat("0", uuidText)))
		return uint16(len(record) - uuidText)
	}
	m.event, m.opportunity = id("event.id"), id("opportunity.id")
	if interaction {
		m.interaction = id("interaction.id")
	}
	record = appendAttribute(record, 6, "sequence", numberValue(e.GetSequence()))
	if c := e.GetContent(); c != nil {
		record, _ = appendFramed(record, 5, textValue(c.GetText()))
		record = appendAttribute(record, 6, "consent", enumValue(c.GetConsent().Descriptor(), c.GetConsent().Number()))
		if c.GetPrompt() != "" {
			record = appendAttribute(record, 6, "prompt", textValue(c.GetPrompt()))
		}
	}
	event := e.ProtoReflect()
	payload := event.WhichOneof(event.Descriptor().Oneofs().ByName("payload"))
	record = protowire.AppendString(protowire.AppendTag(record, 12, protowire.BytesType), string(payload.Name()))
	record, err := appendAttributes(record, event.Get(payload).Message())
	if err != nil {
		return b, mark{}, err
	}
	b, head := appendFramed(b, 2, record)
	m.moveBy(head)
	return b, m, nil
}

// appendAttributes appends the fields of a message that are set, those of messages in it too.
func appendAttributes(record []byte, m protoreflect.Message) (all []byte, err error) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(field.Name())
		switch field.Kind() {
		case protoreflect.MessageKind:
			record, err = appendAttributes(record, v.Message())
		case protoreflect.StringKind:
			record = appendAttribute(record, 6, name, textValue(v.String()))
		case protoreflect.EnumKind:
			record = appendAttribute(record, 6, name, enumValue(field.Enum(), v.Enum()))
		case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
			record = appendAttribute(record, 6, name, numberValue(v.Uint()))
		case protoreflect.Int32Kind, protoreflect.Int64Kind:
			record = appendAttribute(record, 6, name, numberValue(uint64(v.Int())))
		case protoreflect.FloatKind:
			record = appendAttribute(record, 6, name, textValue(v.String()))
		default:
			err = fmt.Errorf("%s: the standard mix has no fields of the kind %s", field.FullName(), field.Kind())
		}
		return err == nil
	})
	return record, err
}

// appendAttribute appends a KeyValue whose value is an AnyValue.
func appendAttribute(b []byte, number protowire.Number, key string, value []byte) []byte {
	pair := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
	pair, _ = appendFramed(pair, 2, value)
	b, _ = appendFramed(b, number, pair)
	return b
}

func textValue(text string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), text)
}

// enumValue is the name of a value without that of its enum, in lower case.
func enumValue(enum protoreflect.EnumDescriptor, n protoreflect.EnumNumber) []byte {
	prefix := strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), "UNSPECIFIED")
	return textValue(strings.ToLower(strings.TrimPrefix(string(enum.Values().ByNumber(n).Name()), prefix)))
}

func numberValue(n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), n)
}

// exportResponse is an ExportLogsServiceResponse as it came.
type exportResponse struct{ wire []byte }

// accepted is an error when some records were refused.
func (r *exportResponse) accepted() error {
	for b := r.wire; len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || number != 1 || kind != protowire.BytesType {
			return fmt.Errorf("the answer is no ExportLogsServiceResponse: % x", r.wire)
		}
		partial, m := protowire.ConsumeBytes(b[n:])
		if m < 0 || len(partial) > 0 {
			return fmt.Errorf("records were refused: %q", partial)
		}
		b = b[n+m:]
	}
	return nil
}
