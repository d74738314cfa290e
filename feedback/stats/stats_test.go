package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/yirifi/flywheel/feedback/stats"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// TestWilsonPublished compares with method 3 of table I in R. G. Newcombe,
// "Two-sided confidence intervals for the single proportion", Statistics in
// Medicine 17 (1998), which gives four decimals.
func TestWilsonPublished(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		successes, trials uint64
		low, high         float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
	} {
		low, high := stats.Wilson(c.successes, c.trials)
		if !near(low, c.low, 5e-5) || !near(high, c.high, 5e-5) {
			t.Errorf("Wilson(%d, %d) = %.6f, %.6f; published %.4f, %.4f", c.successes, c.trials, low, high, c.low, c.high)
		}
	}
}

// TestWilsonReference compares with values computed to 50 digits.
func TestWilsonReference(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		successes, trials uint64
		low, high         float64
	}{
		{0, 1, 0.00000000000000000, 0.79345068562276266},
		{1, 1, 0.20654931437723739, 1.00000000000000000},
		{1, 2, 0.09453120573423071, 0.90546879426576932},
		{3, 10, 0.10779126740630102, 0.60322185253885463},
		{10, 10, 0.72246720013711074, 1.00000000000000000},
		{0, 1000, 0.00000000000000000, 0.00382675848555512},
		{50, 100, 0.40383153036599562, 0.59616846963400438},
		{999, 1000, 0.99435744140204207, 0.99982345362937397},
		{123456, 1000000, 0.12281269653142285, 0.12410219641400438},
		{1, 1000000000, 0.00000000017652455, 0.00000000566493424},
		{500000000, 1000000000, 0.49996901024844431, 0.50003098975155569},
	} {
		low, high := stats.Wilson(c.successes, c.trials)
		if !near(low, c.low, 1e-13) || !near(high, c.high, 1e-13) {
			t.Errorf("Wilson(%d, %d) = %.15f, %.15f; want %.15f, %.15f", c.successes, c.trials, low, high, c.low, c.high)
		}
	}
}

func TestNoTrialsSayNothing(t *testing.T) {
	t.Parallel()
	if low, high := stats.Wilson(0, 0); low != 0 || high != 1 {
		t.Errorf("Wilson(0, 0) = %v, %v; want 0, 1", low, high)
	}
	if got := stats.Proportion(5, 0); got != 0 {
		t.Errorf("Proportion(5, 0) = %v, want 0", got)
	}
	if low, high := stats.Wilson(7, 5); high != 1 || low != first(stats.Wilson(5, 5)) {
		t.Errorf("Wilson(7, 5) = %v, %v; want that of 5 of 5", low, high)
	}
}

func first(low, _ float64) float64 { return low }

// TestWilsonIsTheScoreInterval checks the definition: at each end e the observed
// proportion is z standard errors away, (p - e)² = z² e (1 - e) / n. And what
// follows from it: the interval holds p, mirrors with it and narrows with n.
func TestWilsonIsTheScoreInterval(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const z = 1.959963984540054
	for range 20_000 {
		trials := 1 + random.Uint64N(1<<random.Uint64N(40))
		successes := random.Uint64N(trials + 1)
		low, high := stats.Wilson(successes, trials)
		n, p := float64(trials), stats.Proportion(successes, trials)
		if !(0 <= low && low <= p && p <= high && high <= 1) {
			t.Fatalf("Wilson(%d, %d) = %v, %v does not hold %v", successes, trials, low, high, p)
		}
		for _, end := range []float64{low, high} {
			want, got := z*z*end*(1-end)/n, (p-end)*(p-end)
			if !near(got, want, 1e-9*(want+1/n)) {
				t.Fatalf("Wilson(%d, %d): end %v is %v from the proportion, want %v", successes, trials, end, got, want)
			}
		}
		mirrored, _ := stats.Wilson(trials-successes, trials)
		if !near(1-mirrored, high, 1e-12) {
			t.Fatalf("Wilson(%d, %d): high %v, mirrored %v", successes, trials, high, 1-mirrored)
		}
		lowMore, highMore := stats.Wilson(successes*2, trials*2)
		if highMore-lowMore >= high-low {
			t.Fatalf("Wilson(%d, %d) does not narrow with twice the evidence", successes, trials)
		}
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	for value, want := range map[uint64]uint16{1: 0, 2: 8, 3: 12, 10: 25, 1_000: 73, 1_000_000: 145, math.MaxUint64: 466} {
		if got := stats.Bucket(value); got != want {
			t.Errorf("Bucket(%d) = %d, want %d", value, got, want)
		}
	}
}

func TestQuantileOfFew(t *testing.T) {
	t.Parallel()
	if got := (stats.Histogram{}).Quantile(0.5); got != 0 {
		t.Errorf("median of nothing = %v, want 0", got)
	}
	two := stats.Histogram{10: 1, 20: 1, 30: 0}
	for q, bucket := range map[float64]float64{0: 10, 0.5: 10, 0.51: 20, 1: 20} {
		if got, want := two.Quantile(q), math.Pow(1.1, bucket-0.5); !near(got, want, 1e-9) {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
}

// TestQuantileIsWithinFivePercent compares with exact quantiles of random values,
// and checks that a histogram of parts is that of the whole.
func TestQuantileIsWithinFivePercent(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		values := make([]uint64, 1+random.IntN(2_000))
		spread := 1 + random.Float64()*20
		histogram := stats.Histogram{}
		for i := range values {
			values[i] = 1 + uint64(math.Exp(random.Float64()*spread))
			histogram[stats.Bucket(values[i])]++
		}
		slices.Sort(values)
		if got := histogram.Count(); got != uint64(len(values)) {
			t.Fatalf("count %d, want %d", got, len(values))
		}
		for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 1} {
			exact := float64(values[max(int(math.Ceil(q*float64(len(values)))), 1)-1])
			if got := histogram.Quantile(q); math.Abs(got/exact-1) > 0.05 {
				t.Fatalf("quantile %v of %d values = %v, exactly %v", q, len(values), got, exact)
			}
		}
	}
}
