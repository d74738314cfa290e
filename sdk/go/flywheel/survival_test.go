package flywheel

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFourGramSurvival(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		accepted, later string
		want            float64
	}{
		"both empty":        {"", "", 1},
		"equal, short":      {"abc", "abc", 1},
		"short, different":  {"abc", "abd", 0},
		"one short":         {"abc", "abcd", 0},
		"deleted":           {"return nil", "", 0},
		"equal":             {"return nil", "return nil", 1},
		"disjoint":          {"abcdefgh", "ijklmnop", 0},
		"one of two grams":  {"abcde", "abcdx", 0.5},
		"twice as long":     {"aaaa", "aaaaa", 2.0 / 3},
		"repeats are kept":  {"abababab", "abab", 2.0 / 6},
		"beyond ASCII":      {"äöüß!", "äöüß?", 0.5},
		"not UTF-8, equal":  {"\xff\xfe\xfd\xfc", "\xff\xfe\xfd\xfc", 1},
		"astral characters": {"😀😁😂🤣", "😀😁😂🤣", 1},
	} {
		if got := FourGramSurvival(test.accepted, test.later); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// randomText is of few letters, so that texts have much in common by chance.
func randomText(r *rand.Rand, letters string, most int) string {
	all := []rune(letters)
	var text strings.Builder
	for range r.IntN(most + 1) {
		text.WriteRune(all[r.IntN(len(all))])
	}
	return text.String()
}

func TestSurvivalProperties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a, b := randomText(r, "abä\n", 150), randomText(r, "abä\n", 150)
		other := randomText(r, "xyö ", 150)
		if s := FourGramSurvival(a, b); s < 0 || s > 1 || s != FourGramSurvival(b, a) {
			t.Fatalf("FourGramSurvival(%q, %q) = %v", a, b, s)
		}
		if FourGramSurvival(a, a) != 1 || RetainedChars(a, a) != chars(a) {
			t.Fatalf("%q has not survived itself", a)
		}
		if a != "" && (FourGramSurvival(a, other) != 0 || RetainedChars(a, other) != 0) {
			t.Fatalf("%q has survived as %q", a, other)
		}
		kept := RetainedChars(a, b)
		if kept > min(chars(a), chars(b)) || kept != RetainedChars(b, a) || int(kept) != slowCommon([]rune(a), []rune(b)) {
			t.Fatalf("RetainedChars(%q, %q) = %d, want %d", a, b, kept, slowCommon([]rune(a), []rune(b)))
		}
		if got := RetainedChars(a, other+a+other); got != chars(a) {
			t.Fatalf("RetainedChars(%q, with text around) = %d", a, got)
		}
	}
}

// slowCommon is the length of the longest common subsequence by the textbook.
func slowCommon(a, b []rune) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

// TestRetainedCharsOfLongTexts: they are compared by lines.
func TestRetainedCharsOfLongTexts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	var accepted, later strings.Builder
	want := 0
	for range 5000 {
		line := randomText(r, "abcdefghijklmnopqrstuvwxyzä", 60) + "\n"
		accepted.WriteString(line)
		if r.IntN(3) == 0 {
			later.WriteString("!" + line)
			continue
		}
		later.WriteString(line)
		want += utf8.RuneCountInString(line)
	}
	got := int(RetainedChars(accepted.String(), later.String()))
	if got < want-200 || got > want+200 {
		t.Errorf("%d characters retained, want about %d", got, want)
	}
}
