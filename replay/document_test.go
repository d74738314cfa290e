package replay

import "testing"

func TestDocumentFollowsAcceptedText(t *testing.T) {
	t.Parallel()
	// In each case "hello world" is accepted after "0123\n".
	for _, c := range []struct {
		name     string
		changes  []change
		text     string
		inPlace  string
		retained int
	}{
		{"nothing more", nil, "0123\nhello world", "hello world", 11},
		{"typed after it", []change{{16, 0, "\nmore"}}, "0123\nhello world\nmore", "hello world", 11},
		{"typed right before it", []change{{5, 0, ">> "}}, "0123\n>> hello world", "hello world", 11},
		{"typed far above", []change{{0, 2, "abcdef"}}, "abcdef23\nhello world", "hello world", 11},
		{"a character replaced", []change{{9, 1, "O"}}, "0123\nhellO world", "hellO world", 10},
		{"text inserted", []change{{10, 0, ","}}, "0123\nhello, world", "hello, world", 11},
		{"the end replaced", []change{{11, 5, "all"}}, "0123\nhello all", "hello all", 6},
		{"the beginning replaced", []change{{3, 4, "X"}}, "012Xllo world", "Xllo world", 9},
		{"removed and typed again", []change{{5, 11, ""}, {5, 0, "hello world"}}, "0123\nhello world", "", 0},
		{"replaced by a change around it", []change{{0, 16, "new"}}, "new", "new", 0},
		{"changed twice", []change{{5, 1, "J"}, {10, 0, "!"}, {12, 1, "W"}}, "0123\nJello! World", "Jello! World", 9},
		{"removed up to its end", []change{{9, 7, ""}}, "0123\nhell", "hell", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := &document{text: []byte("0123\n")}
			s := d.accept(5, "hello world")
			for _, change := range c.changes {
				d.apply(change)
			}
			if got := string(d.text); got != c.text {
				t.Errorf("text %q, want %q", got, c.text)
			}
			if got := d.inPlace(s); got != c.inPlace {
				t.Errorf("in place %q, want %q", got, c.inPlace)
			}
			if got := d.retained(s); got != c.retained {
				t.Errorf("retained %d, want %d", got, c.retained)
			}
			if want := uint64(1 + len(c.changes)); d.version != want {
				t.Errorf("version %d, want %d", d.version, want)
			}
			d.forget(s)
			if len(d.spans) != 0 {
				t.Errorf("%d spans after forget", len(d.spans))
			}
		})
	}
}
