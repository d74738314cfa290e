package files

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// blockRows is how many rows one goroutine turns into text at a time.
const blockRows = 512

// blockBytes bounds a block of large rows, by the rows' sizes.
const blockBytes = 1 << 20

// jsonl writes JSON lines. Blocks of rows become text in parallel and are compressed in
// order.
type jsonl struct {
	schema  Schema
	buffers []jsonBuffer
	output  io.Writer
	close   func() error
	Flaws
}

func newJSONL(cfg *Config, output io.Writer) (encoder, error) {
	e := &jsonl{
		schema: cfg.Schema, buffers: make([]jsonBuffer, cfg.Workers),
		output: output, close: func() error { return nil },
	}
	switch cfg.Compression {
	case Gzip: // its header has neither a name nor a time
		w, err := gzip.NewWriterLevel(output, gzip.BestSpeed)
		if err != nil {
			return nil, fmt.Errorf("make gzip writer: %w", err)
		}
		e.output, e.close = w, w.Close
	case Zstd:
		w, err := zstd.NewWriter(output, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
		if err != nil {
			return nil, fmt.Errorf("make zstd writer: %w", err)
		}
		e.output, e.close = w, w.Close
	default: // as it is
	}
	return e, nil
}

func (e *jsonl) write(b *Batch, sizes []int64, from, to int) error {
	for from < to {
		ends := e.blocks(sizes, from, to)
		start := from
		_ = inParallel(len(ends), len(ends), func(k int) error {
			first := start
			if k > 0 {
				first = ends[k-1]
			}
			e.lines(&e.buffers[k], b, first, ends[k])
			return nil
		})
		for k := range ends {
			if _, err := e.output.Write(e.buffers[k].text); err != nil {
				return err
			}
		}
		sizes = sizes[ends[len(ends)-1]-from:]
		from = ends[len(ends)-1]
	}
	return nil
}

// blocks says where the next blocks end, one for each buffer.
func (e *jsonl) blocks(sizes []int64, from, to int) []int {
	var ends []int
	row := from
	for range e.buffers {
		var bytes int64
		first := row
		for row < to && row-first < blockRows && bytes < blockBytes {
			bytes += sizes[row-from]
			row++
		}
		if row > first {
			ends = append(ends, row)
		}
	}
	return ends
}

// lines puts rows into a buffer.
func (e *jsonl) lines(buffer *jsonBuffer, b *Batch, from, to int) {
	buffer.text = buffer.text[:0]
	for i := from; i < to; i++ {
		buffer.object(e.schema, b.Columns, i)
		buffer.text = append(buffer.text, '\n')
	}
}

func (e *jsonl) finish() (Flaws, error) {
	for i := range e.buffers {
		e.add(e.buffers[i].Flaws)
	}
	return e.Flaws, e.close()
}
