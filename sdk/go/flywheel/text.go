package flywheel

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// What the contract allows, in bytes.
const (
	maxLabel   = 256
	maxDetail  = 1024
	maxComment = 65_536
)

// replacement stands for what is not UTF-8.
const replacement = "\uFFFD"

// label makes s fit a field for a name.
func (c *Client) label(s string) string { return c.fit(s, maxLabel) }

// detail makes s fit a field for an explanation.
func (c *Client) detail(s string) string { return c.fit(s, maxDetail) }

// fit returns s if it is valid UTF-8 of at most size bytes, else the longest
// beginning of it that can be made so, and counts that.
func (c *Client) fit(s string, size int) string {
	if len(s) <= size && utf8.ValidString(s) {
		return s
	}
	c.counters.repaired.Add(1)
	return cut(strings.ToValidUTF8(cut(s, size), replacement), size)
}

// cut returns the longest beginning of s of at most size bytes that ends with a
// character. It does not hold on to the rest of s.
func cut(s string, size int) string {
	if len(s) <= size {
		return s
	}
	for end := size; end > size-utf8.UTFMax; end-- {
		if utf8.RuneStart(s[end]) {
			return strings.Clone(s[:end])
		}
	}
	return strings.Clone(s[:size])
}

// texts is what an event may say in words.
type texts struct {
	prompt, text, userText, comment, arguments string
}

// content returns the texts as far as the user shares them: nil without consent,
// without any text, and when they are too large to send.
func (c *Client) content(t texts) *flywheelv1.Content {
	if c.cfg.consent == 0 || t == (texts{}) {
		return nil
	}
	for _, s := range []*string{&t.prompt, &t.text, &t.userText, &t.comment, &t.arguments} {
		if !utf8.ValidString(*s) {
			*s = strings.ToValidUTF8(*s, replacement)
			c.counters.repaired.Add(1)
		}
	}
	size := len(t.prompt) + len(t.text) + len(t.userText) + len(t.comment) + len(t.arguments)
	if size > c.cfg.maxContent || len(t.comment) > maxComment {
		c.counters.contentOmitted.Add(1)
		return nil
	}
	content := flywheelv1.ContentFromVTPool()
	content.Consent = c.cfg.consent
	content.Prompt, content.Text, content.UserText = t.prompt, t.text, t.userText
	content.Comment, content.Arguments = t.comment, t.arguments
	return content
}

// chars counts characters: Unicode code points.
func chars(s string) uint32 { return uint32(min(utf8.RuneCountInString(s), math.MaxUint32)) }

// lines counts lines; a line feed at the end begins no further one.
func lines(s string) uint32 {
	n := strings.Count(s, "\n")
	if s != "" && s[len(s)-1] != '\n' {
		n++
	}
	return uint32(min(n, math.MaxUint32))
}

// micros returns a duration as the contract has it. What is negative was not
// measured.
func micros(d time.Duration) int64 { return max(d.Microseconds(), 0) }

// finite returns f unless it is not a number.
func finite(f *float32) *float32 {
	if f == nil || math.IsNaN(float64(*f)) || math.IsInf(float64(*f), 0) {
		return nil
	}
	return f
}
