package replay

import "testing"

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, suggested, actual string
		want                    verdict
		taken                   int
	}{
		{"equal", "\treturn nil", "\treturn nil", takeAll, 11},
		{"a beginning of what follows", "\treturn", "\treturn nil", takeAll, 7},
		{"too short a beginning", "}", "})", wrong, 0},
		{"other indentation", "\t\treturn nil", "\treturn nil", takeAndFix, 12},
		{"trailing space", "x := 1 ", "x := 1", takeAndFix, 7},
		{"one character differs", "if err != nil {", "if err == nil {", takeAndFix, 15},
		{"a shared word or more", "return errors.New(text)", "return errors.Join(all...)", takePart, 14},
		{"a shared part of a word", "returned", "returning x, y", wrong, 0},
		{"shared white space only", "\t\t\t\tfoo()", "\t\t\t\tbar(x)", wrong, 0},
		{"nothing shared", "fmt.Println(x)", "return", wrong, 0},
		{"the author writes a blank line", "}", "", wrong, 0},
		{"a character of several bytes cut", "schön und gut", "schör, nicht gut", wrong, 0},
		{"several bytes kept whole", "größe := über(x, y, z)", "größe := unter", takePart, 11},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, taken := judge(c.suggested, c.actual)
			if got != c.want || taken != c.taken {
				t.Errorf("judge(%q, %q) = %d, %d; want %d, %d", c.suggested, c.actual, got, taken, c.want, c.taken)
			}
		})
	}
}

func TestCorrectionMakesTheLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, suggested, actual string
		want                    change
	}{
		{"one operator", "if err != nil {", "if err == nil {", change{7, 1, "="}},
		{"indentation", "\t\tx", "\tx", change{1, 1, ""}},
		{"overlapping ends", "aa", "aaa", change{2, 0, "a"}},
		{"inside one character", "a\u00e4b", "a\u00e5b", change{1, 2, "\u00e5"}},
		{"different first bytes, same last", "\u0128", "\u0168", change{0, 2, "\u0168"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := correction(c.suggested, c.actual)
			if got != c.want {
				t.Errorf("correction = %+v, want %+v", got, c.want)
			}
			fixed := c.suggested[:got.offset] + got.text + c.suggested[got.offset+got.removed:]
			if fixed != c.actual {
				t.Errorf("it makes %q of %q, want %q", fixed, c.suggested, c.actual)
			}
		})
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("if err != nil {", "if err == nil {")
	f.Add("größe", "größer")
	f.Fuzz(func(t *testing.T, suggested, actual string) {
		what, taken := judge(suggested, actual)
		if what != takeAndFix && suggested[:taken] != actual[:min(taken, len(actual))] {
			t.Errorf("judge(%q, %q) takes %d bytes that the author did not write", suggested, actual, taken)
		}
		c := correction(suggested, actual)
		if got := suggested[:c.offset] + c.text + suggested[c.offset+c.removed:]; got != actual {
			t.Errorf("correction of %q makes %q, want %q", suggested, got, actual)
		}
	})
}
