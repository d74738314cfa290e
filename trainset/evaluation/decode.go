package evaluation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/yirifi/flywheel/trainset/files"
)

// rowsAtOnce is how many rows of a Parquet file are decoded together.
const rowsAtOnce = 256

// columns are those of a row that are read. A file has one of completion and output.
type columns struct {
	InteractionID string `json:"interaction_id" parquet:"interaction_id,optional"`
	Language      string `json:"language" parquet:"language,optional"`
	Completion    string `json:"completion" parquet:"completion,optional"`
	Output        string `json:"output" parquet:"output,optional"`
}

// row reads number (from 1) as a row of the set.
func (s *Set) row(c *columns, number int) (row, error) {
	id, err := uuid.Parse(c.InteractionID)
	if err != nil {
		return row{}, fmt.Errorf("row %d: interaction_id %q: a UUID is needed", number, c.InteractionID)
	}
	r := row{interaction: id, language: c.Language, truth: c.Completion}
	if s.truth == "output" {
		r.truth = c.Output
	}
	return r, nil
}

func (s *Set) readJSONL(file io.Reader, each func(row) bool) error {
	switch s.manifest.Compression {
	case files.Gzip:
		plain, err := gzip.NewReader(file)
		if err != nil {
			return err
		}
		file = plain
	case files.Zstd:
		plain, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer plain.Close()
		file = plain
	default: // as it is
	}
	in := json.NewDecoder(file)
	for number := 1; ; number++ {
		var c columns
		if err := in.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("row %d: %w", number, err)
		}
		r, err := s.row(&c, number)
		if err != nil || !each(r) {
			return err
		}
	}
}

func (s *Set) readParquet(file *os.File, size int64, each func(row) bool) (err error) {
	opened, err := parquet.OpenFile(file, size)
	if err != nil {
		return err
	}
	in := parquet.NewGenericReader[columns](opened)
	defer func() { err = errors.Join(err, in.Close()) }()
	batch := make([]columns, rowsAtOnce)
	for number := 1; ; {
		clear(batch)
		n, err := in.Read(batch)
		for i := range batch[:n] {
			r, err := s.row(&batch[i], number)
			if err != nil || !each(r) {
				return err
			}
			number++
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
