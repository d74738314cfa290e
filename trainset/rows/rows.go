// Package rows reads training sets back from the folders that package files wrote them
// to.
package rows

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
	"github.com/yirifi/flywheel/trainset/formats"
)

// Row is a row of a training set. Its fields are the columns of that name, empty where
// the format has none.
type Row struct {
	Prompt        string `json:"prompt" parquet:"prompt,optional"`
	Completion    string `json:"completion" parquet:"completion,optional"`
	Output        string `json:"output" parquet:"output,optional"`
	InteractionID string `json:"interaction_id" parquet:"interaction_id,optional"`
	Language      string `json:"language" parquet:"language,optional"`
	Outcome       string `json:"outcome" parquet:"outcome,optional"`
}

// Set is a training set in a folder. Its methods may run concurrently.
type Set struct {
	folder   string
	manifest files.Manifest
	format   flywheelv1.TrainingFormat
}

// Open reads the manifest of a training set, which has to have one of the formats.
func Open(folder string, of ...flywheelv1.TrainingFormat) (*Set, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open training set: %w", err)
	}
	defer func() { _ = root.Close() }()
	data, err := root.ReadFile(files.ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open training set: %s has no %s: it is not one, or its export is not complete", folder, files.ManifestFile)
	}
	if err != nil {
		return nil, fmt.Errorf("open training set: %w", err)
	}
	s := &Set{folder: folder}
	if err := json.Unmarshal(data, &s.manifest); err != nil {
		return nil, fmt.Errorf("read %s of training set %s: %w", files.ManifestFile, folder, err)
	}
	found := names(s.manifest.Schema)
	var wanted []string
	for _, s.format = range of {
		if slices.Equal(found, names(formats.Schema(s.format))) {
			return s, nil
		}
		wanted = append(wanted, strings.ToLower(strings.TrimPrefix(s.format.String(), "TRAINING_FORMAT_")))
	}
	return nil, fmt.Errorf("training set %s has the columns %s: one of the format %s is needed", folder, strings.Join(found, ", "), strings.Join(wanted, " or "))
}

// Format is the one of the formats that the set has.
func (s *Set) Format() flywheelv1.TrainingFormat { return s.format }

// ID is the training set's; of one that has none, what identifies how it was made.
func (s *Set) ID() string { return cmp.Or(s.manifest.TrainingSetID, s.manifest.Fingerprint) }

func names(schema files.Schema) []string {
	var all []string
	for _, field := range schema {
		all = append(all, field.Name)
	}
	return all
}

// Rows returns the rows of a split in their order. A shard that is not the one that the
// manifest describes ends them with an error, before any of its rows.
func (s *Set) Rows(split string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := s.read(split, func(row Row) bool { return yield(row, nil) }); err != nil {
			yield(Row{}, err)
		}
	}
}

// errEnough ends reading because no more rows are wanted.
var errEnough = errors.New("enough")

func (s *Set) read(split string, yield func(Row) bool) error {
	var splits []string
	for _, counts := range s.manifest.Splits {
		splits = append(splits, counts.Split)
	}
	if !slices.Contains(splits, split) {
		return fmt.Errorf("training set %s has no split %q: it has %s", s.folder, split, strings.Join(splits, ", "))
	}
	root, err := os.OpenRoot(s.folder)
	if err != nil {
		return fmt.Errorf("open training set: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, shard := range s.manifest.Files {
		if shard.Split != split {
			continue
		}
		if err := s.readShard(root, shard, yield); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read %s of training set %s: %w", shard.Path, s.folder, err)
		}
	}
	return nil
}

func (s *Set) readShard(root *os.Root, shard files.Shard, yield func(Row) bool) error {
	file, err := root.Open(shard.Path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := check(file, shard); err != nil {
		return err
	}
	if s.manifest.Format == files.Parquet {
		return readParquet(file, yield)
	}
	return readJSONL(file, s.manifest.Compression, yield)
}

// check compares a file with what the manifest says, and goes back to its beginning.
func check(file io.ReadSeeker, shard files.Shard) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != shard.SHA256 {
		return fmt.Errorf("its SHA-256 is %s, the manifest says %s: the file was changed; export the set again", got, shard.SHA256)
	}
	_, err := file.Seek(0, io.SeekStart)
	return err
}
