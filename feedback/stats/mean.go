package stats

import "math"

// ScoreMean is the running mean of scores from 0 to 1, by B. P. Welford, "Note on a Method
// for Calculating Corrected Sums of Squares and Products", Technometrics 4 (1962), pp.
// 419-420. The zero value is that of no scores.
type ScoreMean struct {
	n             uint64
	mean, squares float64
}

// Add takes a score.
func (m *ScoreMean) Add(score float64) {
	m.n++
	off := score - m.mean
	m.mean += off / float64(m.n)
	m.squares += off * (score - m.mean)
}

// Value returns the mean, and 0 for no scores.
func (m *ScoreMean) Value() float64 { return m.mean }

// Normal returns the normal 95 % interval of the mean, cut to [0, 1]. It takes the scores
// as independent, and is right for many of them. Fewer than two say nothing of how far
// they spread: the interval is [0, 1].
func (m *ScoreMean) Normal() (low, high float64) {
	if m.n < 2 {
		return 0, 1
	}
	n := float64(m.n)
	half := z95 * math.Sqrt(m.squares/(n-1)/n)
	return max(m.mean-half, 0), min(m.mean+half, 1)
}
