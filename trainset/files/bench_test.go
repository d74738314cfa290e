package files_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yirifi/flywheel/trainset/files"
)

// nowhere is a sink that keeps nothing.
type nowhere struct{ bytes atomic.Int64 }

func (n *nowhere) Create(context.Context, string) (files.File, error) {
	return nowhereFile{Writer: io.Discard, sink: n}, nil
}
func (*nowhere) Read(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }
func (*nowhere) Clean(context.Context) error                  { return nil }

type nowhereFile struct {
	io.Writer
	sink *nowhere
}

func (f nowhereFile) Write(p []byte) (int, error) {
	f.sink.bytes.Add(int64(len(p)))
	return len(p), nil
}
func (nowhereFile) Commit() error { return nil }
func (nowhereFile) Abort() error  { return nil }

// signals are 20 columns like those of training_signals, in batches as ClickHouse
// sends them.
func signals(batches, rows int) (files.Schema, []*files.Batch) {
	var schema files.Schema
	r := rand.New(rand.NewPCG(1, 1))
	all := make([]*files.Batch, batches)
	for i := range all {
		all[i] = &files.Batch{Rows: rows}
	}
	add := func(field files.Field, value func(c *files.Column, row int)) {
		schema = append(schema, field)
		for k, b := range all {
			var c files.Column
			for row := range rows {
				value(&c, k*rows+row)
			}
			b.Columns = append(b.Columns, c)
		}
	}
	for _, name := range []string{"interaction", "opportunity", "session"} {
		add(files.Field{Name: name, Kind: files.String}, func(c *files.Column, row int) {
			id := uuid.UUID{6: 0x70, 8: 0x80}
			for k := range 6 {
				id[k] = byte((1_700_000_000_000 + row*5) >> (40 - 8*k))
			}
			for k := 9; k < 16; k++ {
				id[k] = byte(r.Uint32())
			}
			c.Strings = append(c.Strings, id.String())
		})
	}
	for k, name := range []string{"surface", "model", "variant", "language", "client", "version", "label"} {
		add(files.Field{Name: name, Kind: files.String, Repeats: true}, func(c *files.Column, _ int) {
			c.Strings = append(c.Strings, fmt.Sprintf("%s-%d", name, r.IntN(3+k*3)))
		})
	}
	for _, name := range []string{"latency", "visible", "chars", "kept"} {
		add(files.Field{Name: name, Kind: files.Int64}, func(c *files.Column, _ int) {
			c.Ints = append(c.Ints, int64(r.ExpFloat64()*300))
		})
	}
	for _, name := range []string{"started", "ended"} {
		add(files.Field{Name: name, Kind: files.Timestamp}, func(c *files.Column, row int) {
			c.Times = append(c.Times, time.UnixMicro(1_700_000_000_000_000+int64(row*5000+r.IntN(1000))))
		})
	}
	for _, name := range []string{"reward", "ratio", "weight"} {
		add(files.Field{Name: name, Kind: files.Float64, Repeats: true}, func(c *files.Column, _ int) {
			c.Floats = append(c.Floats, float64(r.IntN(20001)-10000)/10000)
		})
	}
	add(files.Field{Name: "settled", Kind: files.Bool}, func(c *files.Column, _ int) {
		c.Bools = append(c.Bools, r.IntN(2) == 0)
	})
	return schema, all
}

// writeSignals writes the batches over and over until there are rows enough, and tells
// each of them.
func writeSignals(tb testing.TB, sink files.Sink, cfg files.Config, batches []*files.Batch, rows int, each func()) *files.Manifest {
	tb.Helper()
	cfg.Splits = []string{"train"}
	w, err := files.Open(tb.Context(), sink, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	for written := 0; written < rows; {
		b := batches[written/batches[0].Rows%len(batches)]
		if err := w.Write(tb.Context(), "train", b); err != nil {
			tb.Fatal(err)
		}
		written += b.Rows
		each()
	}
	manifest, err := w.Finish(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return manifest
}

// TestMemory writes a million rows and checks that what the writer holds is bounded.
// Live memory after a collection counts, not what waits for one.
func TestMemory(t *testing.T) { // not parallel: it measures the process
	const most = 100 << 20
	schema, batches := signals(4, 16<<10)
	for _, format := range []files.Format{files.Parquet, files.JSONL} {
		before, peak, n := heap(), uint64(0), 0
		cfg := files.Config{Schema: schema, Format: format, ShardBytes: 64 << 20, Compression: files.Zstd}
		manifest := writeSignals(t, &nowhere{}, cfg, batches, 1_000_000, func() {
			if n++; n%4 == 0 {
				peak = max(peak, heap())
			}
		})
		if manifest.Total.Rows < 1_000_000 || len(manifest.Files) < 3 {
			t.Errorf("%s: %d rows, %d files", format, manifest.Total.Rows, len(manifest.Files))
		}
		if peak > before+most {
			t.Errorf("%s: %d MB held", format, (peak-before)>>20)
		}
		t.Logf("%s: at most %d MB held", format, (max(peak, before)-before)>>20)
	}
}

// heap is the live memory in bytes.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkWrite writes 524,288 rows of 20 columns: three UUIDs as text, seven repeating
// strings, four integers, two times, three rewards, one flag.
func BenchmarkWrite(b *testing.B) {
	const rows = 1 << 19
	schema, batches := signals(8, 16<<10)
	for _, test := range []struct {
		format      files.Format
		compression files.Compression
	}{
		{files.Parquet, files.Zstd},
		{files.Parquet, files.Snappy},
		{files.JSONL, files.Zstd},
		{files.JSONL, files.Gzip},
		{files.JSONL, files.Uncompressed},
	} {
		b.Run(fmt.Sprintf("%s/%s", test.format, test.compression), func(b *testing.B) {
			b.ReportAllocs()
			sink := &nowhere{}
			cfg := files.Config{Schema: schema, Format: test.format, Compression: test.compression}
			for b.Loop() {
				writeSignals(b, sink, cfg, batches, rows, func() {})
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(sink.bytes.Load())/float64(b.N)/rows, "B/row")
		})
	}
}
