package sequence

import (
	"cmp"
	"slices"
	"time"
)

// session is the events of one session, in order.
type session struct {
	query  Query
	events []event

	documents map[string]*document
	current   string
	before    []Edit
}

// moments goes through the session and yields the moment of each interaction. It reports
// whether to go on.
func (s *session) moments(yield func(*Moment) bool) bool {
	s.documents, s.current, s.before = map[string]*document{}, "", s.before[:0]
	for i := range s.events {
		e := &s.events[i]
		switch e.kind {
		case "interaction":
			if !yield(s.moment(i)) {
				return false
			}
			continue
		case "document_opened":
			s.document(e).open(&e.edit, e.position)
		case "selection":
			s.document(e).cursor = e.position
		case "document_closed":
			delete(s.documents, e.edit.Document)
			continue
		case "edit":
			s.document(e).apply(&e.edit)
			s.before = append(s.before, e.edit)
		}
		s.current = e.edit.Document
	}
	return true
}

// document finds or makes the event's document. One that was never opened is not known.
func (s *session) document(e *event) *document {
	d := s.documents[e.edit.Document]
	if d == nil {
		d = &document{}
		s.documents[e.edit.Document] = d
	}
	return d
}

// moment is that of the interaction at index i of the events.
func (s *session) moment(i int) *Moment {
	e := &s.events[i]
	m := &Moment{
		InteractionID: e.edit.InteractionID, OpportunityID: e.opportunity, SessionID: e.session,
		At: e.edit.At, Document: s.current, Before: s.lastEdits(e.edit.At), documents: s.documents,
	}
	m.During, m.After = s.nextEdits(i)
	if d := s.documents[s.current]; d != nil && d.known {
		m.Text, m.Known, m.Cursor, m.Consents = d.text, true, min(d.cursor, uint64(len(d.text))), d.consents
	}
	return m
}

// lastEdits are the edits before a moment that the query asks for.
func (s *session) lastEdits(at time.Time) []Edit {
	edits := s.before
	if n := s.query.Edits; n > 0 && len(edits) > n {
		edits = edits[len(edits)-n:]
	}
	if s.query.Before > 0 {
		since := at.Add(-s.query.Before)
		// By position, not by time: within a session the order is what counts.
		if i := slices.IndexFunc(edits, func(e Edit) bool { return !e.At.Before(since) }); i >= 0 {
			edits = edits[i:]
		} else {
			edits = nil
		}
	}
	return edits
}

// nextEdits are the edits until the end of the interaction at index i of the events, and
// those after it.
func (s *session) nextEdits(i int) (during, after []Edit) {
	ended := &s.events[i]
	until := ended.endedAt.Add(s.query.After)
	for j := range s.events[i+1:] {
		e := &s.events[i+1+j]
		switch ends := cmp.Or(cmp.Compare(e.sequence, ended.endedSequence), e.edit.At.Compare(ended.endedAt)) > 0; {
		case e.kind != "edit":
		case !ends:
			during = append(during, e.edit)
		case !e.edit.At.After(until):
			after = append(after, e.edit)
		}
	}
	return during, after
}
