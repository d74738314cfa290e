package collector

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// TestEveryPayloadHasALane keeps the contract complete: a payload without a lane
// stops every collector from starting.
func TestEveryPayloadHasALane(t *testing.T) {
	t.Parallel()
	members := (&flywheelv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("payload").Fields()
	for i := range members.Len() {
		member := members.Get(i)
		rules, _ := proto.GetExtension(member.Options(), flywheelv1.E_EventRules).(*flywheelv1.EventRules)
		want := flywheelv1.Lane_LANE_OUTCOME
		if member.Number() >= 40 {
			want = flywheelv1.Lane_LANE_TRACE
		}
		if got := rules.GetLane(); got != want {
			t.Errorf("%s has the lane %v, want %v", member.FullName(), got, want)
		}
	}
}

func TestCompileRefusesWhatItCannotCheck(t *testing.T) {
	t.Parallel()
	request := (&flywheelv1.CollectRequest{}).ProtoReflect().Descriptor()
	if _, err := compileMessage(request, nil); err == nil {
		t.Error("a repeated field: compiled")
	}
	content := (&flywheelv1.Content{}).ProtoReflect().Descriptor()
	if _, err := compileMessage(content, []protoreflect.FullName{content.FullName()}); err == nil {
		t.Error("a message within itself: compiled")
	}
	// descriptorpb's editions go up to a value above 63.
	edition := descriptorpb.Edition(0).Descriptor()
	if _, err := compileEnum(edition); err == nil {
		t.Error("an enum with large values: compiled")
	}
}
