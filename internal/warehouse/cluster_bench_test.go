package warehouse

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

// BenchmarkCluster inserts blocks of interactions and reads them, merged, on one engine
// and on two that are a cluster, in turn, so that both meet the same load beside them.
// CPU is that of all engines.
func BenchmarkCluster(b *testing.B) {
	const rows = 50_000
	log := slog.New(slog.DiscardHandler)
	single, err := Open(b.Context(), enginetest.DSN(b), log)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = single.Close() }()
	cluster, err := OpenCluster(b.Context(), enginetest.ClusterDSN(b)[0], enginetest.ClusterName, log)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cluster.Close() }()
	var took, read [2]time.Duration
	var cpu, readCPU [2]float64
	stores := []*DB{single, cluster}
	for _, db := range stores {
		if err := db.Migrate(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	block := NewInteractions()
	n := 0
	for b.Loop() {
		block.Reset()
		block.Append(randomInteractions(rows))
		for i, db := range stores {
			before, began := engineCPU(b, db), time.Now()
			if err := db.Insert(b.Context(), "interactions", block); err != nil {
				b.Fatal(err)
			}
			took[i] += time.Since(began)
			cpu[i] += engineCPU(b, db) - before
		}
		n += rows
	}
	for i, db := range stores {
		before, began := engineCPU(b, db), time.Now()
		var sum uint64
		for range 5 {
			if err := db.Conn().QueryRow(b.Context(), "SELECT sum(output_chars) FROM interactions FINAL").Scan(&sum); err != nil || sum == 0 {
				b.Fatal(sum, err)
			}
		}
		read[i] = time.Since(began)
		readCPU[i] = engineCPU(b, db) - before
	}
	b.ReportMetric(float64(n)/took[0].Seconds(), "one-rows/s")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "insert-time-ratio")
	b.ReportMetric(cpu[1]/cpu[0], "insert-cpu-ratio")
	b.ReportMetric(cpu[0]/float64(n), "one-cpu-us/row")
	b.ReportMetric(read[1].Seconds()/read[0].Seconds(), "read-time-ratio")
	b.ReportMetric(readCPU[1]/readCPU[0], "read-cpu-ratio")
}

// randomInteractions are of different interactions of the last hour.
func randomInteractions(n int) []Interaction {
	rows := make([]Interaction, n)
	now := time.Now()
	for i := range rows {
		rows[i] = Interaction{Tenant: "acme", ID: idAt(now.Add(-time.Duration(rand.IntN(3600)) * time.Second)), OutputChars: rand.Uint32N(200)}
		rows[i].Model, rows[i].Language, rows[i].Surface = "tab-7b", "go", "inline_completion"
	}
	return rows
}

// idAt is a UUIDv7 of a time.
func idAt(at time.Time) uuid.UUID {
	id := uuid.New()
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | id[6]&0x0f
	return id
}

// engineCPU is the CPU time that the engines of a database have used, in microseconds.
func engineCPU(b *testing.B, db *DB) (us float64) {
	b.Helper()
	query := "SELECT sum(toFloat64(value)) FROM " + db.System("events") + " WHERE event IN ('UserTimeMicroseconds', 'SystemTimeMicroseconds')"
	if err := db.Conn().QueryRow(b.Context(), query).Scan(&us); err != nil {
		b.Fatal(err)
	}
	return us
}
