package flywheel

import (
	"strings"
	"sync/atomic"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// SessionInfo is what is known when a session begins. User and Repository are
// pseudonyms: never a name or an address.
type SessionInfo struct {
	// Client is the agent or editor extension, for example "acme-vscode", and
	// ClientVersion its version.
	Client, ClientVersion string
	// User and Repository say whose events belong together.
	User, Repository string
	// Platform is the operating system and architecture, for example "linux/amd64".
	Platform string
	// Parent is the session that started this one, for sub-agents.
	Parent *Session
}

// Session is one user's work with an agent, whose events have an order. Its methods
// are safe for concurrent use, on a nil *Session too; they return at once and never
// fail (see the package comment).
type Session struct {
	client   *Client
	id       ID
	info     SessionInfo
	sequence atomic.Uint64
	// resumed sessions do not count their events.
	resumed bool
}

// Session begins a session.
func (c *Client) Session(info SessionInfo) *Session {
	if !c.ok() {
		return nil
	}
	if c.cfg.random != nil {
		c.ids.restart()
	}
	now := c.cfg.clock()
	s := &Session{client: c, id: c.ids.next(now), info: SessionInfo{
		Client: strings.Clone(c.label(info.Client)), ClientVersion: strings.Clone(c.label(info.ClientVersion)),
		User: strings.Clone(c.label(info.User)), Repository: strings.Clone(c.label(info.Repository)),
	}}
	p := flywheelv1.SessionStartedFromVTPool()
	p.Client, p.ClientVersion, p.User, p.Repository = s.info.Client, s.info.ClientVersion, s.info.User, s.info.Repository
	p.Platform = c.label(info.Platform)
	p.ParentSessionId = info.Parent.ID().bytes()
	e := s.event(now)
	e.Payload = &flywheelv1.Event_SessionStarted{SessionStarted: p}
	c.emit(e, traceLane)
	return s
}

// ok says whether the session came from a client.
func (s *Session) ok() bool { return s != nil && s.client.ok() }

// ID identifies the session.
func (s *Session) ID() ID {
	if s == nil {
		return ID{}
	}
	return s.id
}

// event returns an event of the session at the given time, with no payload.
func (s *Session) event(at time.Time) *flywheelv1.Event {
	e := flywheelv1.EventFromVTPool()
	id := s.client.ids.next(at)
	e.EventId = append(e.EventId[:0], id[:]...)
	e.SessionId = append(e.SessionId[:0], s.id[:]...)
	e.TimeUnixUs = at.UnixMicro()
	if !s.resumed {
		e.Sequence = s.sequence.Add(1)
	}
	return e
}

// about returns an event of the session now, about the interaction where there is
// one.
func (s *Session) about(i *Interaction) *flywheelv1.Event {
	e := s.event(s.client.cfg.clock())
	i.setIDs(e)
	return e
}

// End ends the session, for a reason in the client's own words. The session's
// retention, feedback and outcomes may still follow.
func (s *Session) End(reason string) {
	if !s.ok() {
		return
	}
	p := flywheelv1.SessionEndedFromVTPool()
	p.Reason = s.client.label(reason)
	e := s.about(nil)
	e.Payload = &flywheelv1.Event_SessionEnded{SessionEnded: p}
	s.client.emit(e, traceLane)
}

// Outcome says one fact about how the session's task turned out, and the name of the
// check. Several facts add up.
func (s *Session) Outcome(result TaskResult, detail string) {
	if !s.ok() {
		return
	}
	s.outcome(nil, result, detail)
}

func (s *Session) outcome(i *Interaction, result TaskResult, detail string) {
	p := flywheelv1.TaskOutcomeFromVTPool()
	p.Result, p.Detail = result, s.client.detail(detail)
	e := s.about(i)
	e.Payload = &flywheelv1.Event_TaskOutcome{TaskOutcome: p}
	s.client.emit(e, outcomeLane)
}

// Feedback is what a person or a grader said. The latest thumb and the latest rating
// count.
type Feedback struct {
	// Thumb is up, down or none.
	Thumb Thumb
	// Rating is from 0 (worst) to 100 (best). Nil: none given.
	Rating *uint32
	// Author is who gave it, for example "user" or "grader:judge-v3".
	Author string
	// Correction is what the output should have been. Content.
	Correction string
	// Comment is in words. Content.
	Comment string
}

// Feedback records what was said about the session as a whole.
func (s *Session) Feedback(f Feedback) {
	if !s.ok() {
		return
	}
	s.feedback(nil, f)
}

func (s *Session) feedback(i *Interaction, f Feedback) {
	p := flywheelv1.FeedbackFromVTPool()
	p.Thumb, p.Author, p.Correction = f.Thumb, s.client.label(f.Author), f.Correction != ""
	if f.Rating != nil {
		p.Rating = new(*f.Rating)
	}
	e := s.about(i)
	e.Content = s.client.content(texts{userText: f.Correction, comment: f.Comment})
	e.Payload = &flywheelv1.Event_Feedback{Feedback: p}
	s.client.emit(e, outcomeLane)
}
