package feedback_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// TestRangesEqualTheSumOfMinutes asks over random time ranges and widths, which are
// answered from days, hours and minutes, and compares with the minutes alone.
func TestRangesEqualTheSumOfMinutes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Now().UTC().Truncate(time.Minute)
	first := now.Add(-4 * 24 * time.Hour)
	var rows []rateRow
	for range 3000 {
		rows = append(rows, rateRow{
			Bucket: first.Add(time.Duration(random.IntN(4*1440+30)) * time.Minute), Model: fmt.Sprint("tab-", random.IntN(3)),
			Version: 1, Shown: 1 + random.Uint64N(1000), Accepted: random.Uint64N(100), RetentionCount: []uint64{random.Uint64N(9), 1},
			Latency: map[uint16]uint64{uint16(random.IntN(50)): 1},
		})
	}
	s.insert(t, dedupe(rows)...)
	for i := range 300 {
		var from, to *timestamppb.Timestamp
		start, end := random.IntN(4*1440), random.IntN(4*1440+60)
		start, end = min(start, end), max(start, end)+1
		unit := []time.Duration{time.Minute, time.Hour, 24 * time.Hour}[random.IntN(3)]
		if i%7 > 0 {
			from = timestamppb.New(first.Add(time.Duration(start) * time.Minute).Truncate(unit))
		}
		if i%5 > 0 {
			to = timestamppb.New(first.Add(time.Duration(end) * time.Minute).Truncate(unit).Add(unit))
		}
		width := []time.Duration{time.Minute, 7 * time.Minute, time.Hour, 90 * time.Minute, 6 * time.Hour, 24 * time.Hour, 48 * time.Hour}[random.IntN(7)]
		want := s.sumOfMinutes(t, from, to, width)
		var got uint64
		for _, row := range s.rates(t, &flywheelv1.GetRatesRequest{From: from, To: to, GroupBy: by("model")}) {
			got += checksum(row)
		}
		if got != want.whole {
			t.Fatalf("GetRates from %v to %v: checksum %d, want %d", from.AsTime(), to.AsTime(), got, want.whole)
		}
		got = 0
		for _, row := range s.overTime(t, &flywheelv1.GetRatesOverTimeRequest{From: from, To: to, GroupBy: by("model"), BucketWidth: durationpb.New(width)}) {
			got += uint64(row.GetBucket().AsTime().Unix()) * checksum(row)
		}
		if got != want.overTime {
			t.Fatalf("GetRatesOverTime from %v to %v by %s: checksum %d, want %d", from.AsTime(), to.AsTime(), width, got, want.overTime)
		}
	}
}

// checksum mixes what a row counts.
func checksum(row *flywheelv1.RatesRow) uint64 {
	c := row.GetCounts()
	return 3*c.GetShown() + 5*c.GetAccepted() + 7*row.GetRetention()[0].GetInteractions() + 11*row.GetLatency().GetCount()
}

type checksums struct{ whole, overTime uint64 }

// sumOfMinutes computes the checksums of all rows from the minutes.
func (s *service) sumOfMinutes(t *testing.T, from, to *timestamppb.Timestamp, width time.Duration) (sums checksums) {
	t.Helper()
	end := int64(1 << 32)
	if to != nil {
		end = to.AsTime().Unix()
	}
	err := s.db.Conn().QueryRow(t.Context(), `
		SELECT sum(c), sum(c * intDiv(toUnixTimestamp(bucket), $3) * $3)
		FROM
		(
			SELECT bucket, 3 * shown + 5 * accepted + 7 * retention_count[1] + 11 * arraySum(mapValues(latency)) AS c
			FROM rates FINAL WHERE toUnixTimestamp(bucket) >= $1 AND toUnixTimestamp(bucket) < $2
		)`, from.GetSeconds(), end, int64(width.Seconds())).Scan(&sums.whole, &sums.overTime)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// dedupe keeps one row per minute and model.
func dedupe(rows []rateRow) (kept []rateRow) {
	seen := map[string]bool{}
	for _, row := range rows {
		if key := fmt.Sprint(row.Bucket, row.Model); !seen[key] {
			seen[key] = true
			kept = append(kept, row)
		}
	}
	return kept
}
