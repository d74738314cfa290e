package sequence

import (
	"math/rand/v2"
	"testing"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		open  string
		edits []Edit
		want  string
		known bool
	}{
		"insert, replace, remove": {"ab", []Edit{
			{Version: 2, Offset: 2, InsertedLength: 1, Text: "c"}, {Version: 3, Offset: 0, RemovedLength: 1, InsertedLength: 2, Text: "xy"},
			{Version: 4, Offset: 1, RemovedLength: 2},
		}, "xc", true},
		"two edits of one version": {"ab", []Edit{{Version: 2, Offset: 2, InsertedLength: 1, Text: "c"}, {Version: 2, InsertedLength: 1, Text: "d"}}, "dabc", true},
		"versions not counted":     {"ab", []Edit{{Offset: 1, RemovedLength: 1}}, "a", true},
		"a version is missing":     {"ab", []Edit{{Version: 2, Offset: 1, RemovedLength: 1}, {Version: 4, InsertedLength: 1, Text: "d"}}, "", false},
		"beyond the end":           {"ab", []Edit{{Version: 2, Offset: 3, InsertedLength: 1, Text: "c"}}, "", false},
		"removes too much":         {"ab", []Edit{{Version: 2, Offset: 1, RemovedLength: 1<<64 - 1}}, "", false},
		"text not shared":          {"ab", []Edit{{Version: 2, InsertedLength: 4}}, "", false},
		"never known again":        {"ab", []Edit{{Version: 2, InsertedLength: 4}, {Version: 3, Offset: 0, RemovedLength: 1}}, "", false},
	} {
		d := &document{}
		d.open(&Edit{Version: 1, Text: test.open}, uint64(len(test.open)))
		known := true
		for _, e := range test.edits {
			known = d.apply(&e)
		}
		if known != test.known || known && string(d.text) != test.want {
			t.Errorf("%s: %q, known %t; want %q, %t", name, d.text, known, test.want, test.known)
		}
	}
	hidden := &document{}
	hidden.open(&Edit{Version: 1}, 5)
	if hidden.known {
		t.Error("a document whose text is not shared is known")
	}
}

// TestAnyEdits applies random edits: none may do harm.
func TestAnyEdits(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		d := &document{}
		d.open(&Edit{Text: "abcdefgh"}, 8)
		for range 20 {
			e := Edit{Offset: random.Uint64() >> random.IntN(64), RemovedLength: random.Uint64() >> random.IntN(64), Text: "xyz"[:random.IntN(4)]}
			e.InsertedLength = uint64(len(e.Text))
			fits := e.Offset <= uint64(len(d.text)) && e.RemovedLength <= uint64(len(d.text))-e.Offset
			if was := d.known; d.apply(&e) != (was && fits) {
				t.Fatalf("%+v: known %t", e, d.known)
			}
		}
	}
}
