package signal

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// enum has the names of an enum's values by number: in lower case without the
// enum's prefix, and empty for the one that means not set.
type enum struct {
	name  string
	names []string
}

// The enums that are stored by name. They are never changed.
var (
	consents           = newEnum(flywheelv1.Consent(0).Descriptor())
	surfaces           = newEnum(flywheelv1.Surface(0).Descriptor())
	viewKinds          = newEnum(flywheelv1.ViewKind(0).Descriptor())
	sources            = newEnum(flywheelv1.Source(0).Descriptor())
	triggers           = newEnum(flywheelv1.Trigger(0).Descriptor())
	kinds              = newEnum(flywheelv1.InteractionKind(0).Descriptor())
	notProducedReasons = newEnum(flywheelv1.NotProducedReason(0).Descriptor())
	notShownReasons    = newEnum(flywheelv1.NotShownReason(0).Descriptor())
	outcomes           = newEnum(flywheelv1.Outcome(0).Descriptor())
	decisionSources    = newEnum(flywheelv1.DecisionSource(0).Descriptor())
	thumbs             = newEnum(flywheelv1.Thumb(0).Descriptor())
	taskResults        = newEnum(flywheelv1.TaskResult(0).Descriptor())
	editSources        = newEnum(flywheelv1.EditSource(0).Descriptor())
	roles              = newEnum(flywheelv1.Role(0).Descriptor())
	toolDecisions      = newEnum(flywheelv1.ToolDecision(0).Descriptor())
	toolStatuses       = newEnum(flywheelv1.ToolStatus(0).Descriptor())
)

func newEnum(desc protoreflect.EnumDescriptor) enum {
	values := desc.Values()
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	e := enum{name: strings.ToLower(strings.TrimSuffix(prefix, "_"))}
	for i := range values.Len() {
		value := values.Get(i)
		if grow := int(value.Number()) + 1 - len(e.names); grow > 0 {
			e.names = append(e.names, make([]string, grow)...)
		}
		if value.Number() != 0 {
			e.names[value.Number()] = strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix))
		}
	}
	return e
}

// naming names enum values and keeps the first error.
type naming struct{ err error }

// name returns the name of a value, empty for 0.
func (n *naming) name(e *enum, value int32) string {
	if value == 0 {
		return ""
	}
	if value > 0 && int(value) < len(e.names) && e.names[value] != "" {
		return e.names[value]
	}
	if n.err == nil {
		n.err = fmt.Errorf("%s %d is not known to this processor: a newer one is needed", strings.ReplaceAll(e.name, "_", " "), value)
	}
	return ""
}
