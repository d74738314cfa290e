package predict

import (
	"slices"
	"strings"
)

// Lesson is a line that stands below others.
type Lesson struct {
	Before []string
	Line   string
}

// Course collects lessons from prompts and the text that continued them.
type Course struct {
	// Lessons are in the order in which they came first.
	Lessons []Lesson
	seen    map[string]bool
}

// Add takes in what the last line of a prompt became. The lines above it are what it
// stands below, no lessons themselves: prompts overlap. Several prompts in one line make
// one lesson.
func (c *Course) Add(prompt, completion string) {
	before := strings.Split(prompt, "\n")
	first, _, _ := strings.Cut(completion, "\n")
	line := before[len(before)-1] + first
	before = before[:len(before)-1]
	key := strings.Join(append(slices.Clip(before), line), "\n")
	if c.seen[key] {
		return
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[key] = true
	c.Lessons = append(c.Lessons, Lesson{Before: before, Line: line})
}
