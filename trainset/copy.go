package trainset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/trainset/files"
)

// The size of the Parquet files that ClickHouse encodes. Each is one row group, which
// ClickHouse holds in memory: where it ends, and with it the bytes, would else depend on
// how the rows happen to be stored. Two are encoded at a time: while one is read, columns
// of the other are compressed.
const (
	copyRows  = 1 << 19
	copyBytes = 128 << 20
	copyAhead = 2
)

// parquetSettings make ClickHouse write one row group, without the Bloom filters that only
// searching needs.
var parquetSettings = map[string]string{
	"output_format_parquet_row_group_size":       "1000000000",
	"output_format_parquet_row_group_size_bytes": "1000000000000",
	"output_format_parquet_compression_method":   "zstd",
	"output_format_parquet_string_as_string":     "1",
	"output_format_parquet_write_bloom_filter":   "0",
	"compile_expressions":                        "0",
}

// copier lets ClickHouse encode the rows of a set. It is several times as fast as to read
// them and encode them here.
type copier struct {
	formatter  *warehouse.Formatter
	db         *warehouse.DB
	shardBytes int64
}

// copySplit copies the rows of a split, from where they are to be continued.
func (c *copier) copySplit(ctx context.Context, set *set, p *plan, w *files.Writer, split string, out *outgoing) (err error) {
	at := w.Position(split)
	if at.Done {
		return nil
	}
	rows, err := c.shardRows(ctx, set, split)
	if err != nil {
		return err
	}
	var columns []string
	for i, field := range p.format.kept {
		columns = append(columns, asParquet(field, p.format.columns[i])+" AS `"+field.Name+"`")
	}
	ctx, cancel := context.WithCancel(ctx)
	encoding, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		if failed := encoding.Wait(); failed != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = failed
		}
	}()
	var ahead []*encodedShard
	from, more := at.Cursor, true
	begin := func() error {
		for more && len(ahead) < copyAhead {
			next, err := c.shard(ctx, set.table, split, from, rows)
			if err != nil {
				return err
			}
			if more = next.Rows > 0; !more {
				return nil
			}
			from = next.Cursor
			ahead = append(ahead, next)
			encoding.Go(func() error {
				defer close(next.done)
				return c.formatter.Write(ctx, &next.file, "SELECT "+strings.Join(columns, ", ")+next.query+" ORDER BY row_split, row_at, row_id FORMAT Parquet", parquetSettings)
			})
		}
		return nil
	}
	for {
		if err := begin(); err != nil {
			return err
		}
		if len(ahead) == 0 {
			return nil
		}
		next := ahead[0]
		<-next.done
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// While this one is sent the next ones are encoded.
		ahead = ahead[1:]
		if err := begin(); err != nil {
			return err
		}
		out.done += uint64(next.Rows)
		next.Encode = func(w io.Writer) error {
			_, err := next.file.WriteTo(w)
			return err
		}
		if err := w.Copy(ctx, split, next.Encoded); err != nil {
			return err
		}
	}
}

// encodedShard is a file that ClickHouse encodes; done is closed when it is whole.
type encodedShard struct {
	files.Encoded
	query string // FROM … WHERE …
	file  bytes.Buffer
	done  chan struct{}
}

// shardRows is how many rows a file has.
func (c *copier) shardRows(ctx context.Context, set *set, split string) (int64, error) {
	var rows, size uint64
	if err := c.db.Conn().QueryRow(ctx, "SELECT count(), sum(row_bytes) FROM "+set.table+" WHERE row_split = '"+split+"'").Scan(&rows, &size); err != nil {
		return 0, fmt.Errorf("count rows: %w", err)
	}
	most := int64(copyBytes)
	if c.shardBytes > 0 {
		most = min(most, c.shardBytes)
	}
	if rows == 0 {
		return 1, nil
	}
	return max(1, min(copyRows, most*int64(rows)/max(1, int64(size)))), nil
}

// shard is what is known of the next file's rows: about so many, and all that have the
// same time as one of them. None are left when it has none. Its cursor is the time, in
// Unix milliseconds, from which on rows are in the file after it.
func (c *copier) shard(ctx context.Context, table, split, from string, rows int64) (*encodedShard, error) {
	where := " FROM " + table + " WHERE row_split = '" + split + "'"
	if from != "" {
		ms, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			return nil, errBadCursor
		}
		where += fmt.Sprintf(" AND row_at >= fromUnixTimestamp64Milli(%d, 'UTC')", ms)
	}
	var end []int64
	err := c.db.Conn().QueryRow(ctx, fmt.Sprintf("SELECT groupArray(toUnixTimestamp64Milli(row_at)) FROM (SELECT row_at%s ORDER BY row_split, row_at LIMIT 1 OFFSET %d)", where, rows)).Scan(&end)
	if err != nil {
		return nil, fmt.Errorf("find end of file: %w", err)
	}
	if len(end) == 0 {
		return c.countShard(ctx, where)
	}
	next, err := c.countShard(ctx, where+fmt.Sprintf(" AND row_at < fromUnixTimestamp64Milli(%d, 'UTC')", end[0]))
	if err == nil && next.Rows == 0 { // more rows than that have the same time
		next, err = c.countShard(ctx, where+fmt.Sprintf(" AND row_at <= fromUnixTimestamp64Milli(%d, 'UTC')", end[0]))
	}
	return next, err
}

// countShard counts the rows of a file.
func (c *copier) countShard(ctx context.Context, where string) (*encodedShard, error) {
	next := &encodedShard{query: where, done: make(chan struct{})}
	var rows, size uint64
	var last int64
	var labels []string
	var counts []uint64
	err := c.db.Conn().QueryRow(ctx, `
		SELECT count(), sum(row_bytes), toUnixTimestamp64Milli(max(row_at)), tupleElement(sumMap([toString(row_label)], [toUInt64(1)]) AS labels, 1), tupleElement(labels, 2)`+where).
		Scan(&rows, &size, &last, &labels, &counts)
	if err != nil {
		return nil, fmt.Errorf("count rows: %w", err)
	}
	next.Encoded = files.Encoded{Rows: int64(rows), NumBytes: int64(size), Cursor: strconv.FormatInt(last+1, 10), Labels: map[string]int64{}}
	for i, label := range labels {
		next.Labels[label] = int64(counts[i])
	}
	return next, nil
}

// asParquet is the expression of a field's values, of the type that the file has.
func asParquet(f files.Field, column string) string {
	switch f.Kind {
	case files.String, files.JSON:
		if f.Nullable {
			return "nullIf(toString(" + column + "), '')"
		}
	case files.Timestamp:
		return "toDateTime64(" + column + ", 6, 'UTC')"
	default:
	}
	return newValue(f).expression(column)
}

// bytesOf is the expression of the size of a field's value in memory; see [files.Config].
func bytesOf(f files.Field, column string) string {
	switch f.Kind {
	case files.String, files.JSON:
		return "4 + length(toString(" + column + "))"
	case files.Bool:
		return "1"
	case files.List:
		if f.Fields[0].Kind == files.String {
			return "4 + 4 * length(" + column + ") + arraySum(x -> length(x), " + column + ")"
		}
		return "4 + 8 * length(" + column + ")"
	default:
		return "8"
	}
}
