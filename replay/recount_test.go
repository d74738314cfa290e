package replay

import (
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// story is what the events say about one interaction.
type story struct {
	generated *flywheelv1.Generated
	shown     *flywheelv1.Shown
	withheld  *flywheelv1.NotShown
	ended     *flywheelv1.Ended
	output    string
	visible   int64
	committed bool
	kept      map[uint32]uint64
}

// recount counts the events by model from their contents alone, as a report would.
func recount(t *testing.T, events []*flywheelv1.Event) map[string]*Counts {
	t.Helper()
	stories, counts := map[string]*story{}, map[string]*Counts{}
	models := map[string]string{}
	of := func(dims *flywheelv1.Dimensions) *Counts {
		if counts[dims.GetModel()] == nil {
			counts[dims.GetModel()] = newCounts()
		}
		return counts[dims.GetModel()]
	}
	for _, event := range events {
		if requested := event.GetRequested(); requested != nil {
			of(requested.GetDimensions()).Opportunities++
			models[string(event.GetOpportunityId())] = requested.GetDimensions().GetModel()
		}
		if id := string(event.GetInteractionId()); id != "" {
			if stories[id] == nil {
				stories[id] = &story{kept: map[uint32]uint64{}}
			}
			stories[id].take(event)
		}
	}
	for _, event := range events {
		if event.GetNotProduced() != nil {
			counts[models[string(event.GetOpportunityId())]].NotProduced++
		}
	}
	for _, s := range stories {
		switch {
		case s.shown != nil && s.withheld == nil:
			s.count(of(s.shown.GetDimensions()))
		case s.shown == nil && s.withheld != nil && s.ended == nil && s.visible == 0:
			c := of(s.withheld.GetDimensions())
			c.Suggestions++
			c.NotShown++
		default:
			t.Errorf("an interaction is neither shown nor withheld: %+v", s)
		}
	}
	return counts
}

func (s *story) take(event *flywheelv1.Event) {
	switch p := event.GetPayload().(type) {
	case *flywheelv1.Event_Generated:
		s.generated, s.output = p.Generated, event.GetContent().GetText()
	case *flywheelv1.Event_Shown:
		s.shown = p.Shown
	case *flywheelv1.Event_NotShown:
		s.withheld = p.NotShown
	case *flywheelv1.Event_Read:
		s.visible = max(s.visible, p.Read.GetVisibleUs())
	case *flywheelv1.Event_Ended:
		s.ended = p.Ended
		s.visible = max(s.visible, p.Ended.GetVisibleUs())
	case *flywheelv1.Event_TaskOutcome:
		s.committed = p.TaskOutcome.GetResult() == flywheelv1.TaskResult_TASK_RESULT_COMMITTED
	case *flywheelv1.Event_Retention:
		s.kept[p.Retention.GetDelayS()] = uint64(p.Retention.GetRetainedChars())
	}
}

// count adds a shown interaction.
func (s *story) count(c *Counts) {
	c.Suggestions++
	c.Shown++
	c.ShownChars += uint64(s.generated.GetOutputChars())
	if s.visible >= minRead.Microseconds() {
		c.Read++
	}
	if s.committed {
		c.Committed++
	}
	c.Undecided++
	if s.ended == nil {
		return
	}
	c.ended(s.ended.GetOutcome())
	c.AcceptedChars += uint64(s.ended.GetAcceptedChars())
	base, measured := s.kept[0]
	for i := range c.Retention {
		if chars, ok := s.kept[c.Retention[i].DelaySeconds]; ok && measured {
			c.kept(i, chars, base)
		}
	}
}

func TestTallyEqualsARecountOfTheEvents(t *testing.T) {
	t.Parallel()
	cfg := small(t)
	cfg.Interactions, cfg.Sessions, cfg.Workers = 1500, 25, 2
	tally, events := replayed(t, cfg)
	counts := recount(t, events)
	if len(counts) != len(tally.Models) {
		t.Errorf("%d models in the events, %d in the tally", len(counts), len(tally.Models))
	}
	for _, m := range tally.Models {
		if diff := cmp.Diff(counts[m.Model], &m.Counts); diff != "" {
			t.Errorf("%s (-events +tally):\n%s", m.Model, diff)
		}
	}
	kinds := map[string]uint64{}
	for _, event := range events {
		m := event.ProtoReflect()
		kinds[string(m.WhichOneof(m.Descriptor().Oneofs().ByName("payload")).Name())]++
	}
	if diff := cmp.Diff(kinds, tally.Events); diff != "" {
		t.Errorf("events by kind (-events +tally):\n%s", diff)
	}
}

// TestOutcomesAreWhatTheAuthorWrote checks the accepted and partially accepted
// suggestions against the documents that the edits make.
func TestOutcomesAreWhatTheAuthorWrote(t *testing.T) {
	t.Parallel()
	_, events := replayed(t, small(t))
	stories := map[string]*story{}
	for _, event := range events {
		if id := string(event.GetInteractionId()); id != "" {
			if stories[id] == nil {
				stories[id] = &story{kept: map[uint32]uint64{}}
			}
			stories[id].take(event)
		}
	}
	inserted := 0
	for _, event := range events {
		if event.GetEdit().GetSource() != flywheelv1.EditSource_EDIT_SOURCE_INTERACTION {
			continue
		}
		inserted++
		s, text := stories[string(event.GetInteractionId())], event.GetContent().GetText()
		chars := uint32(utf8.RuneCountInString(text))
		if s.ended.GetAcceptedChars() != chars {
			t.Errorf("%d characters inserted, %d accepted", chars, s.ended.GetAcceptedChars())
		}
		if text != s.output[:len(text)] {
			t.Errorf("inserted %q of %q", text, s.output)
		}
		whole := s.ended.GetOutcome() != flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED
		if whole != (text == s.output) {
			t.Errorf("%s: inserted %q of %q", s.ended.GetOutcome(), text, s.output)
		}
	}
	accepted, acceptances := 0, []flywheelv1.Outcome{
		flywheelv1.Outcome_OUTCOME_ACCEPTED, flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED,
		flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED,
	}
	for _, s := range stories {
		if slices.Contains(acceptances, s.ended.GetOutcome()) {
			accepted++
		}
	}
	if inserted != accepted || inserted == 0 {
		t.Errorf("%d suggestions inserted, %d accepted", inserted, accepted)
	}
}

// TestDocumentsEndAsTheSource checks that the edits of a finished document make the
// author's file.
func TestDocumentsEndAsTheSource(t *testing.T) {
	t.Parallel()
	cfg := small(t)
	cfg.Source, cfg.Interactions = goSource(t, "errors"), 400
	_, events := replayed(t, cfg)
	opened := open(t, cfg)
	known := map[string]bool{}
	for _, path := range opened.retyped {
		lines, err := opened.read(path)
		if err != nil {
			t.Fatal(err)
		}
		known[string(textOf(lines))] = true
	}
	texts, finished := documents(t, events), 0
	for _, event := range events {
		closed := event.GetDocumentClosed()
		if closed == nil || !closed.GetSaved() {
			continue
		}
		finished++
		if text := texts[string(event.GetSessionId())+closed.GetDocument()]; !known[text] {
			t.Errorf("document %s was saved as no file of the source: %.60q …", closed.GetDocument(), text)
		}
	}
	if finished == 0 {
		t.Error("no document was finished")
	}
}
