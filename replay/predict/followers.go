package predict

// width is how many different followers of a context are kept.
const width = 4

// followers counts what came after one context. It keeps the first few followers
// exactly; once full, a new one takes the place of one seen only once, so that
// frequent followers stay.
type followers struct {
	total uint32
	ids   [width]uint32
	seen  [width]uint32
}

func (f *followers) add(id uint32) {
	f.total++
	free := -1
	for i := range width {
		switch {
		case f.seen[i] == 0:
			if free < 0 || f.seen[free] > 0 {
				free = i
			}
		case f.ids[i] == id:
			f.seen[i]++
			return
		case f.seen[i] == 1 && free < 0:
			free = i
		}
	}
	if free >= 0 {
		f.ids[free], f.seen[free] = id, 1
	}
}

// count returns how often id came after the context, as far as it was kept.
func (f *followers) count(id uint32) uint32 {
	for i := range width {
		if f.seen[i] > 0 && f.ids[i] == id {
			return f.seen[i]
		}
	}
	return 0
}

// distinct returns how many different followers are kept.
func (f *followers) distinct() int {
	n := 0
	for n < width && f.seen[n] > 0 {
		n++
	}
	return n
}

// table maps the hash of a context to what came after it. Contexts whose hashes
// are equal share an entry; with 64 bits that does not happen in practice and
// would only cost a suggestion.
type table map[uint64]followers

func (t table) add(context uint64, id uint32) {
	entry := t[context]
	entry.add(id)
	t[context] = entry
}

// pruned returns the contexts that were seen more than once.
func (t table) pruned() table {
	kept := table{}
	for context, entry := range t {
		if entry.total > 1 {
			kept[context] = entry
		}
	}
	return kept
}

// extend mixes one more token into a context's hash (the finalizer of MurmurHash3
// over a running sum).
func extend(context uint64, id uint32) uint64 {
	context = (context+uint64(id)+1)*0x9e3779b97f4a7c15 ^ 0x2545f4914f6cdd1d
	context ^= context >> 33
	context *= 0xff51afd7ed558ccd
	context ^= context >> 33
	return context
}

// vocabulary gives tokens (or lines) their numbers. Layered over an older one that
// it never changes.
type vocabulary struct {
	base  *vocabulary
	first uint32
	ids   map[string]uint32
	texts []string
}

func newVocabulary(base *vocabulary) *vocabulary {
	v := &vocabulary{base: base, ids: map[string]uint32{}}
	if base != nil {
		v.first = base.first + uint32(len(base.texts))
	}
	return v
}

// find returns the number of a text that is known.
func (v *vocabulary) find(text string) (uint32, bool) {
	if v.base != nil {
		if id, known := v.base.find(text); known {
			return id, true
		}
	}
	id, known := v.ids[text]
	return id, known
}

// intern returns the number of a text, giving it the next one if it is new.
func (v *vocabulary) intern(text string) uint32 {
	if id, known := v.find(text); known {
		return id
	}
	id := v.first + uint32(len(v.texts))
	v.ids[text] = id
	v.texts = append(v.texts, text)
	return id
}

func (v *vocabulary) internAll(texts []string) {
	for _, text := range texts {
		v.intern(text)
	}
}

func (v *vocabulary) text(id uint32) string {
	if id < v.first {
		return v.base.text(id)
	}
	return v.texts[id-v.first]
}
