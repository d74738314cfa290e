package flywheel

import (
	"sync/atomic"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// Interaction is one piece of model output and what becomes of it:
// Shown or NotShown, Read, one terminal outcome, Retained at fixed delays; Feedback
// and Outcome at any time. It holds no text. Its methods are safe for concurrent
// use, on a nil *Interaction too; calling one twice does no harm.
type Interaction struct {
	opportunity  *Opportunity
	id           ID
	chars, lines uint32
	// shown and ended are when, in microseconds since the Unix epoch; 0: not yet.
	shown, ended atomic.Int64
}

// ok says whether the interaction came from an opportunity.
func (i *Interaction) ok() bool { return i != nil && i.opportunity.ok() }

// ID identifies the interaction. With those of its session and opportunity it can be
// stored, for [Client.Resume].
func (i *Interaction) ID() ID {
	if i == nil {
		return ID{}
	}
	return i.id
}

// Resume returns an interaction of an earlier process (or of another one), for what
// is known only later: retention, feedback, outcomes. The opportunity's id may be
// zero.
func (c *Client) Resume(session, opportunity, interaction ID) *Interaction {
	if !c.ok() {
		return nil
	}
	s := &Session{client: c, id: session, resumed: true}
	return &Interaction{opportunity: &Opportunity{session: s, id: opportunity}, id: interaction}
}

// event returns an event of the interaction at the given time, with no payload.
func (i *Interaction) event(at time.Time) *flywheelv1.Event {
	e := i.opportunity.session.event(at)
	i.setIDs(e)
	return e
}

// setIDs makes e an event about the interaction, where there is one.
func (i *Interaction) setIDs(e *flywheelv1.Event) {
	if !i.ok() {
		return
	}
	if o := i.opportunity.id; !o.IsZero() {
		e.OpportunityId = append(e.OpportunityId[:0], o[:]...)
	}
	e.InteractionId = append(e.InteractionId[:0], i.id[:]...)
}

// begin returns the client and an event now.
func (i *Interaction) begin() (*Client, time.Time, *flywheelv1.Event) {
	c := i.opportunity.session.client
	now := c.cfg.clock()
	return c, now, i.event(now)
}

// Shown is how an output was shown. Its zero value is fine.
type Shown struct {
	// Latency is the time from the request to the first frame. 0: the time since the
	// opportunity was opened.
	Latency time.Duration
	// ViewKind and Source, where set, are used instead of the opportunity's.
	ViewKind ViewKind
	Source   Source
}

// Shown records that the output was shown to the user: from here on it counts in the
// rates.
func (i *Interaction) Shown(shown Shown) {
	if !i.ok() {
		return
	}
	c, now, e := i.begin()
	i.shown.Store(now.UnixMicro())
	p := flywheelv1.ShownFromVTPool()
	p.Dimensions = i.opportunity.session.dimensions(&i.opportunity.dims)
	if shown.ViewKind != 0 {
		p.Dimensions.ViewKind = shown.ViewKind
	}
	if shown.Source != 0 {
		p.Dimensions.Source = shown.Source
	}
	p.LatencyUs = i.opportunity.since(shown.Latency, now)
	e.Payload = &flywheelv1.Event_Shown{Shown: p}
	c.emit(e, outcomeLane)
}

// NotShown records that the output was withheld from the user, and why.
func (i *Interaction) NotShown(reason NotShownReason) {
	if !i.ok() {
		return
	}
	c, _, e := i.begin()
	p := flywheelv1.NotShownFromVTPool()
	p.Reason = reason
	p.Dimensions = i.opportunity.session.dimensions(&i.opportunity.dims)
	e.Payload = &flywheelv1.Event_NotShown{NotShown: p}
	c.emit(e, outcomeLane)
}

// visible returns how long the output had been visible: what was measured, or when
// that is zero the time since Shown.
func (i *Interaction) visible(measured time.Duration, now time.Time) int64 {
	if shown := i.shown.Load(); measured == 0 && shown != 0 {
		return max(now.UnixMicro()-shown, 0)
	}
	return micros(measured)
}

// Read records that the output was visible long enough to be read. visible is for how
// long it had been visible; when zero, the time since Shown.
func (i *Interaction) Read(visible time.Duration) {
	if !i.ok() {
		return
	}
	c, now, e := i.begin()
	p := flywheelv1.ReadFromVTPool()
	p.VisibleUs = max(i.visible(visible, now), 1)
	e.Payload = &flywheelv1.Event_Read{Read: p}
	c.emit(e, outcomeLane)
}

// Retention is how much of an accepted output was left after a delay.
type Retention struct {
	// Delay is the time since the acceptance: 0, 5, 30, 120, 300, 600 or 900 seconds.
	Delay time.Duration
	// RetainedChars is how many characters of the accepted text still stand there
	// unmodified. An editor that follows edits knows; else see [RetainedChars].
	RetainedChars uint32
	// FourGram is the [FourGramSurvival]. Nil: not measured.
	FourGram *float32
	// BranchChanged says that the branch changed since, so the measure means nothing.
	BranchChanged bool
}

// Retained records how much of the accepted output was left.
func (i *Interaction) Retained(r Retention) {
	if !i.ok() {
		return
	}
	c, _, e := i.begin()
	p := flywheelv1.RetentionFromVTPool()
	p.DelayS = uint32(max(r.Delay.Round(time.Second)/time.Second, 0))
	p.RetainedChars, p.BranchChanged = r.RetainedChars, r.BranchChanged
	if f := finite(r.FourGram); f != nil {
		p.FourGram = new(min(max(*f, 0), 1))
	}
	e.Payload = &flywheelv1.Event_Retention{Retention: p}
	c.emit(e, outcomeLane)
}

// Alternative records what the user wrote instead of an output they did not accept.
// The text is content; its length is always sent.
func (i *Interaction) Alternative(text string) { i.alternative(text, false) }

// NoAlternative records that the user made no edit there within the settling time,
// which is an answer too.
func (i *Interaction) NoAlternative() { i.alternative("", true) }

func (i *Interaction) alternative(text string, none bool) {
	if !i.ok() {
		return
	}
	c, now, e := i.begin()
	p := flywheelv1.AlternativeFromVTPool()
	p.NoEdit, p.UserChars = none, chars(text)
	if ended := i.ended.Load(); ended != 0 {
		p.SettleUs = max(now.UnixMicro()-ended, 0)
	}
	e.Content = c.content(texts{userText: text})
	e.Payload = &flywheelv1.Event_Alternative{Alternative: p}
	c.emit(e, outcomeLane)
}

// Feedback records what was said about the interaction.
func (i *Interaction) Feedback(f Feedback) {
	if !i.ok() {
		return
	}
	i.opportunity.session.feedback(i, f)
}

// Outcome says one fact about how the task turned out that the interaction served,
// and the name of the check. Several facts add up.
func (i *Interaction) Outcome(result TaskResult, detail string) {
	if !i.ok() {
		return
	}
	i.opportunity.session.outcome(i, result, detail)
}
