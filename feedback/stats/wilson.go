// Package stats is the arithmetic of rates: pure functions of counts.
package stats

import "math"

// z95 is the 97.5th percentile of the standard normal distribution: what bounds its
// middle 95 %.
const z95 = 1.959963984540054

// Proportion returns successes ÷ trials, and 0 for no trials.
func Proportion(successes, trials uint64) float64 {
	if trials == 0 {
		return 0
	}
	return float64(successes) / float64(trials)
}

// Wilson returns the 95 % score interval of a proportion without continuity
// correction: E. B. Wilson, "Probable Inference, the Law of Succession, and
// Statistical Inference", JASA 22 (1927), pp. 209-212. Unlike the normal
// approximation it stays within [0, 1] and is right for few trials and for
// proportions near 0 and 1.
//
// No trials say nothing: the interval is [0, 1]. More successes than trials, which
// are no proportion, count as all.
func Wilson(successes, trials uint64) (low, high float64) {
	if trials == 0 {
		return 0, 1
	}
	successes = min(successes, trials)
	n := float64(trials)
	p := float64(successes) / n
	scale := 1 + z95*z95/n
	center := (p + z95*z95/(2*n)) / scale
	half := z95 * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n)) / scale
	low, high = max(center-half, 0), min(center+half, 1)
	// Exact at the ends, where rounding would leave a trace.
	if successes == 0 {
		low = 0
	}
	if successes == trials {
		high = 1
	}
	return low, high
}
