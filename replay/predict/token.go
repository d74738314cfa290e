package predict

import (
	"unicode"
	"unicode/utf8"
)

// Tokenize splits a line into tokens whose concatenation is the line, and appends
// them to dst. A token is a word (letters, digits, underscores) or one other
// character, either with the single space before it; a longer run of white space,
// as in indentation, is a token of its own less the space that joins the next.
func Tokenize(dst []string, line string) []string {
	for start := 0; start < len(line); {
		end := tokenEnd(line, start)
		dst = append(dst, line[start:end])
		start = end
	}
	return dst
}

func tokenEnd(line string, start int) int {
	end := spaceEnd(line, start)
	if blank := end - start; blank > 0 {
		single := line[end-1] == ' ' && end < len(line)
		switch {
		case single && blank > 1:
			return end - 1
		case !single:
			return end
		}
	}
	first, size := utf8.DecodeRuneInString(line[end:])
	end += size
	if !wordRune(first) {
		return end
	}
	for end < len(line) {
		r, size := utf8.DecodeRuneInString(line[end:])
		if !wordRune(r) {
			break
		}
		end += size
	}
	return end
}

func spaceEnd(line string, start int) int {
	end := start
	for end < len(line) && (line[end] == ' ' || line[end] == '\t') {
		end++
	}
	return end
}

func wordRune(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
}
