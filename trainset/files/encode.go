package files

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// Format is how rows are written.
type Format string

// The formats.
const (
	// JSONL is one JSON object a line, its names in the order of the schema. What
	// JSON cannot hold (NaN and infinities) is null. Floats keep a decimal point, so
	// that readers that guess a column's type from its first values guess right.
	JSONL Format = "jsonl"
	// Parquet has a page for each 16,384 rows or 4 MB, and a row group for each
	// 131,072 rows or 32 MB of values. Every field is optional, as in the files
	// that pyarrow writes.
	Parquet Format = "parquet"
)

// Compression is how files are compressed.
type Compression string

// The compressions. Parquet takes all of them, JSONL all but Snappy.
const (
	Uncompressed Compression = "none"
	Gzip         Compression = "gzip"
	Zstd         Compression = "zstd"
	Snappy       Compression = "snappy"
)

// encoder writes the rows of one shard.
type encoder interface {
	// write adds rows from to to of a batch; sizes are theirs.
	write(b *Batch, sizes []int64, from, to int) error
	// finish writes what is still held. It does not close the output.
	finish() (Flaws, error)
}

// Flaws counts the values that could not be written as they were.
type Flaws struct {
	// InvalidUTF8 is how many bytes were not UTF-8. Each became U+FFFD.
	InvalidUTF8 int64 `json:"invalid_utf8,omitempty"`
	// InvalidJSON is how many values of JSON fields held no JSON. Each was written
	// as a string. Parquet does not look.
	InvalidJSON int64 `json:"invalid_json,omitempty"`
}

func (f *Flaws) add(other Flaws) {
	f.InvalidUTF8 += other.InvalidUTF8
	f.InvalidJSON += other.InvalidJSON
}

func newEncoder(cfg *Config, output io.Writer) (encoder, error) {
	if cfg.Format == Parquet {
		return newParquet(cfg, output)
	}
	return newJSONL(cfg, output)
}

// extension is how names of shards end.
func (c *Config) extension() string {
	name := "." + string(c.Format)
	if c.Format == Parquet {
		return name
	}
	switch c.Compression {
	case Gzip:
		return name + ".gz"
	case Zstd:
		return name + ".zst"
	default:
		return name
	}
}

func (c *Config) validFormat() error {
	known := c.Compression == Uncompressed || c.Compression == Gzip || c.Compression == Zstd
	switch c.Format {
	case JSONL:
	case Parquet:
		known = known || c.Compression == Snappy
	default:
		return fmt.Errorf("no format %q: jsonl or parquet", c.Format)
	}
	if !known {
		return fmt.Errorf("no compression %q for %s", c.Compression, c.Format)
	}
	return nil
}

// inParallel calls do for 0 to n-1 from several goroutines and waits for them. It
// returns the first error by number.
func inParallel(workers, n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(workers, n) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = do(i)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
