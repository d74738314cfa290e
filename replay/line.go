package replay

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// rejectTime is how long a suggestion must have been visible for the author to
// reject it explicitly, instead of typing on.
const rejectTime = time.Second

// place is where the author is: at byte col of the line that begins at byte offset
// of the document, below the lines before. rest is what they are going to write in
// this line, which the agent does not know.
type place struct {
	before []string
	offset int
	line   string
	col    int
}

func (p place) prefix() string { return p.line[:p.col] }
func (p place) rest() string   { return p.line[p.col:] }

// typeLine types one line below the first at lines and the line break after it, by
// hand or with the agent's help.
func (s *session) typeLine(at, offset int, line string) {
	p := place{before: s.lines[:at], offset: offset, line: line}
	trigger := flywheelv1.Trigger_TRIGGER_TYPING
	switch {
	case !s.ahead.IsZero():
		trigger = flywheelv1.Trigger_TRIGGER_ACCEPTANCE
	case s.doc.version == 0:
		trigger = flywheelv1.Trigger_TRIGGER_EDITOR
	}
	pause, whole := s.pace.atLineStart(), line+"\n"
	for p.col < len(whole) {
		p.col += s.pause(p, pause, trigger)
		end := p.col + s.pace.chunk(p.rest())
		if end == len(line) {
			end = len(whole)
		}
		s.typed(p, whole[p.col:end])
		p.col = end
		pause, trigger = s.pace.withinLine(), flywheelv1.Trigger_TRIGGER_TYPING
	}
	s.predictor.Learn(p.before, line)
	s.lines = slices.Insert(s.lines, at, line)
	s.lineDone()
}

// typed takes in a chunk that the author typed at a place. A suggestion stays open
// as long as the author types what it says.
func (s *session) typed(p place, chunk string) {
	s.clock.advance(s.pace.typing(chunk))
	if s.open != nil {
		now := p.prefix() + chunk
		if !strings.HasPrefix(s.open.line, now) || len(s.open.line) == len(now) {
			s.pass(p)
		}
	}
	s.edit(change{offset: p.offset + p.col, text: chunk})
}

// pass ends the open suggestion because the author writes something else (or has
// typed all of it by hand). It is rejected where the author followed it at first
// and had the time to judge it, else ignored.
func (s *session) pass(p place) {
	open := s.open
	actual := p.line[min(open.from, len(p.line)):]
	followed := visible(open.text[:sharedPrefix(open.text, actual)])
	judged := s.clock.now.Sub(open.shownAt) >= rejectTime
	if followed > 0 && len(open.text) > sharedPrefix(open.text, actual) && judged {
		s.end(flywheelv1.Outcome_OUTCOME_REJECTED)
		open.interaction.Rejected("escape")
		s.rejected = open.line
	} else {
		s.end(flywheelv1.Outcome_OUTCOME_IGNORED)
		open.interaction.Ignored()
	}
	s.passed = append(s.passed, passed{interaction: open.interaction, actual: actual})
}

// end takes the open suggestion off the screen and counts its outcome.
func (s *session) end(outcome flywheelv1.Outcome) {
	s.open.ended = true
	s.open = nil
	s.counts.ended(outcome)
	s.count("ended")
}

// passed is a suggestion that the author went on without, and what they wrote in
// its place.
type passed struct {
	interaction *flywheel.Interaction
	actual      string
}

// lineDone tells what was written instead of the suggestions in a finished line.
func (s *session) lineDone() {
	for _, p := range s.passed {
		p.interaction.Alternative(p.actual)
		s.count("alternative")
	}
	s.passed = s.passed[:0]
}

// atEnd is the pause at the end of a finished document. The agent does not know
// that it is finished. A suggestion still open is ignored if it could be read, and
// nothing was written instead; else closing the document withdraws it.
func (s *session) atEnd() {
	p := place{before: s.lines, offset: len(s.doc.text)}
	s.pause(p, s.pace.atLineStart(), flywheelv1.Trigger_TRIGGER_TYPING)
	open := s.open
	switch {
	case open == nil:
	case s.clock.now.Sub(open.shownAt) >= minRead:
		s.end(flywheelv1.Outcome_OUTCOME_IGNORED)
		open.interaction.Ignored()
		open.interaction.NoAlternative()
		s.count("alternative")
	default:
		s.end(flywheelv1.Outcome_OUTCOME_CANCELLED)
		open.interaction.Cancelled()
	}
}

// edit makes a change of the author's own.
func (s *session) edit(c change) {
	s.doc.apply(c)
	s.tell(c, flywheelv1.EditSource_EDIT_SOURCE_USER, nil)
}

func (s *session) tell(c change, source flywheelv1.EditSource, by *flywheel.Interaction) {
	s.emit.Edit(flywheel.Edit{
		Document: s.name, Version: s.doc.version, Offset: uint64(c.offset),
		Removed: uint64(c.removed), Text: c.text, Source: source, Interaction: by,
	})
	s.count("edit")
}

// insert accepts a text at a place, and measures from then on how much of it stays.
func (s *session) insert(p place, text string, by *flywheel.Interaction) {
	offset := p.offset + p.col
	kept := s.doc.accept(offset, text)
	s.tell(change{offset: offset, text: text}, flywheelv1.EditSource_EDIT_SOURCE_INTERACTION, by)
	s.accepted = append(s.accepted, by)
	doc, base, delays := s.doc, uint64(utf8.RuneCountInString(text)), Delays()
	for i, delay := range delays {
		s.clock.at(s.clock.now.Add(delay), func() {
			chars := doc.retained(kept)
			by.Retained(flywheel.Retention{
				Delay: delay, RetainedChars: uint32(chars),
				FourGram: new(float32(flywheel.FourGramSurvival(kept.accepted, doc.inPlace(kept)))),
			})
			s.count("retention")
			s.counts.kept(i, uint64(chars), base)
			if i == len(delays)-1 {
				doc.forget(kept)
			}
		})
	}
}
