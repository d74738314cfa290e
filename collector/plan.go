package collector

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
)

// defaultMaxBytes is the largest string or bytes field whose rules name none.
const defaultMaxBytes = 256

// maxFields is how many fields a message may have: one bit of a word each.
const maxFields = 64

// eventPlan is the contract of an event as a table, for checking its wire bytes.
// It is immutable and safe for concurrent use.
type eventPlan struct {
	event    *messagePlan
	maxBytes int
	// payloads has the bits of the members of Event.payload, and rules what each
	// of them, by bit, puts on its event.
	payloads uint64
	rules    [maxFields]payloadRules
}

// payloadRules are the event_rules of one payload.
type payloadRules struct {
	lane     eventlog.Lane
	requires uint64 // bits of fields of the event
}

// messagePlan is the contract of one message.
type messagePlan struct {
	name string
	// fields is indexed by field number; unused numbers are nil.
	fields   []*fieldPlan
	required uint64
	// names has the names of the fields by bit.
	names []string
}

// kind is how the value of a field is read.
type kind uint8

const (
	kindUnknown kind = iota
	kindBool
	kindEnum
	kindInt32
	kindInt64
	kindUint32
	kindUint64
	kindFloat
	kindDouble
	kindString
	kindBytes
	kindMessage
)

// fieldPlan is the contract of one field.
type fieldPlan struct {
	kind kind
	wire uint8
	// explicit: the field has presence, so that its zero value is a value.
	explicit bool
	uuid7    bool
	// timed: the time inside the UUIDv7 places the event in a partition.
	timed  bool
	unixUS bool
	ranged bool
	bit    uint64
	// maxBytes bounds strings, bytes and messages.
	maxBytes int
	// enum has the bits of the known values.
	enum     uint64
	min, max float64
	message  *messagePlan
	name     string
}

// readAs returns how the plan reads a protobuf kind and its wire type, and
// kindUnknown when it cannot.
func readAs(k protoreflect.Kind) (kind, uint8) {
	switch k {
	case protoreflect.BoolKind:
		return kindBool, wireVarint
	case protoreflect.EnumKind:
		return kindEnum, wireVarint
	case protoreflect.Int32Kind:
		return kindInt32, wireVarint
	case protoreflect.Int64Kind:
		return kindInt64, wireVarint
	case protoreflect.Uint32Kind:
		return kindUint32, wireVarint
	case protoreflect.Uint64Kind:
		return kindUint64, wireVarint
	case protoreflect.FloatKind:
		return kindFloat, wireFixed32
	case protoreflect.DoubleKind:
		return kindDouble, wireFixed64
	case protoreflect.StringKind:
		return kindString, wireBytes
	case protoreflect.BytesKind:
		return kindBytes, wireBytes
	case protoreflect.MessageKind:
		return kindMessage, wireBytes
	default:
		return kindUnknown, 0
	}
}

// compile turns the descriptors of Event and of all that it contains into a plan.
// An error means that the contract uses something the plan cannot check: it is a
// defect of this build, not of an event.
func compile(maxEventBytes, maxContentBytes int) (*eventPlan, error) {
	desc := (&flywheelv1.Event{}).ProtoReflect().Descriptor()
	event, err := compileMessage(desc, nil)
	if err != nil {
		return nil, fmt.Errorf("compile the rules of %s: %w", desc.FullName(), err)
	}
	p := &eventPlan{event: event, maxBytes: maxEventBytes}
	event.field(desc, "content").maxBytes = maxContentBytes
	for _, name := range []protoreflect.Name{"session_id", "opportunity_id", "interaction_id"} {
		event.field(desc, name).timed = true
	}
	opportunity := event.field(desc, "opportunity_id").bit
	interaction := event.field(desc, "interaction_id").bit
	members := desc.Oneofs().ByName("payload").Fields()
	for i := range members.Len() {
		member := members.Get(i)
		rules, err := compilePayload(member, opportunity, interaction)
		if err != nil {
			return nil, err
		}
		p.payloads |= 1 << member.Index()
		p.rules[member.Index()] = rules
	}
	return p, nil
}

// compilePayload reads the event_rules of a member of Event.payload.
func compilePayload(member protoreflect.FieldDescriptor, opportunity, interaction uint64) (payloadRules, error) {
	rules, _ := proto.GetExtension(member.Options(), flywheelv1.E_EventRules).(*flywheelv1.EventRules)
	var compiled payloadRules
	switch rules.GetLane() {
	case flywheelv1.Lane_LANE_OUTCOME:
		compiled.lane = eventlog.Outcome
	case flywheelv1.Lane_LANE_TRACE:
		compiled.lane = eventlog.Trace
	default:
		return compiled, fmt.Errorf("compile the rules of %s: it has no lane", member.FullName())
	}
	if rules.GetOpportunity() {
		compiled.requires |= opportunity
	}
	if rules.GetInteraction() {
		compiled.requires |= interaction
	}
	return compiled, nil
}

// field returns the plan of a field that the contract is known to have.
func (m *messagePlan) field(desc protoreflect.MessageDescriptor, name protoreflect.Name) *fieldPlan {
	return m.fields[desc.Fields().ByName(name).Number()]
}

// compileMessage compiles desc; within names the messages that contain it.
func compileMessage(desc protoreflect.MessageDescriptor, within []protoreflect.FullName) (*messagePlan, error) {
	if slices.Contains(within, desc.FullName()) {
		return nil, fmt.Errorf("%s contains itself", desc.FullName())
	}
	within = append(slices.Clone(within), desc.FullName())
	fields := desc.Fields()
	if fields.Len() > maxFields {
		return nil, fmt.Errorf("%s has more than %d fields", desc.FullName(), maxFields)
	}
	m := &messagePlan{name: string(desc.Name())}
	for i := range fields.Len() {
		fd := fields.Get(i)
		field, err := compileField(fd, within)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", fd.FullName(), err)
		}
		if grow := int(fd.Number()) + 1 - len(m.fields); grow > 0 {
			m.fields = append(m.fields, make([]*fieldPlan, grow)...)
		}
		m.fields[fd.Number()] = &field
		m.names = append(m.names, field.name)
		if rulesOf(fd).GetRequired() {
			m.required |= field.bit
		}
	}
	return m, nil
}

func rulesOf(fd protoreflect.FieldDescriptor) *flywheelv1.FieldRules {
	rules, _ := proto.GetExtension(fd.Options(), flywheelv1.E_Rules).(*flywheelv1.FieldRules)
	return rules
}

func compileField(fd protoreflect.FieldDescriptor, within []protoreflect.FullName) (fieldPlan, error) {
	read, wire := readAs(fd.Kind())
	if read == kindUnknown || fd.Cardinality() == protoreflect.Repeated {
		return fieldPlan{}, fmt.Errorf("the plan cannot check a %s %s", fd.Cardinality(), fd.Kind())
	}
	rules := rulesOf(fd)
	field := fieldPlan{
		kind:     read,
		wire:     wire,
		explicit: fd.HasPresence(),
		uuid7:    rules.GetUuid7(),
		unixUS:   rules.GetUnixUs(),
		ranged:   rules.GetMax() != 0,
		bit:      1 << fd.Index(),
		maxBytes: math.MaxInt,
		min:      rules.GetMin(),
		max:      rules.GetMax(),
		name:     string(fd.Name()),
	}
	switch {
	case field.uuid7 && field.kind != kindBytes:
		return fieldPlan{}, fmt.Errorf("uuid7 is for bytes, not for %s", fd.Kind())
	case field.unixUS && field.kind != kindInt64:
		return fieldPlan{}, fmt.Errorf("unix_us is for int64, not for %s", fd.Kind())
	case field.ranged && (field.wire == wireBytes || field.kind == kindBool || field.kind == kindEnum):
		return fieldPlan{}, fmt.Errorf("min and max are for numbers, not for %s", fd.Kind())
	}
	var err error
	switch field.kind {
	case kindString, kindBytes:
		field.maxBytes = defaultMaxBytes
		if n := rules.GetMaxBytes(); n != 0 {
			field.maxBytes = int(n)
		}
	case kindEnum:
		field.enum, err = compileEnum(fd.Enum())
	case kindMessage:
		field.message, err = compileMessage(fd.Message(), within)
	default: // the kind says it all
	}
	return field, err
}

// compileEnum returns the bits of the values of an enum.
func compileEnum(desc protoreflect.EnumDescriptor) (uint64, error) {
	var known uint64
	values := desc.Values()
	for i := range values.Len() {
		number := values.Get(i).Number()
		if number < 0 || number >= 64 {
			return 0, fmt.Errorf("%s has the value %d: the plan knows 0 to 63", desc.FullName(), number)
		}
		known |= 1 << number
	}
	return known, nil
}
