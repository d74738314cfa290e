package verify_test

import (
	"fmt"
	"testing"
	"time"
)

// benchInteractions are spread over two days.
const benchInteractions = 1_000_000

// BenchmarkVerify verifies interactions of one or three partial rows each, as many
// opportunities, and all that was settled from them.
func BenchmarkVerify(b *testing.B) {
	for name, merged := range map[string]bool{"merged": true, "three rows each": false} {
		b.Run(name, func(b *testing.B) {
			s := newStore(b)
			s.generate(benchInteractions)
			s.settle()
			if merged {
				s.exec("OPTIMIZE TABLE interactions FINAL")
			}
			began := time.Now()
			n := uint64(0)
			for b.Loop() {
				n += s.requireEqual(wholeChunks).Interactions
			}
			b.ReportMetric(float64(n)/time.Since(began).Seconds(), "interactions/s")
		})
	}
}

// generate inserts interactions with an opportunity each, as three batches would.
func (s *store) generate(n int) {
	s.tb.Helper()
	step := int64(48*time.Hour/time.Millisecond) / int64(n)
	source := fmt.Sprintf(`
		WITH %d + number * %d AS ms, lower(hex(toUInt64(ms))) AS h, lower(hex(cityHash64(number))) || leftPad(lower(hex(number)), 16, '0') AS x
		SELECT 'acme', fromUnixTimestamp64Milli(toInt64(ms)),
			toUUID(concat(substring(h, 1, 8), '-', substring(h, 9, 4), '-7', substring(x, 1, 3), '-8', substring(x, 4, 3), '-', substring(x, -12))), `,
		base.UnixMilli(), step)
	dimensions := "'inline_completion', 'model-' || toString(number % 3), 'user-' || toString(number % 1000), 'go', 'vscode', '1.2.3', "
	for _, insert := range [][3]string{
		{"opportunities", "opportunity_id, surface, model, user, language, client, client_version, requested_at", dimensions + "now64(6)"},
		{"interactions", "interaction_id, output_chars, generated_at", "number % 100, now64(6)"},
		{
			"interactions", "interaction_id, surface, model, user, language, client, client_version, shown_at, shown_latency_us",
			dimensions + "now64(6), number % 100000",
		},
		{
			"interactions", "interaction_id, outcome_rank, visible_us, accepted_chars, retained_chars_0, retained_chars_5",
			"bitShiftLeft(3, 62) + 256 + 1 + number % 3, number % 3000000, 50, 51, 41",
		},
	} {
		s.exec(fmt.Sprintf("INSERT INTO %s (tenant, started_at, %s) %s %s FROM numbers(%d)", insert[0], insert[1], source, insert[2], n))
	}
	s.exec("INSERT INTO bucket_touches SELECT tenant, toStartOfMinute(started_at) AS m, 1, now64(3) FROM interactions GROUP BY tenant, m")
}
