package stats_test

import (
	"math/rand/v2"
	"testing"

	"github.com/yirifi/flywheel/feedback/stats"
)

// ratioOf adds units up, each a numerator and a denominator.
func ratioOf(units ...[2]float64) (r stats.Ratio) {
	for _, u := range units {
		r.Units++
		r.X, r.Y = r.X+u[0], r.Y+u[1]
		r.XX, r.XY, r.YY = r.XX+u[0]*u[0], r.XY+u[0]*u[1], r.YY+u[1]*u[1]
	}
	return r
}

// TestDifferenceByHand follows one example through: the baseline's units have a ratio of
// 6/10 and residuals x - 0.6 y of -0.2, 0.6, -0.4, whose squares are 0.56: a variance of
// 0.56 · 3/2 ÷ 10² = 0.0084. The candidate's have 9/12, residuals 0.5, -0.75, 0.25, hence
// 0.875 · 3/2 ÷ 12² = 0.00911458.
func TestDifferenceByHand(t *testing.T) {
	t.Parallel()
	baseline := ratioOf([2]float64{1, 2}, [2]float64{3, 4}, [2]float64{2, 4})
	candidate := ratioOf([2]float64{2, 2}, [2]float64{3, 5}, [2]float64{4, 5})
	for _, c := range []struct {
		ratio stats.Ratio
		want  float64
	}{{baseline, 0.0084}, {candidate, 0.009114583333}} {
		if got, ok := c.ratio.Variance(); !ok || !near(got, c.want, 1e-12) {
			t.Errorf("variance %v, %t; want %v", got, ok, c.want)
		}
	}
	difference, low, high, ok := stats.Difference(baseline, candidate)
	if !ok || !near(difference, 0.15, 1e-12) || !near(low, -0.109387, 1e-6) || !near(high, 0.409387, 1e-6) {
		t.Errorf("difference %v, %v to %v, %t; want 0.15, -0.109387 to 0.409387", difference, low, high, ok)
	}
}

func TestNoIntervalWithoutVariance(t *testing.T) {
	t.Parallel()
	several := ratioOf([2]float64{1, 2}, [2]float64{1, 2})
	for name, r := range map[string]stats.Ratio{
		"no units": {}, "one unit": ratioOf([2]float64{1, 2}), "nothing counted": ratioOf([2]float64{}, [2]float64{}),
	} {
		if _, _, _, ok := stats.Difference(several, r); ok {
			t.Errorf("%s: there is an interval", name)
		}
		if _, _, _, ok := stats.Difference(r, several); ok {
			t.Errorf("%s as the baseline: there is an interval", name)
		}
	}
	if difference, low, high, ok := stats.Difference(several, several); !ok || difference != 0 || low != 0 || high != 0 {
		t.Errorf("equal units: %v, %v to %v, %t; want 0 without width", difference, low, high, ok)
	}
}

// TestIntervalCoversUsersThatDiffer draws users who differ, with many interactions each,
// from the same population for both arms: 95 % of the intervals must hold 0. Intervals
// that took interactions as independent would do so much more rarely.
func TestIntervalCoversUsersThatDiffer(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	arm := func() stats.Ratio {
		var users [][2]float64
		for range 100 {
			shown, accepted, inclination := 10+random.IntN(60), 0, random.Float64()
			for range shown {
				if random.Float64() < inclination {
					accepted++
				}
			}
			users = append(users, [2]float64{float64(accepted), float64(shown)})
		}
		return ratioOf(users...)
	}
	const runs = 2000
	covered := 0
	for range runs {
		if _, low, high, ok := stats.Difference(arm(), arm()); ok && low <= 0 && 0 <= high {
			covered++
		}
	}
	if share := float64(covered) / runs; share < 0.93 || share > 0.97 {
		t.Errorf("%.3f of the intervals hold the true difference, want 0.95", share)
	}
}
