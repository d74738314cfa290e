package predict

import "testing"

func TestFollowersKeepTheFrequent(t *testing.T) {
	t.Parallel()
	var f followers
	for range 3 {
		f.add(7)
	}
	f.add(0)
	f.add(0)
	for id := range uint32(20) {
		f.add(100 + id)
	}
	if got := f.count(7); got != 3 {
		t.Errorf("7 counted %d times, want 3", got)
	}
	if got := f.count(0); got != 2 {
		t.Errorf("0 counted %d times, want 2", got)
	}
	if got := f.count(119); got != 1 {
		t.Errorf("the last one counted %d times, want 1", got)
	}
	if f.total != 25 || f.distinct() != width {
		t.Errorf("total %d, distinct %d; want 25, %d", f.total, f.distinct(), width)
	}
}

func TestVocabularyLayers(t *testing.T) {
	t.Parallel()
	base := newVocabulary(nil)
	a := base.intern("a")
	one, two := newVocabulary(base), newVocabulary(base)
	if got := one.intern("a"); got != a {
		t.Errorf("a is %d in the upper layer, %d below", got, a)
	}
	b, c := one.intern("b"), two.intern("c")
	if one.text(b) != "b" || two.text(c) != "c" || one.text(a) != "a" {
		t.Errorf("texts %q, %q, %q", one.text(b), two.text(c), one.text(a))
	}
	if _, known := two.find("b"); known {
		t.Error("one document's words are known in another")
	}
}
