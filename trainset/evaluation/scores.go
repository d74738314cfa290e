package evaluation

import (
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"

	"github.com/yirifi/flywheel/feedback/stats"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// maxCompared is how many code points of a text the edit similarity looks at: its time
// grows with the product of the lengths.
const maxCompared = 4000

// comparison is what one prediction is worth.
type comparison struct {
	exact, prefix                bool
	editSimilarity, commonPrefix float64
	chars                        int
}

// compare judges a prediction.
func compare(prediction, truth string) comparison {
	predicted, _, _ := strings.Cut(prediction, "\n")
	first, _, _ := strings.Cut(truth, "\n")
	return comparison{
		exact:          prediction == truth,
		prefix:         predicted == first,
		editSimilarity: editSimilarity(prediction, truth),
		commonPrefix:   commonPrefix(prediction, truth),
		chars:          utf8.RuneCountInString(prediction),
	}
}

// editSimilarity is 1 - Levenshtein distance ÷ length of the longer text, in code points:
// F. Zhang et al., "RepoCoder: Repository-Level Code Completion Through Iterative
// Retrieval and Generation", EMNLP 2023. Two empty texts are the same: 1. CodeXGLUE and
// RepoBench give the same name to fuzz.ratio of fuzzywuzzy, in which a replaced character
// counts as two changes and the sum of the lengths is divided by: similar, not equal.
func editSimilarity(a, b string) float64 {
	if a == b {
		return 1
	}
	a, b = beginning(a, maxCompared), beginning(b, maxCompared)
	longer := max(utf8.RuneCountInString(a), utf8.RuneCountInString(b))
	return 1 - float64(levenshtein.ComputeDistance(a, b))/float64(longer)
}

// beginning is a text's first n code points.
func beginning(text string, n int) string {
	for at := range text {
		if n == 0 {
			return text[:at]
		}
		n--
	}
	return text
}

// commonPrefix is the share of the truth's code points that the prediction begins with. Of
// an empty truth an empty prediction has all and any other nothing.
func commonPrefix(prediction, truth string) float64 {
	if truth == "" {
		if prediction == "" {
			return 1
		}
		return 0
	}
	common, rest := 0, truth
	for rest != "" {
		_, size := utf8.DecodeRuneInString(rest)
		if !strings.HasPrefix(prediction, rest[:size]) {
			break
		}
		prediction, rest = prediction[size:], rest[size:]
		common++
	}
	return float64(common) / float64(common+utf8.RuneCountInString(rest))
}

// scores are the sums over some rows.
type scores struct {
	rows, missing, exact, prefix uint64
	editSimilarity, commonPrefix stats.ScoreMean
	chars                        uint64
}

// miss counts a row without a prediction.
func (s *scores) miss() {
	s.add(comparison{})
	s.missing++
}

func (s *scores) add(c comparison) {
	s.rows++
	if c.exact {
		s.exact++
	}
	if c.prefix {
		s.prefix++
	}
	s.editSimilarity.Add(c.editSimilarity)
	s.commonPrefix.Add(c.commonPrefix)
	s.chars += uint64(c.chars)
}

// message is what is reported of the rows.
func (s *scores) message(language string) *flywheelv1.EvaluationScores {
	return &flywheelv1.EvaluationScores{
		Language: language, Rows: s.rows, Missing: s.missing,
		ExactMatch: share(s.exact, s.rows), PrefixMatch: share(s.prefix, s.rows),
		EditSimilarity: mean(&s.editSimilarity), CommonPrefix: mean(&s.commonPrefix),
		MeanPredictedChars: stats.Proportion(s.chars, s.rows-s.missing),
	}
}

func share(n, of uint64) *flywheelv1.Rate {
	low, high := stats.Wilson(n, of)
	return &flywheelv1.Rate{Numerator: n, Denominator: of, Value: stats.Proportion(n, of), Low: low, High: high}
}

func mean(m *stats.ScoreMean) *flywheelv1.MeanScore {
	low, high := m.Normal()
	return &flywheelv1.MeanScore{Value: m.Value(), Low: low, High: high}
}
