package predict

import (
	"slices"
	"strings"
	"testing"
)

func TestTokenize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line string
		want       []string
	}{
		{"empty", "", nil},
		{"code", "\tif err != nil {", []string{"\t", "if", " err", " !", "=", " nil", " {"}},
		{"spaces as indentation", "    return x1", []string{"   ", " return", " x1"}},
		{"alignment by tabs", "a\t\t// b", []string{"a", "\t\t", "/", "/", " b"}},
		{"trailing white space", "a  ", []string{"a", "  "}},
		{"only white space", " ", []string{" "}},
		{"other letters", "größe := 1", []string{"größe", " :", "=", " 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Tokenize(nil, c.line); !slices.Equal(got, c.want) {
				t.Errorf("Tokenize(%q) = %q, want %q", c.line, got, c.want)
			}
		})
	}
}

func FuzzTokenize(f *testing.F) {
	f.Add("\tif err != nil {")
	f.Add(" \xff\x00 a ")
	f.Fuzz(func(t *testing.T, line string) {
		tokens := Tokenize(nil, line)
		if strings.Join(tokens, "") != line {
			t.Errorf("tokens of %q are %q", line, tokens)
		}
		if slices.Contains(tokens, "") {
			t.Errorf("an empty token in %q", line)
		}
	})
}
