package files

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/gzip"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Pages and row groups end by the rows alone, so that the bytes do not depend on how
// rows are divided into batches. A row group is held in memory until it is complete.
const (
	pageRows   = 16 << 10
	pageBytes  = 4 << 20
	groupRows  = 128 << 10
	groupBytes = 32 << 20
)

// parquetFile writes one Parquet file; columns are encoded in parallel.
type parquetFile struct {
	file    *parquet.GenericWriter[any]
	group   *parquet.ConcurrentRowGroupWriter
	leaves  []leaf
	workers int
	// What the page and the row group under construction hold.
	page, held struct{ rows, bytes int64 }
}

func newParquet(cfg *Config, output io.Writer) (encoder, error) {
	codec, err := codecOf(cfg.Compression)
	if err != nil {
		return nil, err
	}
	file := parquet.NewGenericWriter[any](output,
		parquet.NewSchema("row", groupOf(cfg.Schema)),
		parquet.Compression(codec),
		parquet.DataPageStatistics(true),
		parquet.PageBufferSize(math.MaxInt32), // pages end where flush says
		parquet.CreatedBy("flywheel", "1.0.0", "parquet-go"),
	)
	return &parquetFile{
		file: file, group: file.BeginRowGroup(), leaves: leavesOf(cfg.Schema), workers: cfg.Workers,
	}, nil
}

func codecOf(c Compression) (compress.Codec, error) {
	switch c {
	case Uncompressed:
		return &parquet.Uncompressed, nil
	case Gzip:
		return &gzip.Codec{Level: gzip.BestSpeed}, nil
	case Snappy:
		return &snappy.Codec{}, nil
	case Zstd:
		return &zstd.Codec{Level: zstd.SpeedFastest}, nil
	}
	return nil, fmt.Errorf("no compression %q", c)
}

func (p *parquetFile) write(b *Batch, sizes []int64, from, to int) error {
	for first := from; first < to; {
		end := first
		for end < to && p.page.rows < pageRows && p.page.bytes < pageBytes {
			p.page.rows++
			p.page.bytes += sizes[end-from]
			end++
		}
		full := p.page.rows >= pageRows || p.page.bytes >= pageBytes
		if err := p.put(b, first, end, full); err != nil {
			return err
		}
		if full {
			if err := p.endPage(); err != nil {
				return err
			}
		}
		first = end
	}
	return nil
}

// put adds rows to every column, and ends the columns' pages when they are full.
func (p *parquetFile) put(b *Batch, from, to int, full bool) error {
	writers := p.group.ColumnWriters()
	return inParallel(p.workers, len(p.leaves), func(i int) error {
		l := &p.leaves[i]
		if err := l.write(writers[i], &b.Columns[l.column], from, to); err != nil {
			return err
		}
		if full {
			return writers[i].Flush()
		}
		return nil
	})
}

func (p *parquetFile) endPage() error {
	p.held.rows += p.page.rows
	p.held.bytes += p.page.bytes
	p.page.rows, p.page.bytes = 0, 0
	if p.held.rows < groupRows && p.held.bytes < groupBytes {
		return nil
	}
	p.held.rows, p.held.bytes = 0, 0
	_, err := p.group.Commit()
	return err
}

func (p *parquetFile) finish() (Flaws, error) {
	if p.held.rows+p.page.rows > 0 {
		if _, err := p.group.Commit(); err != nil {
			return Flaws{}, err
		}
	}
	var found Flaws
	for i := range p.leaves {
		found.InvalidUTF8 += p.leaves[i].replaced
	}
	return found, p.file.Close()
}

// group is a Parquet group that keeps the order of its fields; the library's own sorts
// them by name.
type group struct {
	parquet.Group
	names []string
}

func groupOf(fields []Field) parquet.Node {
	g := group{Group: parquet.Group{}}
	for i := range fields {
		g.Group[fields[i].Name] = nodeOf(&fields[i])
		g.names = append(g.names, fields[i].Name)
	}
	return g
}

// Fields are the group's fields in the order of the schema.
func (g group) Fields() []parquet.Field {
	fields := g.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(g.names, a.Name()) - slices.Index(g.names, b.Name())
	})
	return fields
}

func nodeOf(f *Field) parquet.Node {
	switch f.Kind {
	case List:
		return parquet.Optional(parquet.List(nodeOf(&f.Fields[0])))
	case Struct:
		return parquet.Optional(groupOf(f.Fields))
	case Bool:
		return parquet.Optional(parquet.Leaf(parquet.BooleanType))
	case Int64:
		return parquet.Optional(integer(parquet.Int(64), f.Repeats))
	case Timestamp:
		return parquet.Optional(integer(parquet.Timestamp(parquet.Microsecond), f.Repeats))
	case Float64:
		return parquet.Optional(dictionary(parquet.Leaf(parquet.DoubleType), f.Repeats))
	default:
		return parquet.Optional(dictionary(parquet.String(), f.Repeats))
	}
}

func integer(node parquet.Node, repeats bool) parquet.Node {
	if !repeats {
		return parquet.Encoded(node, &parquet.DeltaBinaryPacked)
	}
	return dictionary(node, repeats)
}

func dictionary(node parquet.Node, repeats bool) parquet.Node {
	if !repeats {
		return node
	}
	return parquet.Encoded(node, &parquet.RLEDictionary)
}
