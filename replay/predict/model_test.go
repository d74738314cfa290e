package predict

import (
	"strings"
	"testing"
)

const training = `func a() error {
	if err := open(); err != nil {
		return err
	}
	return nil
}

func b() error {
	if err := shut(); err != nil {
		return err
	}
	return nil
}

func c() error {
	if err := wait(); err != nil {
		return err
	}
	return nil
}`

func models() []Model {
	corpus := Corpus{strings.Split(training, "\n")}
	return []Model{NewNGram(6, corpus), NewFrequency(corpus)}
}

func first(t *testing.T, p Predictor, before []string, prefix string) Suggestion {
	t.Helper()
	found := p.Suggest(before, prefix, 1)
	if len(found) == 0 {
		return Suggestion{}
	}
	s := found[0]
	if s.Text == "" || s.Confidence <= 0 || s.Confidence > 1 || s.MeanLogprob > 0 || s.Tokens < 1 {
		t.Errorf("suggestion out of its bounds: %+v", s)
	}
	return s
}

func TestModelsPredictWhatTheyHaveRead(t *testing.T) {
	t.Parallel()
	for _, m := range models() {
		for _, c := range []struct {
			name, before, prefix, want string
		}{
			{"line after a line", "\t\treturn err\n\t}", "", "\treturn nil"},
			{"rest of a line", "func d() error {", "\tif err := w", "ait(); err != nil {"},
			{"whole words stand", "\t\treturn err\n\t}", "\treturn", " nil"},
			{"closing brace", "\treturn nil", "", "}"},
			{"the line is complete", "\treturn nil", "}", ""},
			{"nothing like it", "package x", "zzz", ""},
		} {
			t.Run(m.Name()+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				got := first(t, m.Predictor(), strings.Split(c.before, "\n"), c.prefix)
				if got.Text != c.want {
					t.Errorf("suggested %q (confidence %.2f), want %q", got.Text, got.Confidence, c.want)
				}
			})
		}
	}
}

func TestModelsLearnFromTheDocument(t *testing.T) {
	t.Parallel()
	for _, m := range models() {
		t.Run(m.Name(), func(t *testing.T) {
			t.Parallel()
			p := m.Predictor()
			lines := []string{"case alpha:", "\treturn first(alpha)", "case beta:", "\treturn first(beta)", "case alpha:"}
			if got := first(t, p, lines, ""); got.Text == "\treturn first(alpha)" {
				t.Fatalf("predicted before it could be learned")
			}
			for i, line := range lines {
				p.Learn(lines[:i], line)
			}
			if got := first(t, p, lines, ""); got.Text != "\treturn first(alpha)" {
				t.Errorf("suggested %q after learning", got.Text)
			}
			if got := first(t, m.Predictor(), lines, ""); got.Text == "\treturn first(alpha)" {
				t.Error("another document's predictor knows it too")
			}
		})
	}
}

func TestSuggestionsAreBestFirstAndDiffer(t *testing.T) {
	t.Parallel()
	for _, m := range models() {
		t.Run(m.Name(), func(t *testing.T) {
			t.Parallel()
			p := m.Predictor()
			lines := []string{"x", "one", "x", "one", "x", "two", "x"}
			for i, line := range lines {
				p.Learn(lines[:i], line)
			}
			found := p.Suggest(lines, "", 2)
			if len(found) != 2 || found[0].Text != "one" || found[1].Text != "two" {
				t.Fatalf("suggested %+v, want one, then two", found)
			}
			if found[0].Confidence < found[1].Confidence {
				t.Errorf("confidences %v, %v are not in order", found[0].Confidence, found[1].Confidence)
			}
		})
	}
}

// TestSuggestChangesNothing checks that asking twice gives the same answer and
// that two models trained alike answer alike.
func TestSuggestChangesNothing(t *testing.T) {
	t.Parallel()
	one, two := models(), models()
	for i := range one {
		before := []string{"\tif err := unheardOf(); err != nil {"}
		p, q := one[i].Predictor(), two[i].Predictor()
		a, b, c := first(t, p, before, ""), first(t, p, before, ""), first(t, q, before, "")
		if a != b || a != c {
			t.Errorf("%s: %+v, %+v and %+v", one[i].Name(), a, b, c)
		}
	}
}

func TestUntrainedModelsSuggestNothing(t *testing.T) {
	t.Parallel()
	for _, m := range []Model{NewNGram(0, nil), NewFrequency(nil)} {
		if got := m.Predictor().Suggest(nil, "", 3); len(got) > 0 {
			t.Errorf("%s suggested %+v", m.Name(), got)
		}
	}
}

func BenchmarkSuggest(b *testing.B) {
	for _, m := range models() {
		b.Run(m.Name(), func(b *testing.B) {
			p, before := m.Predictor(), strings.Split(training, "\n")[:3]
			b.ReportAllocs()
			for b.Loop() {
				p.Suggest(before, "", 2)
			}
		})
	}
}
