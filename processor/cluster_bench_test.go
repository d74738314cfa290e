package processor_test

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkSettleOnCluster settles a minute on one engine and on two that are a cluster, in
// turn, so that both meet the same load beside them. CPU is that of all engines.
func BenchmarkSettleOnCluster(b *testing.B) {
	for _, interactions := range []int{1, 100_000} {
		b.Run(fmt.Sprint(interactions, " interactions"), func(b *testing.B) {
			stores := []ratesStore{newRatesStore(b), {newClusterPipeline(b).db, b}}
			for _, s := range stores {
				s.exec(fmt.Sprintf(`INSERT INTO interactions (tenant, started_at, interaction_id, model, user, shown_at, output_chars)
					SELECT 'acme', toDateTime64('2026-11-20 10:30:00', 3, 'UTC') + INTERVAL number %% 60000 MILLISECOND, generateUUIDv4(),
						concat('tab-', toString(number %% 20)), concat('user-', toString(number %% 1000)), now64(6), 10
					FROM numbers(%d)`, interactions))
			}
			var took [2]time.Duration
			var cpu [2]float64
			for b.Loop() {
				for i, s := range stores {
					s.exec("INSERT INTO bucket_touches VALUES ('acme', '2026-11-20 10:30:00', 1, now64(3))")
					before, began := s.engineCPU(), time.Now()
					if got := settleOnce(b.Context(), b, s.settler()); got != 1 {
						b.Fatalf("settled %d minutes, want 1", got)
					}
					took[i] += time.Since(began)
					cpu[i] += s.engineCPU() - before
				}
			}
			b.ReportMetric(took[0].Seconds()/float64(b.N)*1000, "one-ms")
			b.ReportMetric(cpu[0]/float64(b.N)/1000, "one-cpu-ms")
			b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "time-ratio")
			b.ReportMetric(cpu[1]/cpu[0], "cpu-ratio")
		})
	}
}

// engineCPU is the CPU time that the engines have used, in microseconds.
func (s ratesStore) engineCPU() (us float64) {
	s.tb.Helper()
	query := "SELECT sum(toFloat64(value)) FROM " + s.System("events") + " WHERE event IN ('UserTimeMicroseconds', 'SystemTimeMicroseconds')"
	if err := s.Conn().QueryRow(s.tb.Context(), query).Scan(&us); err != nil {
		s.tb.Fatal(err)
	}
	return us
}
