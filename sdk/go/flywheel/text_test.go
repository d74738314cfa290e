package flywheel

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text, want string
		repaired   bool
	}{
		"empty":                      {"", "", false},
		"short":                      {"gö", "gö", false},
		"exact":                      {"12345678", "12345678", false},
		"long":                       {"123456789", "12345678", true},
		"cut within a character":     {"123456ä789", "123456ä", true},
		"cut within a long one":      {"12345😀6", "12345", true},
		"not UTF-8":                  {"a\xffb", "a\uFFFDb", true},
		"grows by the repair":        {"1234567\xff", "1234567", true},
		"long and not UTF-8":         {"\xff\xfe12345678", "\uFFFD12345", true},
		"nothing that begins a rune": {strings.Repeat("\x80", 20), "\uFFFD", true},
	} {
		c := &Client{counters: new(counters)}
		got := c.fit(test.text, 8)
		if got != test.want || c.counters.repaired.Load() == 1 != test.repaired {
			t.Errorf("%s: %q, repaired %d", name, got, c.counters.repaired.Load())
		}
	}
}

func FuzzFit(f *testing.F) {
	f.Add("123456ä789\xff", 8)
	f.Fuzz(func(t *testing.T, text string, size int) {
		size = 4 + size&0xff
		c := &Client{counters: new(counters)}
		got := c.fit(text, size)
		if len(got) > size || !utf8.ValidString(got) {
			t.Errorf("fit(%q, %d) = %q", text, size, got)
		}
		if utf8.ValidString(text) && (!strings.HasPrefix(text, got) || len(text) <= size && got != text) {
			t.Errorf("fit(%q, %d) = %q", text, size, got)
		}
	})
}

func TestLengths(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]uint32{
		"": {0, 0}, "a": {1, 1}, "ä😀": {2, 1}, "a\n": {2, 1}, "a\nb": {3, 2}, "\n\n": {2, 2},
	} {
		if c, l := chars(text), lines(text); c != want[0] || l != want[1] {
			t.Errorf("%q: %d characters, %d lines, want %v", text, c, l, want)
		}
	}
}

func TestFinite(t *testing.T) {
	t.Parallel()
	if finite(nil) != nil || finite(new(float32(math.NaN()))) != nil || finite(new(float32(math.Inf(-1)))) != nil {
		t.Error("what is no number must be left out")
	}
	if f := finite(new(float32(0))); f == nil || *f != 0 {
		t.Error("zero is a number")
	}
}
