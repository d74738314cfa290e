package ledger

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

const (
	models       = 3
	visibleUs    = 1_200_000
	outputChars  = 120
	editsPer     = 3
	perSession   = 10
	skewedOneOf  = 12
	maxSkew      = 2 * time.Hour
	silentOneOf  = 10
	minRead      = 750 * time.Millisecond
	outcomeKinds = int(flywheelv1.Outcome_OUTCOME_CANCELLED)
)

// mix makes the events of interactions from a seed. It is for one goroutine.
type mix struct {
	random   *rand.Rand
	session  uuid.UUID
	sequence uint64
	made     int
	// skew is how wrong the clock of the current session is.
	skew time.Duration
}

func newMix(seed, client uint64) *mix { return &mix{random: rand.New(rand.NewPCG(seed, client))} }

func (m *mix) id(at time.Time) uuid.UUID { return NewID(m.random, at) }

// NewID is a UUIDv7 of the given time; the rest of it is drawn from random.
func NewID(random *rand.Rand, at time.Time) (id uuid.UUID) {
	high, low := random.Uint64(), random.Uint64()
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|0x7000|high&0x0fff)
	binary.BigEndian.PutUint64(id[8:], 1<<63|low>>2)
	return id
}

func (m *mix) oneOf(n int) bool { return m.random.IntN(n) == 0 }

// interaction makes the events of one interaction, in the parts in which a client sends
// them: what led to it, what became of it, and what came later.
func (m *mix) interaction() [][]*flywheelv1.Event {
	if m.made%perSession == 0 {
		m.sequence, m.skew = 0, 0
		if m.oneOf(skewedOneOf) { // this client's clock is behind
			m.skew = -time.Duration(m.random.Int64N(int64(maxSkew)))
		}
		m.session = m.id(time.Now().Add(m.skew))
	}
	m.made++
	now := time.Now().Add(m.skew)
	s := &scene{mix: m, now: now, opportunity: m.id(now), interaction: m.id(now), dimensions: m.dimensions()}
	before := append(s.edits(), s.opportunityEvent(&flywheelv1.Event{Payload: &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: s.dimensions}}}))
	if m.oneOf(silentOneOf) {
		return [][]*flywheelv1.Event{before, {s.opportunityEvent(&flywheelv1.Event{Payload: &flywheelv1.Event_NotProduced{NotProduced: &flywheelv1.NotProduced{
			Reason: flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_FAILED, LatencyUs: 50_000, Detail: "no answer",
		}}})}}
	}
	return [][]*flywheelv1.Event{append(before, s.shown()...), s.ended(), s.later()}
}

func (m *mix) dimensions() *flywheelv1.Dimensions {
	return &flywheelv1.Dimensions{
		Surface: flywheelv1.Surface_SURFACE_INLINE_COMPLETION, Model: fmt.Sprint("model-", m.random.IntN(models)), Variant: "control",
		Language: "go", Client: "ledger", ClientVersion: "1.0.0", User: fmt.Sprint("user-", m.random.IntN(5)),
		ViewKind: flywheelv1.ViewKind_VIEW_KIND_GHOST_TEXT, Source: flywheelv1.Source_SOURCE_NETWORK, Trigger: flywheelv1.Trigger_TRIGGER_TYPING,
	}
}

// scene is one interaction that is being made up.
type scene struct {
	*mix
	now                      time.Time
	opportunity, interaction uuid.UUID
	dimensions               *flywheelv1.Dimensions
}

// event completes an event of the session.
func (s *scene) event(e *flywheelv1.Event) *flywheelv1.Event {
	s.sequence++
	id := s.id(s.now)
	e.EventId, e.SessionId, e.Sequence, e.TimeUnixUs = id[:], s.session[:], s.sequence, s.now.UnixMicro()+int64(s.sequence)
	return e
}

func (s *scene) opportunityEvent(e *flywheelv1.Event) *flywheelv1.Event {
	e.OpportunityId = s.opportunity[:]
	return s.event(e)
}

func (s *scene) interactionEvent(e *flywheelv1.Event) *flywheelv1.Event {
	e.InteractionId = s.interaction[:]
	return s.opportunityEvent(e)
}

func content(prompt, text, userText string) *flywheelv1.Content {
	return &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Prompt: prompt, Text: text, UserText: userText}
}

func (s *scene) edits() []*flywheelv1.Event {
	var all []*flywheelv1.Event
	for range editsPer {
		text := fmt.Sprint("x", s.random.IntN(1000))
		all = append(all, s.event(&flywheelv1.Event{Content: content("", text, ""), Payload: &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
			Document: "main.go", Version: s.sequence, Offset: uint64(s.random.IntN(1 << 16)), InsertedLength: uint64(len(text)),
			Source: flywheelv1.EditSource_EDIT_SOURCE_USER,
		}}}))
	}
	return append(all,
		s.event(&flywheelv1.Event{Content: content("", "Please go on.", ""), Payload: &flywheelv1.Event_Message{Message: &flywheelv1.Message{
			Role: flywheelv1.Role_ROLE_USER, Tokens: 4, Chars: 13,
		}}}),
		s.event(&flywheelv1.Event{Payload: &flywheelv1.Event_ToolCall{ToolCall: &flywheelv1.ToolCall{
			CallId: fmt.Sprint("call-", s.sequence), Tool: "read_file", Status: flywheelv1.ToolStatus_TOOL_STATUS_SUCCESS, DurationUs: 4000,
		}}}))
}

func (s *scene) shown() []*flywheelv1.Event {
	return []*flywheelv1.Event{
		s.interactionEvent(&flywheelv1.Event{Content: content("func main() {", "println()", ""), Payload: &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{
			Kind: flywheelv1.InteractionKind_INTERACTION_KIND_COMPLETION, LatencyUs: 180_000, OutputTokens: 30, OutputChars: outputChars, OutputLines: 2,
		}}}),
		s.interactionEvent(&flywheelv1.Event{Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: s.dimensions, LatencyUs: int64(100_000 + s.random.IntN(200_000))}}}),
	}
}

func (s *scene) ended() []*flywheelv1.Event {
	return []*flywheelv1.Event{
		s.interactionEvent(&flywheelv1.Event{Payload: &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: visibleUs}}}),
		s.interactionEvent(&flywheelv1.Event{Payload: &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{
			Outcome: flywheelv1.Outcome(1 + s.random.IntN(outcomeKinds)), AcceptedChars: uint32(1 + s.random.IntN(outputChars)),
		}}}),
	}
}

func (s *scene) later() []*flywheelv1.Event {
	thumb := flywheelv1.Thumb_THUMB_UP
	if s.oneOf(2) {
		thumb = flywheelv1.Thumb_THUMB_DOWN
	}
	return []*flywheelv1.Event{
		s.interactionEvent(&flywheelv1.Event{Payload: &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{
			DelayS: 30, RetainedChars: uint32(s.random.IntN(outputChars)), FourGram: new(float32(0.5)),
		}}}),
		s.interactionEvent(&flywheelv1.Event{Content: content("", "", "better"), Payload: &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{Thumb: thumb, Author: "user"}}}),
	}
}
