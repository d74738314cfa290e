package feedback_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// BenchmarkRates asks over 90 days of minutes with 20 combinations each: 2,592,000
// rows of rates, and their sums. Over time the answer has 24 buckets.
func BenchmarkRates(b *testing.B) {
	s := serve(b)
	err := s.db.Conn().Exec(b.Context(), `
		INSERT INTO rates (tenant, bucket, model, language, version, settled_at, opportunities, shown, accepted,
			task_results, retention_count, retained_chars, base_chars, four_gram_sum, four_gram_count, latency)
		SELECT 'default', toDateTime('2026-08-22 00:00:00', 'UTC') + intDiv(number, 20) * 60,
			concat('tab-', toString(number % 4)), concat('language ', toString(intDiv(number, 4) % 5)), 1, now64(3), 100, 90, 30,
			range(9), range(7), range(7), range(7), range(7), range(7), map(120, 10, 130, 70, 140, 10)
		FROM numbers(90 * 1440 * 20)`)
	if err != nil {
		b.Fatal(err)
	}
	s.addUp(b)
	to := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for name, days := range map[string]int{"1 day": 1, "90 days": 90} {
		from := timestamppb.New(to.AddDate(0, 0, -days))
		b.Run("by model/"+name, func(b *testing.B) {
			for b.Loop() {
				resp, err := s.GetRates(b.Context(), &flywheelv1.GetRatesRequest{From: from, To: timestamppb.New(to), GroupBy: by("model")})
				if err != nil || len(resp.GetRows()) != 4 {
					b.Fatalf("%d rows, %v; want 4", len(resp.GetRows()), err)
				}
			}
		})
		b.Run("over time by model/"+name, func(b *testing.B) {
			width := to.Sub(from.AsTime()) / 24
			for b.Loop() {
				resp, err := s.GetRatesOverTime(b.Context(), &flywheelv1.GetRatesOverTimeRequest{
					From: from, To: timestamppb.New(to), GroupBy: by("model"), BucketWidth: durationpb.New(width),
				})
				if err != nil || len(resp.GetRows()) < 4*24 {
					b.Fatalf("%d rows, %v; want %d or a few more", len(resp.GetRows()), err, 4*24)
				}
			}
		})
	}
}
