package evaluation

import (
	"context"
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

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
)

// Set is a training set in a folder, as [files.Writer] wrote it.
type Set struct {
	root     *os.Root
	manifest files.Manifest
	truth    string // the column
}

// row is one row of a split. Its texts are valid until the next.
type row struct {
	interaction     uuid.UUID
	language, truth string
}

// Open opens a training set. It refuses a format that has no truth.
func Open(folder string) (_ *Set, err error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open training set: %w", err)
	}
	s := &Set{root: root}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Close())
		}
	}()
	text, err := root.ReadFile(files.ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no whole training set in %s: it has no %s, which is written last", folder, files.ManifestFile)
	}
	if err != nil {
		return nil, fmt.Errorf("open training set: %w", err)
	}
	if err := json.Unmarshal(text, &s.manifest); err != nil {
		return nil, fmt.Errorf("read %s: %w", files.ManifestFile, err)
	}
	if s.truth, err = truthOf(&s.manifest); err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes the folder.
func (s *Set) Close() error { return s.root.Close() }

// Fingerprint identifies the set's files.
func (s *Set) Fingerprint() string { return s.manifest.Fingerprint }

// truthOf returns the column that predictions are compared with.
func truthOf(m *files.Manifest) (string, error) {
	var request struct{ Format string }
	if err := json.Unmarshal(m.Request, &request); err != nil {
		return "", fmt.Errorf("read request of %s: %w", files.ManifestFile, err)
	}
	var truth string
	switch request.Format {
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED.String():
		truth = "completion"
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_NEXT_EDIT.String():
		truth = "output"
	default:
		name := strings.ToLower(strings.TrimPrefix(request.Format, "TRAINING_FORMAT_"))
		return "", fmt.Errorf("training set of format %q: predictions can be compared with supervised and next_edit", name)
	}
	for _, name := range []string{"interaction_id", "language", truth} {
		if !slices.ContainsFunc(m.Schema, func(f files.Field) bool { return f.Name == name && f.Kind == files.String }) {
			return "", fmt.Errorf("training set without a text column %q", name)
		}
	}
	return truth, nil
}

// rows streams the rows of a split. Each file is compared with its SHA-256 before it is
// read. The first error is the last thing that comes.
func (s *Set) rows(ctx context.Context, split string) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		if err := s.check(split); err != nil {
			yield(row{}, err)
			return
		}
		for i := range s.manifest.Files {
			shard := &s.manifest.Files[i]
			if shard.Split != split {
				continue
			}
			goOn := true
			err := s.read(shard, func(r row) bool {
				goOn = ctx.Err() == nil && yield(r, nil)
				return goOn
			})
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(row{}, err)
				return
			}
			if !goOn {
				return
			}
		}
	}
}

// check says why a split cannot be evaluated.
func (s *Set) check(split string) error {
	var names []string
	for _, counts := range s.manifest.Splits {
		if counts.Split == split && counts.Rows == 0 {
			return fmt.Errorf("split %q has no rows: export with a share for it", split)
		}
		if counts.Split == split {
			return nil
		}
		names = append(names, counts.Split)
	}
	return fmt.Errorf("no split %q: the training set has %s", split, strings.Join(names, ", "))
}

// read calls each with the rows of a file until it returns false.
func (s *Set) read(shard *files.Shard, each func(row) bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read %s: %w", shard.Path, err)
		}
	}()
	file, err := s.root.Open(shard.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the file is missing, but %s lists it: export again", files.ManifestFile)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != shard.SHA256 {
		return fmt.Errorf("the file does not have the SHA-256 that %s says: it was changed or damaged, export again", files.ManifestFile)
	}
	if s.manifest.Format == files.Parquet {
		return s.readParquet(file, size, each)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return s.readJSONL(file, each)
}
