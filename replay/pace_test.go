package replay

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

func TestPaceStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	p := newPace(rand.New(rand.NewPCG(1, 2)))
	const text = "größer als “alles” 世界 und noch mehr"
	for range 2000 {
		n := p.chunk(text)
		if !utf8.ValidString(text[:n]) || n == 0 || utf8.RuneCountInString(text[:n]) > chunkChars {
			t.Fatalf("a chunk of %q", text[:n])
		}
		if d := p.atLineStart(); d <= 0 || d > 2*longestThought {
			t.Fatalf("a pause of %s at a line start", d)
		}
		if d := p.withinLine(); d < 0 || d > 2*longestThought {
			t.Fatalf("a pause of %s within a line", d)
		}
		if p.typing(text) <= 0 || p.reading(text) <= 0 || p.fixing("") <= 0 || p.answering(0) <= 0 {
			t.Fatal("something takes no time")
		}
	}
	if n := p.chunk(""); n != 0 {
		t.Errorf("a chunk of %d bytes of nothing", n)
	}
}
