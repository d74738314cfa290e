package replay

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// minShared is how many characters other than white space a suggestion must
	// share with what the author wrote for the author to take that part.
	minShared = 4
	// modifiedRatio: the author corrects a suggestion instead of typing the line
	// when no more than one character in modifiedRatio is wrong.
	modifiedRatio = 5
)

// verdict is what the author does with a suggestion, decided by what the author
// really wrote.
type verdict uint8

const (
	// wrong: of no use. Whether it is rejected or ignored depends on the time.
	wrong verdict = iota
	// takeAll: it is what the author wrote, or the beginning of it.
	takeAll
	// takePart: it begins as the author wrote.
	takePart
	// takeAndFix: it differs in a few characters only.
	takeAndFix
)

// judge compares a suggestion with the text that the author really wrote from the
// same place to the end of the line. For takePart it also returns how many bytes
// of the suggestion the author takes.
func judge(suggested, actual string) (verdict, int) {
	if suggested == actual {
		return takeAll, len(suggested)
	}
	shared := sharedPrefix(suggested, actual)
	if shared == len(suggested) && visible(suggested) >= minShared {
		return takeAll, shared
	}
	trimmed := strings.TrimSpace(suggested)
	if trimmed != "" && trimmed == strings.TrimSpace(actual) || nearlyEqual(suggested, actual) {
		return takeAndFix, len(suggested)
	}
	words := wordsOf(suggested, shared)
	if visible(suggested[:words]) >= minShared {
		return takePart, words
	}
	return wrong, 0
}

// sharedPrefix returns the length in bytes of the common prefix of whole
// characters.
func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && (n < len(a) && !utf8.RuneStart(a[n]) || n < len(b) && !utf8.RuneStart(b[n])) {
		n--
	}
	return n
}

// wordsOf cuts a prefix of text back so that it ends no word in the middle.
func wordsOf(text string, prefix int) int {
	for prefix > 0 && prefix < len(text) {
		before, size := utf8.DecodeLastRuneInString(text[:prefix])
		after, _ := utf8.DecodeRuneInString(text[prefix:])
		if !wordRune(before) || !wordRune(after) {
			break
		}
		prefix -= size
	}
	return prefix
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// visible counts the characters other than white space.
func visible(text string) int {
	n := 0
	for _, r := range text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// nearlyEqual says whether at most one character in modifiedRatio of the longer
// text has to be inserted, removed or replaced (Levenshtein 1966) to get the other.
func nearlyEqual(a, b string) bool {
	from, to := []rune(a), []rune(b)
	limit := max(len(from), len(to)) / modifiedRatio
	if limit == 0 || max(len(from), len(to))-min(len(from), len(to)) > limit {
		return false
	}
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		least := row[0]
		for j, other := range to {
			cost := diagonal
			if r != other {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
			least = min(least, row[j+1])
		}
		if least > limit {
			return false
		}
	}
	return row[len(to)] <= limit
}

// correction returns the smallest single change that makes actual of suggested,
// with its offset counted from the start of suggested.
func correction(suggested, actual string) change {
	prefix := sharedPrefix(suggested, actual)
	from, to := suggested[prefix:], actual[prefix:]
	suffix := 0
	for suffix < len(from) && suffix < len(to) && from[len(from)-1-suffix] == to[len(to)-1-suffix] {
		suffix++
	}
	for suffix > 0 && !utf8.RuneStart(from[len(from)-suffix]) {
		suffix--
	}
	return change{offset: prefix, removed: len(from) - suffix, text: to[:len(to)-suffix]}
}
