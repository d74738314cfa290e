package sequence

import "slices"

// document is a document as the events tell it.
type document struct {
	text    []byte
	version uint64
	// known is false while some change is not known: text was not shared, or an edit does
	// not fit. It becomes true when the document is opened again.
	known bool
}

// open takes the document's text. length is the length it had, in bytes, even where the
// text is not shared.
func (d *document) open(version, length uint64, text string) {
	d.text = append(d.text[:0], text...)
	d.version = version
	d.known = uint64(len(text)) == length
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
	if d.known {
		d.text = slices.Replace(d.text, int(e.Offset), int(e.Offset+e.RemovedLength), []byte(e.Text)...)
	}
	return d.known
}
