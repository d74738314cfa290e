package processor_test

import (
	"testing"
	"time"
)

// manyInteractions inserts 600,000 interactions of one minute as three or four
// partial rows each, in six steps as they would arrive.
const manyInteractions = `
INSERT INTO interactions
(
    tenant, started_at, interaction_id, surface, model, variant, language, client, client_version, view_kind, source, trigger,
    output_chars, shown_at, shown_latency_us, visible_us, outcome_rank, retained_chars_0, retained_chars_30, four_gram_0, four_gram_30
)
WITH
    intDiv(intDiv(number, 100000), 4) * 100000 + number % 100000 AS n,
    intDiv(number, 100000) % 4 AS phase,
    cityHash64(n) AS h,
    h % 3 = 0 AS taken
SELECT
    'acme',
    toDateTime64('2026-11-20 10:30:00', 3, 'UTC') + INTERVAL intDiv(n, 10) MILLISECOND,
    reinterpret(concat(reinterpretAsFixedString(cityHash64(n, 1)), reinterpretAsFixedString(h)), 'UUID'),
    if(phase = 1, 'inline_completion', ''),
    if(phase = 1, concat('tab-', toString(h % 4)), ''),
    if(phase = 1, concat('v', toString(h % 5)), ''),
    if(phase = 1, ['go', 'python', 'typescript', 'rust', 'java', 'c'][1 + intDiv(h, 7) % 6], ''),
    if(phase = 1, 'acme-vscode', ''), if(phase = 1, '1.2.3', ''),
    if(phase = 1, 'ghost_text', ''), if(phase = 1, 'network', ''), if(phase = 1, 'typing', ''),
    if(phase = 0, h % 200, 0),
    if(phase = 1, now64(6), toDateTime64(0, 6)), if(phase = 1, 100000 + h % 900000, 0),
    if(phase = 2, h % 3000000, 0),
    if(phase = 2, bitOr(bitShiftLeft(toUInt64(if(taken, 3, 0)), 62), if(taken, 1, 6)), 0),
    if(phase = 3, 1 + h % 200, 0), if(phase = 3, 1 + h % 150, 0), if(phase = 3, 9001, 0), if(phase = 3, 8001, 0)
FROM numbers(2400000)
WHERE phase < 3 OR taken
SETTINGS max_insert_block_size = 100000, min_insert_block_size_rows = 100000, max_block_size = 100000, max_threads = 1`

// BenchmarkSettleBusyMinute settles a minute with 600,000 interactions.
func BenchmarkSettleBusyMinute(b *testing.B) {
	s := newRatesStore(b)
	s.exec(manyInteractions)
	settler := s.settler()
	for b.Loop() {
		s.exec("INSERT INTO bucket_touches VALUES ('acme', '2026-11-20 10:30:00', 1, now64(3))")
		if got := settleOnce(b.Context(), b, settler); got != 1 {
			b.Fatalf("settled %d minutes, want 1", got)
		}
	}
	var shown, accepted uint64
	if err := s.Conn().QueryRow(b.Context(), "SELECT sum(shown), sum(accepted) FROM rates FINAL").Scan(&shown, &accepted); err != nil || shown != 600_000 {
		b.Fatalf("%d shown, %d accepted, %v; want 600,000 shown", shown, accepted, err)
	}
}

// BenchmarkLookAtAYear looks for dirty minutes among those of a year, all settled.
func BenchmarkLookAtAYear(b *testing.B) {
	s := newRatesStore(b)
	s.exec(`INSERT INTO bucket_touches SELECT 'acme', toDateTime('2026-01-01 00:00:00', 'UTC') + number * 60, 5, toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + number * 60 FROM numbers(525600)`)
	s.exec(`INSERT INTO settled_buckets SELECT tenant, bucket, touches, touched_at FROM bucket_touches`)
	settler := s.settler()
	settleOnce(b.Context(), b, settler) // hours and days
	for b.Loop() {
		if got := settleOnce(b.Context(), b, settler); got != 0 {
			b.Fatalf("settled %d minutes, want none", got)
		}
	}
}

// BenchmarkSettleManyQuietMinutes settles 1,000 minutes with one interaction each.
func BenchmarkSettleManyQuietMinutes(b *testing.B) {
	s := newRatesStore(b)
	s.exec(`INSERT INTO interactions (tenant, started_at, interaction_id, model, shown_at)
		SELECT concat('tenant-', toString(number % 10)), toDateTime64('2026-11-20 10:30:00', 3, 'UTC') + number * 60, generateUUIDv4(), 'tab-7b', now64(6) FROM numbers(1000)`)
	settler := s.settler()
	began, minutes := time.Now(), 0
	for b.Loop() {
		s.exec(`INSERT INTO bucket_touches SELECT tenant, toStartOfMinute(started_at), 1, now64(3) FROM interactions`)
		minutes += settleOnce(b.Context(), b, settler)
	}
	b.ReportMetric(float64(minutes)/time.Since(began).Seconds(), "minutes/s")
}

// BenchmarkTick settles a minute again and again whose hour and day have rates of 200
// combinations in each minute.
func BenchmarkTick(b *testing.B) {
	s := newRatesStore(b)
	s.exec(`INSERT INTO interactions (tenant, started_at, interaction_id, model, user, shown_at, output_chars)
		SELECT 'acme', toDateTime64('2026-11-20 00:00:00', 3, 'UTC') + INTERVAL intDiv(number, 200) MINUTE, generateUUIDv4(),
			concat('tab-', toString(number % 200)), concat('user-', toString(number % 1000)), now64(6), 10
		FROM numbers(200 * 1440)`)
	s.exec(`INSERT INTO bucket_touches SELECT DISTINCT tenant, toStartOfMinute(started_at), 1, now64(3) FROM interactions`)
	settler := s.settler()
	settleOnce(b.Context(), b, settler)
	for b.Loop() {
		s.exec("INSERT INTO bucket_touches VALUES ('acme', '2026-11-20 10:30:00', 1, now64(3))")
		if got, err := settler.Tick(b.Context()); err != nil || got == 0 {
			b.Fatalf("settled %d minutes, %v", got, err)
		}
	}
}
