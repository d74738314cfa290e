package predict

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCourse(t *testing.T) {
	t.Parallel()
	var c Course
	for _, row := range [][2]string{
		{"a\nb\n\tif x", " {\n\t\treturn"},
		{"a\nb\n\tif x", " {"}, // the same line
		{"a\nb\n\tif", " x {"}, // the same line, asked for earlier
		{"a\nc\n\tif", " x {"},
		{"whole line", ""},
		{"", "first"},
	} {
		c.Add(row[0], row[1])
	}
	var got []string
	for _, lesson := range c.Lessons {
		got = append(got, fmt.Sprintf("%q below %q", lesson.Line, lesson.Before))
	}
	want := []string{
		`"\tif x {" below ["a" "b"]`, `"\tif x {" below ["a" "c"]`, `"whole line" below []`, `"first" below []`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("lessons %s\nwant %s", strings.Join(got, "; "), strings.Join(want, "; "))
	}
}

// TestLessonsChangeWhatIsSuggested teaches another line than the corpus has: once it came
// more often, it is suggested.
func TestLessonsChangeWhatIsSuggested(t *testing.T) {
	t.Parallel()
	corpus := Corpus{strings.Split(training, "\n")}
	before := []string{"\t\treturn err", "\t}"}
	for times, want := range map[int]string{0: "\treturn nil", 1: "\treturn nil", 9: "\treturn done()"} {
		var c Course
		for i := range times {
			c.Add(fmt.Sprintf("// %d\n\t\treturn err\n\t}\n\treturn", i), " done()")
		}
		m := NewTaughtNGram("taught@3", 6, corpus, c.Lessons)
		if m.Name() != "taught@3" {
			t.Errorf("name %q", m.Name())
		}
		if got := first(t, m.Predictor(), before, ""); got.Text != want {
			t.Errorf("after %d lessons: suggested %q, want %q", times, got.Text, want)
		}
	}
}

// TestLessonsBelowNewWords asks below a line whose words only lessons hold, in a document
// that has learnt that line.
func TestLessonsBelowNewWords(t *testing.T) {
	t.Parallel()
	var c Course
	c.Add("zyx:\n", "\twvu()")
	m := NewTaughtNGram("taught@3", 6, Corpus{strings.Split(training, "\n")}, c.Lessons)
	p := m.Predictor()
	p.Learn(nil, "zyx:")
	if got := first(t, p, []string{"zyx:"}, ""); got.Text != "\twvu()" {
		t.Errorf("suggested %q, want what was taught", got.Text)
	}
}
