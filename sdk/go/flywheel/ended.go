package flywheel

import (
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// Ended is a terminal outcome in full, for [Interaction.Ended]. The methods named
// after the outcomes are shorter.
type Ended struct {
	// Outcome is the terminal outcome.
	Outcome Outcome
	// DecidedBy is who or what decided.
	DecidedBy DecisionSource
	// Visible is how long the output was visible. 0: the time since Shown.
	Visible time.Duration
	// AcceptedChars and AcceptedLines are how much of the output was accepted, in
	// all partial acceptances so far.
	AcceptedChars, AcceptedLines uint32
	// SupersededBy is the interaction that took its place, where known.
	SupersededBy *Interaction
	// UserText is what the user made of it, or wrote instead. Content.
	UserText string
	// Detail is the reason in the client's own words.
	Detail string
}

// Accepted records that the user accepted all of it.
func (i *Interaction) Accepted() { i.whole(OutcomeAccepted, DecidedByUser, "") }

// AcceptedModified records that the user accepted it after changing it into finalText,
// which is content. All of the output counts as accepted; how much of it is left is
// what [Interaction.Retained] tells.
func (i *Interaction) AcceptedModified(finalText string) {
	i.whole(OutcomeAcceptedModified, DecidedByUser, finalText)
}

// AutoAccepted records that it was applied with no human judgement. It stays out of
// every rate.
func (i *Interaction) AutoAccepted() { i.whole(OutcomeAutoAccepted, DecidedByConfig, "") }

// whole ends the interaction with all of the output accepted.
func (i *Interaction) whole(outcome Outcome, by DecisionSource, userText string) {
	if !i.ok() {
		return
	}
	i.Ended(Ended{Outcome: outcome, DecidedBy: by, AcceptedChars: i.chars, AcceptedLines: i.lines, UserText: userText})
}

// PartiallyAccepted records that the user accepted a part of it. Chars (Unicode code points) and
// lines are those of all partial acceptances of the interaction so far; call it each
// time.
func (i *Interaction) PartiallyAccepted(chars, lines uint32) {
	i.Ended(Ended{Outcome: OutcomePartiallyAccepted, DecidedBy: DecidedByUser, AcceptedChars: chars, AcceptedLines: lines})
}

// Rejected records that the user rejected it by an explicit act, which detail names,
// for example "escape". It is the only outcome that counts as hidden.
func (i *Interaction) Rejected(detail string) {
	i.Ended(Ended{Outcome: OutcomeRejected, DecidedBy: DecidedByUser, Detail: detail})
}

// Ignored records that the user went on without it.
func (i *Interaction) Ignored() { i.Ended(Ended{Outcome: OutcomeIgnored}) }

// Superseded records that a newer suggestion took its place; nil where it is not known
// which.
func (i *Interaction) Superseded(by *Interaction) {
	i.Ended(Ended{Outcome: OutcomeSuperseded, SupersededBy: by})
}

// Cancelled records that it was withdrawn before the user could judge.
func (i *Interaction) Cancelled() { i.Ended(Ended{Outcome: OutcomeCancelled}) }

// Ended records a terminal outcome. When several are recorded, an acceptance beats a
// rejection, which beats an automatic acceptance, which beats the others; within one
// of these classes the latest counts.
func (i *Interaction) Ended(ended Ended) {
	if !i.ok() {
		return
	}
	c, now, e := i.begin()
	i.ended.Store(now.UnixMicro())
	p := flywheelv1.EndedFromVTPool()
	p.Outcome, p.DecidedBy, p.Detail = ended.Outcome, ended.DecidedBy, c.detail(ended.Detail)
	p.VisibleUs = i.visible(ended.Visible, now)
	p.AcceptedChars, p.AcceptedLines = ended.AcceptedChars, ended.AcceptedLines
	p.SupersededBy = ended.SupersededBy.ID().bytes()
	e.Content = c.content(texts{userText: ended.UserText})
	e.Payload = &flywheelv1.Event_Ended{Ended: p}
	c.emit(e, outcomeLane)
}
