package flywheel_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// clock is a virtual clock. It is safe for concurrent use.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// live emits one event of every kind.
func live(client *flywheel.Client, clock *clock) {
	s := client.Session(flywheel.SessionInfo{
		Client: "acme", ClientVersion: "1.2", User: "u1", Repository: "r1", Platform: "linux/amd64",
	})
	s.DocumentOpened(flywheel.Document{Name: "d", Version: 1, Language: "go", Text: "pack"})
	dims := flywheel.Dimensions{
		Surface: flywheel.SurfaceNextEdit, Model: "m@1", Variant: "v", Experiment: "e", Language: "go", ClientSetting: "eager",
		ViewKind: flywheel.ViewGhostText, Source: flywheel.SourceNetwork, Trigger: flywheel.TriggerTyping,
	}
	nothing := s.OpportunityWithPrompt(dims, "prömpt")
	clock.advance(time.Second)
	nothing.NotProduced(flywheel.NotProducedNoEdit, "none", 0)
	o := s.Opportunity(dims)
	clock.advance(200 * time.Millisecond)
	a := o.Suggest(flywheel.Suggestion{
		Kind: flywheel.KindEdit, Prompt: "pack", Output: "age é\n}", FirstToken: time.Millisecond,
		PromptTokens: 3, CachedTokens: 2, OutputTokens: 4, MeanLogprob: new(float32(-0.5)),
	})
	b := o.Suggest(flywheel.Suggestion{Latency: 7 * time.Microsecond, OutputChars: 9, OutputLines: 3})
	b.NotShown(flywheel.NotShownStale)
	clock.advance(50 * time.Millisecond)
	a.Shown(flywheel.Shown{ViewKind: flywheel.ViewInlineDiff, Source: flywheel.SourceCache})
	clock.advance(time.Second)
	a.Read(0)
	a.PartiallyAccepted(3, 1)
	a.Accepted()
	s.Edit(flywheel.Edit{Document: "d", Version: 2, Offset: 4, Removed: 1, Text: "é", Source: flywheel.EditByInteraction, Interaction: a})
	a.AcceptedModified("age ê")
	a.AutoAccepted()
	a.Rejected("escape")
	a.Ignored()
	a.Superseded(b)
	a.Cancelled()
	clock.advance(2 * time.Second)
	a.Alternative("é")
	a.NoAlternative()
	a.Retained(flywheel.Retention{Delay: 30 * time.Second, RetainedChars: 5, FourGram: new(float32(1.5)), BranchChanged: true})
	a.Feedback(flywheel.Feedback{Thumb: flywheel.ThumbDown, Rating: new(uint32(0)), Author: "user", Correction: "agé", Comment: "no"})
	a.Outcome(flywheel.TaskTestsPassed, "go test")
	s.Feedback(flywheel.Feedback{Thumb: flywheel.ThumbUp})
	s.Outcome(flywheel.TaskSolved, "")
	s.Selection(flywheel.Selection{Document: "d", Version: 2, Anchor: 1, Head: 2})
	s.Message(flywheel.Message{Role: flywheel.RoleUser, Model: "m", Text: "hé", Tokens: 1, Interaction: a})
	s.ToolCall(flywheel.ToolCall{
		CallID: "c", Tool: "t", Kind: "mcp", Decision: flywheel.ToolApproved, DecidedBy: flywheel.DecidedByHook,
		Status: flywheel.ToolError, Duration: time.Second, ErrorType: "x", Arguments: "{}", Result: "r",
	})
	s.DocumentClosed(flywheel.Document{Name: "d", Version: 3, Saved: true})
	s.End("done")
}

// lived is what [live] must send, without ids and times.
func lived() []*flywheelv1.Event {
	dims := func(view flywheel.ViewKind, source flywheel.Source) *flywheelv1.Dimensions {
		return &flywheelv1.Dimensions{
			Surface: flywheel.SurfaceNextEdit, Model: "m@1", Variant: "v", Experiment: "e", Language: "go",
			Client: "acme", ClientVersion: "1.2", ClientSetting: "eager", ViewKind: view, Source: source,
			Trigger: flywheel.TriggerTyping, User: "u1", Repository: "r1",
		}
	}
	usual := dims(flywheel.ViewGhostText, flywheel.SourceNetwork)
	user, none := flywheel.DecidedByUser, flywheelv1.DecisionSource_DECISION_SOURCE_UNSPECIFIED
	return append([]*flywheelv1.Event{
		{Payload: &flywheelv1.Event_SessionStarted{SessionStarted: &flywheelv1.SessionStarted{
			Client: "acme", ClientVersion: "1.2", User: "u1", Repository: "r1", Platform: "linux/amd64",
		}}},
		{
			Payload: &flywheelv1.Event_DocumentOpened{DocumentOpened: &flywheelv1.DocumentOpened{Document: "d", Version: 1, Language: "go", Length: 4}},
			Content: content(&flywheelv1.Content{Text: "pack"}),
		},
		{
			Payload: &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: usual}},
			Content: content(&flywheelv1.Content{Prompt: "prömpt"}),
		},
		{Payload: &flywheelv1.Event_NotProduced{NotProduced: &flywheelv1.NotProduced{
			Reason: flywheel.NotProducedNoEdit, Detail: "none", LatencyUs: 1_000_000,
		}}},
		{Payload: &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: usual}}},
		{
			Payload: &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{
				Kind: flywheel.KindEdit, FirstTokenUs: 1000, LatencyUs: 200_000, PromptTokens: 3, CachedTokens: 2,
				OutputTokens: 4, OutputChars: 7, OutputLines: 2, MeanLogprob: new(float32(-0.5)),
			}},
			Content: content(&flywheelv1.Content{Prompt: "pack", Text: "age é\n}"}),
		},
		{Payload: &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{LatencyUs: 7, OutputChars: 9, OutputLines: 3}}},
		{Payload: &flywheelv1.Event_NotShown{NotShown: &flywheelv1.NotShown{Reason: flywheel.NotShownStale, Dimensions: usual}}},
		{Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{
			Dimensions: dims(flywheel.ViewInlineDiff, flywheel.SourceCache), LatencyUs: 250_000,
		}}},
		{Payload: &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: 1_000_000}}},
		{Payload: ended(flywheel.OutcomePartiallyAccepted, user, 3, 1, "")},
		{Payload: ended(flywheel.OutcomeAccepted, user, 7, 2, "")},
		{
			Payload: &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
				Document: "d", Version: 2, Offset: 4, RemovedLength: 1, InsertedLength: 2, Source: flywheel.EditByInteraction,
			}},
			Content: content(&flywheelv1.Content{Text: "é"}),
		},
		{
			Payload: ended(flywheel.OutcomeAcceptedModified, user, 7, 2, ""),
			Content: content(&flywheelv1.Content{UserText: "age ê"}),
		},
		{Payload: ended(flywheel.OutcomeAutoAccepted, flywheel.DecidedByConfig, 7, 2, "")},
		{Payload: ended(flywheel.OutcomeRejected, user, 0, 0, "escape")},
		{Payload: ended(flywheel.OutcomeIgnored, none, 0, 0, "")},
		{Payload: ended(flywheel.OutcomeSuperseded, none, 0, 0, "")},
		{Payload: ended(flywheel.OutcomeCancelled, none, 0, 0, "")},
	}, livedAfterwards()...)
}

// content is text that may be used for training.
func content(c *flywheelv1.Content) *flywheelv1.Content {
	c.Consent = flywheel.ConsentTraining
	return c
}

// ended is an outcome of something that was visible for a second.
func ended(outcome flywheel.Outcome, by flywheel.DecisionSource, chars, lines uint32, detail string) *flywheelv1.Event_Ended {
	return &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{
		Outcome: outcome, DecidedBy: by, VisibleUs: 1_000_000, AcceptedChars: chars, AcceptedLines: lines, Detail: detail,
	}}
}

// livedAfterwards is the part of [lived] after the outcomes.
func livedAfterwards() []*flywheelv1.Event {
	return []*flywheelv1.Event{
		{
			Payload: &flywheelv1.Event_Alternative{Alternative: &flywheelv1.Alternative{SettleUs: 2_000_000, UserChars: 1}},
			Content: content(&flywheelv1.Content{UserText: "é"}),
		},
		{Payload: &flywheelv1.Event_Alternative{Alternative: &flywheelv1.Alternative{NoEdit: true, SettleUs: 2_000_000}}},
		{Payload: &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{
			DelayS: 30, RetainedChars: 5, FourGram: new(float32(1)), BranchChanged: true,
		}}},
		{
			Payload: &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{
				Thumb: flywheel.ThumbDown, Rating: new(uint32(0)), Author: "user", Correction: true,
			}},
			Content: content(&flywheelv1.Content{UserText: "agé", Comment: "no"}),
		},
		{Payload: &flywheelv1.Event_TaskOutcome{TaskOutcome: &flywheelv1.TaskOutcome{Result: flywheel.TaskTestsPassed, Detail: "go test"}}},
		{Payload: &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{Thumb: flywheel.ThumbUp}}},
		{Payload: &flywheelv1.Event_TaskOutcome{TaskOutcome: &flywheelv1.TaskOutcome{Result: flywheel.TaskSolved}}},
		{Payload: &flywheelv1.Event_Selection{Selection: &flywheelv1.Selection{Document: "d", Version: 2, Anchor: 1, Head: 2}}},
		{
			Payload: &flywheelv1.Event_Message{Message: &flywheelv1.Message{Role: flywheel.RoleUser, Model: "m", Tokens: 1, Chars: 2}},
			Content: content(&flywheelv1.Content{Text: "hé"}),
		},
		{
			Payload: &flywheelv1.Event_ToolCall{ToolCall: &flywheelv1.ToolCall{
				CallId: "c", Tool: "t", Kind: "mcp", Decision: flywheel.ToolApproved, DecidedBy: flywheel.DecidedByHook,
				Status: flywheel.ToolError, DurationUs: 1_000_000, ErrorType: "x",
			}},
			Content: content(&flywheelv1.Content{Text: "r", Arguments: "{}"}),
		},
		{Payload: &flywheelv1.Event_DocumentClosed{DocumentClosed: &flywheelv1.DocumentClosed{Document: "d", Version: 3, Saved: true}}},
		{Payload: &flywheelv1.Event_SessionEnded{SessionEnded: &flywheelv1.SessionEnded{Reason: "done"}}},
	}
}

// TestEvents checks what each method sends.
func TestEvents(t *testing.T) {
	t.Parallel()
	f, clock := newFake(t, nil), newClock()
	client := dial(t, f, flywheel.WithClock(clock.read), flywheel.WithContent(flywheel.ConsentTraining))
	live(client, clock)
	flush(t, client)
	got := f.events()
	diff := cmp.Diff(lived(), got, protocmp.Transform(),
		protocmp.IgnoreFields(&flywheelv1.Event{}, "event_id", "session_id", "opportunity_id", "interaction_id", "time_unix_us", "sequence"),
		protocmp.IgnoreFields(&flywheelv1.Ended{}, "superseded_by"))
	if diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	checkIDs(t, got)
}

// checkIDs checks what ties the events of [live] together.
func checkIDs(t *testing.T, events []*flywheelv1.Event) {
	t.Helper()
	byOpportunity, byInteraction := map[string]int{}, map[string]int{}
	for i, e := range events {
		if got := e.GetSequence(); got != uint64(i+1) {
			t.Errorf("event %d has the sequence %d", i, got)
		}
		if !bytes.Equal(e.GetSessionId(), events[0].GetSessionId()) {
			t.Errorf("event %d is of session %x", i, e.GetSessionId())
		}
		if i > 0 && (bytes.Compare(events[i-1].GetEventId(), e.GetEventId()) >= 0 || events[i-1].GetTimeUnixUs() > e.GetTimeUnixUs()) {
			t.Errorf("event %d comes before the one before", i)
		}
		byOpportunity[string(e.GetOpportunityId())]++
		byInteraction[string(e.GetInteractionId())]++
	}
	// Session start and end, documents, selection, session feedback and outcome and
	// the tool call are about none; "requested" and "not produced" about no
	// interaction.
	delete(byOpportunity, "")
	delete(byInteraction, "")
	counts := func(by map[string]int) []int {
		var all []int
		for id, n := range by {
			if len(id) != 16 || id[6]>>4 != 7 {
				t.Errorf("%x is not a UUIDv7", id)
			}
			all = append(all, n)
		}
		slices.Sort(all)
		return all
	}
	if got := counts(byOpportunity); !slices.Equal(got, []int{2, 21}) {
		t.Errorf("events by opportunity: %v", got)
	}
	if got := counts(byInteraction); !slices.Equal(got, []int{2, 18}) {
		t.Errorf("events by interaction: %v", got)
	}
	superseded := events[17].GetEnded().GetSupersededBy()
	if !bytes.Equal(superseded, events[6].GetInteractionId()) {
		t.Errorf("superseded by %x", superseded)
	}
}

// TestContentNeedsConsent: without it the same events are sent, with no text.
func TestContentNeedsConsent(t *testing.T) {
	t.Parallel()
	f, clock := newFake(t, nil), newClock()
	client := dial(t, f, flywheel.WithClock(clock.read))
	live(client, clock)
	flush(t, client)
	want := lived()
	for _, e := range want {
		e.Content = nil
	}
	diff := cmp.Diff(want, f.events(), protocmp.Transform(),
		protocmp.IgnoreFields(&flywheelv1.Event{}, "event_id", "session_id", "opportunity_id", "interaction_id", "time_unix_us", "sequence"),
		protocmp.IgnoreFields(&flywheelv1.Ended{}, "superseded_by"))
	if diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, b := range f.got() {
		for _, text := range []string{"prömpt", "pack", "age é"} {
			if bytes.Contains(b.raw, []byte(text)) {
				t.Errorf("%q left the process", text)
			}
		}
	}
}

// TestOddTextLosesNoEvent: what does not fit the contract is made to fit, or left out.
func TestOddTextLosesNoEvent(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	client := dial(t, f, flywheel.WithContent(flywheel.ConsentDiagnostics), flywheel.WithMaxContent(1000))
	s := client.Session(flywheel.SessionInfo{Client: strings.Repeat("ö", 200)})
	s.Edit(flywheel.Edit{Document: "a\xffb", Text: "\xff"})
	s.Message(flywheel.Message{Role: flywheel.RoleUser, Text: strings.Repeat("x", 1001)})
	s.Outcome(flywheel.TaskSolved, strings.Repeat("d", 2000))
	flush(t, client)
	check(t, client, flywheel.Stats{Sent: 4, Accepted: 4, Repaired: 4, ContentOmitted: 1})
	got := f.events()
	if name := got[0].GetSessionStarted().GetClient(); len(name) != 256 || !utf8.ValidString(name) {
		t.Errorf("client: %q", name)
	}
	if e := got[1]; e.GetEdit().GetDocument() != "a\uFFFDb" || e.GetContent().GetText() != "\uFFFD" || e.GetEdit().GetInsertedLength() != 1 {
		t.Errorf("edit: %v", e)
	}
	if e := got[2]; e.GetContent() != nil || e.GetMessage().GetChars() != 1001 {
		t.Errorf("message: %v", e)
	}
	if n := len(got[3].GetTaskOutcome().GetDetail()); n != 1024 {
		t.Errorf("detail has %d bytes", n)
	}
}

// TestReproducible: the same clock and seed give the same events, ids included,
// whatever the client did before the session.
func TestReproducible(t *testing.T) {
	t.Parallel()
	record := func(before int) [][]byte {
		f, clock, source := newFake(t, nil), newClock(), rand.NewChaCha8([32]byte{1})
		client := dial(t, f, flywheel.WithClock(clock.read), flywheel.WithRandom(source), flywheel.WithBatch(1+before, 1<<20, time.Second))
		for range before {
			client.Session(flywheel.SessionInfo{})
		}
		source.Seed([32]byte{2})
		live(client, clock)
		flush(t, client)
		var all [][]byte
		for _, e := range f.events()[before:] {
			data, err := e.MarshalVT()
			if err != nil {
				t.Fatalf("MarshalVT: %v", err)
			}
			all = append(all, data)
		}
		return all
	}
	if a, b := record(0), record(3); !slices.EqualFunc(a, b, bytes.Equal) {
		t.Error("two runs differ")
	}
}

// TestResume: an interaction of another process goes on under its ids.
func TestResume(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	client := dial(t, f)
	s := client.Session(flywheel.SessionInfo{})
	o := s.Opportunity(flywheel.Dimensions{})
	i := o.Suggest(flywheel.Suggestion{})
	client.Resume(s.ID(), o.ID(), i.ID()).Feedback(flywheel.Feedback{Thumb: flywheel.ThumbUp})
	client.Resume(s.ID(), flywheel.ID{}, i.ID()).Outcome(flywheel.TaskMerged, "")
	child := client.Session(flywheel.SessionInfo{Parent: s})
	flush(t, client)
	got := f.events()
	for _, e := range got[3:5] {
		if string(e.GetSessionId()) != idString(s.ID()) || string(e.GetInteractionId()) != idString(i.ID()) || e.GetSequence() != 0 {
			t.Errorf("event: %v", e)
		}
	}
	if string(got[3].GetOpportunityId()) != idString(o.ID()) || got[4].GetOpportunityId() != nil {
		t.Errorf("opportunities: %x, %x", got[3].GetOpportunityId(), got[4].GetOpportunityId())
	}
	if e := got[5]; string(e.GetSessionStarted().GetParentSessionId()) != idString(s.ID()) || string(e.GetSessionId()) != idString(child.ID()) {
		t.Errorf("child: %v", e)
	}
}

func idString(id flywheel.ID) string { return string(id[:]) }

// TestConcurrentUse emits from several goroutines while others flush and count.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 500
	f := newFake(t, nil)
	client := dial(t, f, flywheel.WithBatch(64, 1<<20, time.Millisecond))
	s := client.Session(flywheel.SessionInfo{})
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() { selections(s, g*each, each) })
	}
	group.Go(func() {
		for range 20 {
			flush(t, client)
			client.Stats()
		}
	})
	group.Wait()
	flush(t, client)
	got := numbers(f.events())
	slices.Sort(got)
	if !slices.Equal(got, upTo(goroutines*each)) {
		t.Errorf("%d events arrived, want %d", len(got), goroutines*each)
	}
	sequences := map[uint64]bool{}
	for _, e := range f.events() {
		sequences[e.GetSequence()] = true
	}
	if len(sequences) != goroutines*each+1 {
		t.Errorf("%d positions in the session", len(sequences))
	}
}
