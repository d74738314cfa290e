package signal_test

import (
	"slices"
	"strings"
	"testing"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor/signal"
)

// life is the wire bytes of the events of n interactions, six events and ten edits each:
// the standard mix of docs/performance.md.
func life(tb testing.TB, n int) [][]byte {
	tb.Helper()
	dimensions := &flywheelv1.Dimensions{
		Surface: flywheelv1.Surface_SURFACE_INLINE_COMPLETION, Model: "tab-7b@2026-11-20", Variant: "b", Language: "go",
		Client: "acme-vscode", ClientVersion: "1.96.2", ViewKind: flywheelv1.ViewKind_VIEW_KIND_GHOST_TEXT,
		Source: flywheelv1.Source_SOURCE_NETWORK, Trigger: flywheelv1.Trigger_TRIGGER_TYPING, User: "u-8f2c", Repository: "r-11",
	}
	logprob := float32(-0.3)
	prompt, output := strings.Repeat("if err != nil { return err }\n", 35), strings.Repeat("return nil\n", 18)
	var events [][]byte
	for range n {
		session, opportunity, interaction := newID(tb), newID(tb), newID(tb)
		add := func(e *flywheelv1.Event) {
			e.EventId, e.SessionId, e.OpportunityId, e.TimeUnixUs = newID(tb), session, opportunity, zero.UnixMicro()
			wire, err := e.MarshalVT()
			if err != nil {
				tb.Fatal(err)
			}
			events = append(events, wire)
		}
		for range 10 {
			add(&flywheelv1.Event{
				Content: &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Text: "return"},
				Payload: &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
					Document: "main.go", Version: 7, Offset: 12_345, InsertedLength: 6, Source: flywheelv1.EditSource_EDIT_SOURCE_USER,
				}},
			})
		}
		add(&flywheelv1.Event{Payload: &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: dimensions}}})
		add(&flywheelv1.Event{
			InteractionId: interaction, Content: &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Prompt: prompt, Text: output},
			Payload: &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{
				LatencyUs: 180_000, FirstTokenUs: 90_000, PromptTokens: 900, OutputTokens: 12, OutputChars: 40, OutputLines: 1, MeanLogprob: &logprob,
			}},
		})
		add(&flywheelv1.Event{InteractionId: interaction, Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: dimensions, LatencyUs: 200_000}}})
		add(&flywheelv1.Event{InteractionId: interaction, Payload: &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: 750_000}}})
		add(&flywheelv1.Event{InteractionId: interaction, Payload: &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{
			Outcome: flywheelv1.Outcome_OUTCOME_ACCEPTED, VisibleUs: 1_200_000, AcceptedChars: 40,
		}}})
		add(&flywheelv1.Event{InteractionId: interaction, Payload: &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{DelayS: 30, RetainedChars: 38}}})
	}
	// As in a record: one after the other.
	record := slices.Concat(events...)
	for i, event := range events {
		events[i], record = record[:len(event)], record[len(event):]
	}
	return events
}

func combine(tb testing.TB, b *signal.Batch, event *flywheelv1.Event, wires [][]byte) {
	tb.Helper()
	for _, wire := range wires {
		event.ResetVT()
		if err := event.UnmarshalVTUnsafe(wire); err != nil {
			tb.Fatal(err)
		}
		if err := b.Add("default", event); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkDecodeAndCombine measures an event from its bytes to its row.
func BenchmarkDecodeAndCombine(b *testing.B) {
	wires := life(b, 10_000)
	var batch signal.Batch
	event := &flywheelv1.Event{}
	b.ReportAllocs()
	for b.Loop() {
		combine(b, &batch, event, wires)
		batch.Reset()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(wires)), "ns/event")
}

// TestAllocations bounds what decoding and combining allocates once buffers have
// grown: the wrapper of the payload, and a pointer for an optional number.
func TestAllocations(t *testing.T) {
	wires := life(t, 100)
	var batch signal.Batch
	event := &flywheelv1.Event{}
	perEvent := testing.AllocsPerRun(20, func() {
		combine(t, &batch, event, wires)
		batch.Reset()
	}) / float64(len(wires))
	if perEvent > 2 {
		t.Errorf("%.2f allocations per event, want at most 2", perEvent)
	}
}
