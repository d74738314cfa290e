package replay

import (
	"slices"
	"unicode/utf8"
)

// change is one edit of a document: removed bytes at offset give way to text.
type change struct {
	offset, removed int
	text            string
}

// document is the text as it stands, with the accepted suggestions in it, whose
// fate under later changes it follows.
type document struct {
	text    []byte
	version uint64
	spans   []*span
}

// span is where an accepted text stands.
type span struct {
	accepted string
	// start and end enclose what stands in its place now.
	start, end int
	// kept are the pieces of the accepted text that no change has touched.
	kept []piece
}

type piece struct{ start, end int }

// apply makes a change.
func (d *document) apply(c change) {
	d.text = slices.Replace(d.text, c.offset, c.offset+c.removed, []byte(c.text)...)
	d.version++
	for _, s := range d.spans {
		if c.offset < s.end {
			s.follow(c)
		}
	}
}

// follow moves the span with a change that begins before its end.
func (s *span) follow(c change) {
	removedEnd, grown := c.offset+c.removed, len(c.text)-c.removed
	kept := make([]piece, 0, len(s.kept)+1)
	for _, p := range s.kept {
		switch {
		case p.end <= c.offset:
			kept = append(kept, p)
		case p.start >= removedEnd:
			kept = append(kept, piece{p.start + grown, p.end + grown})
		default:
			if p.start < c.offset {
				kept = append(kept, piece{p.start, c.offset})
			}
			if p.end > removedEnd {
				kept = append(kept, piece{removedEnd + grown, p.end + grown})
			}
		}
	}
	s.kept = kept
	if s.start >= removedEnd {
		s.start += grown
	} else {
		s.start = min(s.start, c.offset)
	}
	s.end = max(s.end, removedEnd) + grown
}

// accept inserts a text and follows it from then on.
func (d *document) accept(offset int, text string) *span {
	d.apply(change{offset: offset, text: text})
	end := offset + len(text)
	s := &span{accepted: text, start: offset, end: end, kept: []piece{{offset, end}}}
	d.spans = append(d.spans, s)
	return s
}

// forget ends the following of a span.
func (d *document) forget(s *span) {
	d.spans = slices.DeleteFunc(d.spans, func(other *span) bool { return other == s })
}

// inPlace returns what stands where the accepted text was inserted.
func (d *document) inPlace(s *span) string { return string(d.text[s.start:s.end]) }

// retained counts the characters of the accepted text that are still there,
// unmodified.
func (d *document) retained(s *span) int {
	chars := 0
	for _, p := range s.kept {
		chars += utf8.RuneCount(d.text[p.start:p.end])
	}
	return chars
}
