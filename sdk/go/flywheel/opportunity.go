package flywheel

import (
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// Dimensions are what rates are grouped and filtered by. The client, the user and
// the repository are those of the session.
type Dimensions struct {
	// Surface is where the user meets the agent.
	Surface Surface
	// Model is the exact model or checkpoint, for example "tab-7b@2026-11-20".
	Model string
	// Variant is that of the prompt or policy around the model.
	Variant string
	// Experiment is what the user is assigned to. Empty means none.
	Experiment string
	// Language is that of the document, as the editor names it, for example "go".
	Language string
	// ClientSetting is one that changes what is shown, for example "eager".
	ClientSetting string
	// ViewKind is how the output will be drawn, where it is known.
	ViewKind ViewKind
	// Source is where the output comes from, where it is known.
	Source Source
	// Trigger is what caused the request.
	Trigger Trigger
}

// Opportunity is one moment at which the agent could offer something. End it with
// [Opportunity.NotProduced] or with any number of [Opportunity.Suggest]. Its methods
// are safe for concurrent use, on a nil *Opportunity too. It holds the strings of
// its Dimensions.
type Opportunity struct {
	session *Session
	id      ID
	opened  time.Time
	dims    Dimensions
}

// Opportunity opens an opportunity, at the moment of the request.
func (s *Session) Opportunity(d Dimensions) *Opportunity { return s.OpportunityWithPrompt(d, "") }

// OpportunityWithPrompt is [Session.Opportunity] with the prompt as the model gets
// it, which is content. It is of use where nothing may come of the request; else the
// prompt belongs in the [Suggestion].
func (s *Session) OpportunityWithPrompt(d Dimensions, prompt string) *Opportunity {
	if !s.ok() {
		return nil
	}
	c := s.client
	d.Model, d.Variant, d.Experiment = c.label(d.Model), c.label(d.Variant), c.label(d.Experiment)
	d.Language, d.ClientSetting = c.label(d.Language), c.label(d.ClientSetting)
	now := c.cfg.clock()
	o := &Opportunity{session: s, id: c.ids.next(now), opened: now, dims: d}
	p := flywheelv1.RequestedFromVTPool()
	p.Dimensions = s.dimensions(&d)
	e := o.event(now)
	e.Content = c.content(texts{prompt: prompt})
	e.Payload = &flywheelv1.Event_Requested{Requested: p}
	c.emit(e, outcomeLane)
	return o
}

// dimensions returns d in the contract's form, which the event owns.
func (s *Session) dimensions(d *Dimensions) *flywheelv1.Dimensions {
	p := flywheelv1.DimensionsFromVTPool()
	p.Surface, p.ViewKind, p.Source, p.Trigger = d.Surface, d.ViewKind, d.Source, d.Trigger
	p.Model, p.Variant, p.Experiment = d.Model, d.Variant, d.Experiment
	p.Language, p.ClientSetting = d.Language, d.ClientSetting
	p.Client, p.ClientVersion = s.info.Client, s.info.ClientVersion
	p.User, p.Repository = s.info.User, s.info.Repository
	return p
}

// ok says whether the opportunity came from a session.
func (o *Opportunity) ok() bool { return o != nil && o.session.ok() }

// ID identifies the opportunity.
func (o *Opportunity) ID() ID {
	if o == nil {
		return ID{}
	}
	return o.id
}

// event returns an event of the opportunity at the given time, with no payload.
func (o *Opportunity) event(at time.Time) *flywheelv1.Event {
	e := o.session.event(at)
	if !o.id.IsZero() {
		e.OpportunityId = append(e.OpportunityId[:0], o.id[:]...)
	}
	return e
}

// since returns a measured duration, or when it is zero the time since the
// opportunity was opened.
func (o *Opportunity) since(measured time.Duration, now time.Time) int64 {
	if measured == 0 && !o.opened.IsZero() {
		measured = now.Sub(o.opened)
	}
	return micros(measured)
}

// NotProduced ends the opportunity with nothing to offer: why, and the text of the
// error or the filter's name. latency is the time from the request to knowing; when
// zero, the time since the opportunity was opened.
func (o *Opportunity) NotProduced(reason NotProducedReason, detail string, latency time.Duration) {
	if !o.ok() {
		return
	}
	c := o.session.client
	now := c.cfg.clock()
	p := flywheelv1.NotProducedFromVTPool()
	p.Reason, p.Detail, p.LatencyUs = reason, c.detail(detail), o.since(latency, now)
	e := o.event(now)
	e.Payload = &flywheelv1.Event_NotProduced{NotProduced: p}
	c.emit(e, outcomeLane)
}

// Suggestion is what a model produced.
type Suggestion struct {
	// Kind is what kind of output it is.
	Kind InteractionKind
	// Prompt is what the model got. Content.
	Prompt string
	// Output is what the model gave. Content.
	Output string
	// OutputChars and OutputLines are its length in characters (Unicode code points)
	// and in lines. 0: those of Output.
	OutputChars, OutputLines uint32
	// FirstToken is the time from the request to the first token. 0: not measured.
	FirstToken time.Duration
	// Latency is the time from the request to the whole output. 0: the time since
	// the opportunity was opened.
	Latency time.Duration
	// PromptTokens include the CachedTokens. 0: not counted.
	PromptTokens, CachedTokens, OutputTokens uint32
	// MeanLogprob is the mean log probability of the output's tokens. Nil: unknown.
	MeanLogprob *float32
}

// Suggest records the model's output: from here on it is an interaction, shown or
// not.
func (o *Opportunity) Suggest(s Suggestion) *Interaction {
	if !o.ok() {
		return nil
	}
	c := o.session.client
	now := c.cfg.clock()
	i := &Interaction{opportunity: o, id: c.ids.next(now), chars: s.OutputChars, lines: s.OutputLines}
	if i.chars == 0 {
		i.chars = chars(s.Output)
	}
	if i.lines == 0 {
		i.lines = lines(s.Output)
	}
	p := flywheelv1.GeneratedFromVTPool()
	p.Kind, p.FirstTokenUs, p.LatencyUs = s.Kind, micros(s.FirstToken), o.since(s.Latency, now)
	p.PromptTokens, p.CachedTokens, p.OutputTokens = s.PromptTokens, s.CachedTokens, s.OutputTokens
	p.OutputChars, p.OutputLines, p.MeanLogprob = i.chars, i.lines, finite(s.MeanLogprob)
	e := i.event(now)
	e.Content = c.content(texts{prompt: s.Prompt, text: s.Output})
	e.Payload = &flywheelv1.Event_Generated{Generated: p}
	c.emit(e, outcomeLane)
	return i
}
