package sequence

import "slices"

// document is a document as the events tell it.
type document struct {
	text    []byte
	version uint64
	// known is false while some change is not known: text was not shared, or an edit does
	// not fit. It becomes true when the document is opened again.
	known bool
	// cursor is where the user was last: the end of an edit or selection, in bytes.
	cursor uint64
	// consents has bit i set where some text came with Consent i.
	consents uint8
}

// share notes what the text of an edit may be used for.
func (d *document) share(e *Edit) {
	if e.Text != "" {
		d.consents |= 1 << e.Consent
	}
}

// open takes the document's text. length is the length it had, in bytes, even where the
// text is not shared.
func (d *document) open(e *Edit, length uint64) {
	d.text = append(d.text[:0], e.Text...)
	d.version, d.cursor, d.consents = e.Version, 0, 0
	d.share(e)
	d.known = uint64(len(e.Text)) == length
}

// apply makes an edit, and reports whether the document is known after it.
func (d *document) apply(e *Edit) bool {
	size := uint64(len(d.text))
	fits := uint64(len(e.Text)) == e.InsertedLength && e.Offset <= size && e.RemovedLength <= size-e.Offset
	// One change of an editor may be several edits of one version.
	follows := e.Version == 0 || d.version == 0 || e.Version == d.version || e.Version == d.version+1
	d.known = d.known && fits && follows
	if e.Version > 0 {
		d.version = e.Version
	}
	d.cursor = e.Offset + e.InsertedLength
	d.share(e)
	if d.known {
		e.Removed = string(d.text[e.Offset : e.Offset+e.RemovedLength])
		d.text = slices.Replace(d.text, int(e.Offset), int(e.Offset+e.RemovedLength), []byte(e.Text)...)
	}
	return d.known
}
