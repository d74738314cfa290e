package processor_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor"
)

// TestOpenLetter opens letters with events that are fine, refused, broken in a nested
// message, and none at all.
func TestOpenLetter(t *testing.T) {
	t.Parallel()
	fine := shownEvent("a")
	unknown := shownEvent("d")
	unknown.GetShown().Dimensions.Surface = 99
	wire, err := fine.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	// The last field is the payload with the dimensions with the model, whose length
	// points behind the end.
	at := bytes.LastIndexByte(wire, 'a')
	torn := slices.Clone(wire)
	torn[at-1] = 100
	letter, err := (&flywheelv1.LogBatch{BatchId: []byte("id"), ReceivedUnixUs: 5, Events: []*flywheelv1.Event{fine, unknown}}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	letter = append(append(letter, 2<<3|2, byte(len(torn))), torn...)
	letter = append(letter, 2<<3|2, 3, 0xff, 0xff, 0xff)
	letter = append(letter, 0xff)

	got := processor.OpenLetter("acme", letter)
	if string(got.BatchID) != "id" || got.Received.UnixMicro() != 5 || len(got.Events) != 5 || processor.EventCount(letter) != 5 {
		t.Fatalf("contents %+v", got)
	}
	if e := got.Events[0]; e.Err != nil || !proto.Equal(e.Event, fine) {
		t.Errorf("fine: %+v", e)
	}
	if e := got.Events[1]; e.Event == nil || e.Err == nil || !strings.Contains(e.Err.Error(), "surface 99") {
		t.Errorf("refused: %+v", e)
	}
	if e := got.Events[2]; e.Event != nil || e.Err == nil || e.ErrOffset != at-2 {
		t.Errorf("torn: %+v, want offset %d", e, at-2)
	}
	if e := got.Events[3]; e.Event != nil || e.Err == nil || e.ErrOffset != 0 {
		t.Errorf("garbage: %+v", e)
	}
	if e := got.Events[4]; e.Event != nil || e.Err == nil || len(e.Wire) != 1 {
		t.Errorf("broken batch: %+v", e)
	}
	if got := processor.OpenLetter("", nil); len(got.Events) != 0 || !got.Received.IsZero() {
		t.Errorf("nothing: %+v", got)
	}
}

func FuzzOpenLetter(f *testing.F) {
	f.Add([]byte{2<<3 | 2, 2, 1, 1})
	f.Fuzz(func(t *testing.T, letter []byte) {
		contents := processor.OpenLetter("acme", letter)
		for _, e := range contents.Events {
			if e.ErrOffset < 0 || e.ErrOffset > len(e.Wire) || e.Event == nil && e.Err == nil {
				t.Errorf("inconsistent event %+v", e)
			}
		}
	})
}
