package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/yirifi/flywheel/feedback/stats"
)

// TestScoreMean compares with the sums of the definition.
func TestScoreMean(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		var m stats.ScoreMean
		var scores []float64
		sum := 0.0
		for range n {
			score := 0.4 + 0.2*r.Float64()
			scores = append(scores, score)
			sum += score
			m.Add(score)
		}
		low, high := m.Normal()
		if n < 2 {
			if low != 0 || high != 1 || m.Value() != sum {
				t.Errorf("%d scores: mean %v, interval %v, %v", n, m.Value(), low, high)
			}
			continue
		}
		mean, squares := sum/float64(n), 0.0
		for _, score := range scores {
			squares += (score - mean) * (score - mean)
		}
		half := 1.959963984540054 * math.Sqrt(squares/float64(n-1)) / math.Sqrt(float64(n))
		if !near(m.Value(), mean, 1e-12) || !near(low, mean-half, 1e-12) || !near(high, mean+half, 1e-12) {
			t.Fatalf("%d scores: mean %v, interval %v, %v; want %v ± %v", n, m.Value(), low, high, mean, half)
		}
	}
}

func TestScoreMeanStaysWithinScores(t *testing.T) {
	t.Parallel()
	var m stats.ScoreMean
	m.Add(0)
	m.Add(1)
	if low, high := m.Normal(); low != 0 || high != 1 {
		t.Errorf("interval %v, %v; want 0, 1", low, high)
	}
	var same stats.ScoreMean
	same.Add(0.25)
	same.Add(0.25)
	if low, high := same.Normal(); low != 0.25 || high != 0.25 {
		t.Errorf("interval %v, %v; want 0.25, 0.25", low, high)
	}
}
