package sequence

import (
	"slices"
	"strings"
)

// Change is what the last edits of one document made of it.
type Change struct {
	Document      string
	Before, After string
	// Consents has bit i set where some of the text came with Consent i.
	Consents uint8
}

// Changes are what the edits in Before made of each document that is known, the one
// edited last at the end.
func (m *Moment) Changes() (changes []Change) {
	var names []string
	for _, e := range slices.Backward(m.Before) {
		if !slices.Contains(names, e.Document) {
			names = append(names, e.Document)
		}
	}
	for _, name := range slices.Backward(names) {
		d := m.documents[name]
		if d == nil || !d.known {
			continue
		}
		if before, ok := undo(string(d.text), name, m.Before); ok {
			changes = append(changes, Change{Document: name, Before: before, After: string(d.text), Consents: d.consents})
		}
	}
	return changes
}

// undo takes edits of a document back. It fails where they are not the last ones that
// made the text.
func undo(text, name string, edits []Edit) (string, bool) {
	for _, e := range slices.Backward(edits) {
		if e.Document != name {
			continue
		}
		if uint64(len(e.Removed)) != e.RemovedLength || e.Offset > uint64(len(text)) || !strings.HasPrefix(text[e.Offset:], e.Text) {
			return "", false
		}
		text = text[:e.Offset] + e.Removed + text[e.Offset+uint64(len(e.Text)):]
	}
	return text, true
}
