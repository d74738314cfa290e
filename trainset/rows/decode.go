package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/yirifi/flywheel/trainset/files"
)

// parquetRows is how many rows of a Parquet file are read at a time.
const parquetRows = 512

func readJSONL(file io.Reader, compression files.Compression, yield func(Row) bool) error {
	text, err := decompress(file, compression)
	if err != nil {
		return err
	}
	defer text.Close() //nolint:errcheck // nothing is written
	decoder := json.NewDecoder(text)
	for n := 1; ; n++ {
		var row Row
		switch err := decoder.Decode(&row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("row %d: %w", n, err)
		}
		if !yield(row) {
			return errEnough
		}
	}
}

func decompress(file io.Reader, compression files.Compression) (io.ReadCloser, error) {
	switch compression {
	case files.Uncompressed:
		return io.NopCloser(file), nil
	case files.Gzip:
		return gzip.NewReader(file)
	case files.Zstd:
		decoder, err := zstd.NewReader(file)
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	default:
		return nil, fmt.Errorf("no compression %q of JSON lines", compression)
	}
}

func readParquet(file io.ReaderAt, yield func(Row) bool) error {
	reader := parquet.NewGenericReader[Row](file)
	defer func() { _ = reader.Close() }()
	rows := make([]Row, parquetRows)
	for {
		n, err := reader.Read(rows)
		for _, row := range rows[:n] {
			if !yield(row) {
				return errEnough
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
