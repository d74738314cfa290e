package stats

import "math"

// Ratio is a ratio of two sums over units that are independent of each other, such as
// the users that an experiment was dealt to: of each unit's numerator x and denominator
// y. The sums of disjoint units add up.
type Ratio struct {
	// Units is how many there are; X, Y, XX, XY and YY are the sums of x, y, x², xy and
	// y² over them.
	Units            uint64
	X, Y, XX, XY, YY float64
}

// Value returns X ÷ Y, and 0 where Y is 0.
func (r Ratio) Value() float64 {
	if r.Y == 0 {
		return 0
	}
	return r.X / r.Y
}

// Variance returns the variance of Value by the delta method: A. Deng, U. Knoblich, J. Lu,
// "Applying the Delta Method in Metric Analytics: A Practical Guide with Novel Ideas",
// KDD 2018, equation 4, with the sample's variances and covariance. There is none with
// fewer than two units or where Y is 0.
func (r Ratio) Variance() (v float64, ok bool) {
	if r.Units < 2 || r.Y == 0 {
		return 0, false
	}
	n, value := float64(r.Units), r.Value()
	// var(x) - 2 value cov(x, y) + value² var(y), all of whose means cancel out:
	// the mean of x - value y is 0.
	residual := r.XX - 2*value*r.XY + value*value*r.YY
	return max(residual, 0) * n / (n - 1) / (r.Y * r.Y), true
}

// Difference returns candidate - baseline and its 95 % interval. There is no interval
// where one of the two has no variance.
func Difference(baseline, candidate Ratio) (difference, low, high float64, ok bool) {
	difference = candidate.Value() - baseline.Value()
	a, okA := baseline.Variance()
	b, okB := candidate.Variance()
	if !okA || !okB {
		return difference, 0, 0, false
	}
	half := z95 * math.Sqrt(a+b)
	return difference, difference - half, difference + half, true
}
