package files_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yirifi/flywheel/trainset/files"
)

var errBroken = errors.New("broken on purpose")

// brokenSink fails, or has its caller cancelled, after a number of steps. Like a process
// that was killed it leaves unfinished files where they are.
type brokenSink struct {
	files.Sink
	steps  int
	cancel context.CancelFunc // nil: fail
}

func (s *brokenSink) step() error {
	if s.steps--; s.steps > 0 {
		return nil
	}
	if s.cancel != nil {
		s.cancel()
		return nil
	}
	return errBroken
}

func (s *brokenSink) Create(ctx context.Context, name string) (files.File, error) {
	if err := s.step(); err != nil {
		return nil, err
	}
	file, err := s.Sink.Create(ctx, name)
	return &brokenFile{File: file, sink: s}, err
}

type brokenFile struct {
	files.File
	sink *brokenSink
}

func (f *brokenFile) Write(p []byte) (int, error) {
	if err := f.sink.step(); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

// Commit fails before or after the file is there: the caller cannot know.
func (f *brokenFile) Commit() error {
	if err := f.sink.step(); err != nil {
		return errors.Join(err, f.close())
	}
	err := f.File.Commit()
	return errors.Join(err, f.sink.step())
}

func (f *brokenFile) Abort() error { return f.close() }

// close leaves a local file half written; an upload has to end for its goroutine to.
func (f *brokenFile) close() error {
	if closer, ok := f.File.(interface{ Sync() error }); ok {
		_ = closer.Sync()
		return f.File.(interface{ Close() error }).Close()
	}
	return f.File.Abort()
}

// interrupted exports with interruptions at random points until it is done, and returns
// how many there were.
func interrupted(t *testing.T, sink files.Sink, cfg files.Config, rows []row, r *rand.Rand) int {
	t.Helper()
	for n := range 1000 {
		ctx, cancel := context.WithCancel(t.Context())
		broken := &brokenSink{Sink: sink, steps: 1 + r.IntN(60)}
		if r.IntN(3) == 0 {
			broken.cancel = cancel
		}
		_, err := export(ctx, broken, cfg, rows, 1+r.IntN(300))
		cancel()
		if err == nil {
			return n
		}
		if !errors.Is(err, errBroken) && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	t.Fatal("it never ends")
	return 0
}

// TestResume checks that an export that was interrupted at random points, and continued
// with batches of other sizes, ends with the bytes of one that was not.
func TestResume(t *testing.T) {
	t.Parallel()
	rows := randomRows(2000)
	for name, cfg := range formats() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole, want := newFolder(t)
			if _, err := export(t.Context(), whole, cfg, rows, 500); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(3, uint64(len(name))))
			interruptions := 0
			for range 3 {
				folder, path := newFolder(t)
				interruptions += interrupted(t, folder, cfg, rows, r)
				if different := differences(contents(t, want), contents(t, path)); different != nil {
					t.Fatalf("%v differ", different)
				}
			}
			if interruptions < 5 {
				t.Errorf("%d interruptions only", interruptions)
			}
		})
	}
}

// TestShardsAreKept checks that continuing writes no finished shard again.
func TestShardsAreKept(t *testing.T) {
	t.Parallel()
	rows := randomRows(2000)
	cfg := config(files.JSONL)
	folder, path := newFolder(t)
	w, err := files.Open(t.Context(), folder, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), "train", batchOf(rows[:1000], 0)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(path, "data", "train-00000.jsonl.gz")
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := export(t.Context(), folder, cfg, rows, 100); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(first); err != nil || !os.SameFile(before, after) {
		t.Errorf("%s was written again, %v", first, err)
	}
	all := contents(t, path)
	if _, err := export(t.Context(), folder, cfg, nil, 100); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(all, contents(t, path)) {
		t.Error("repeating a complete export changed it")
	}
}

// TestOtherRequest checks that an export of another request is refused, and why.
func TestOtherRequest(t *testing.T) {
	t.Parallel()
	folder, _ := newFolder(t)
	cfg := config(files.JSONL)
	if _, err := export(t.Context(), folder, cfg, randomRows(10), 5); err != nil {
		t.Fatal(err)
	}
	cfg.Definition, cfg.Request = 2, []byte(`{"kind":"dpo"}`)
	_, err := files.Open(t.Context(), folder, cfg)
	if _, ok := errors.AsType[*files.MismatchError](err); !ok {
		t.Fatalf("%v, want a MismatchError", err)
	}
	for _, part := range []string{"definition: 1 there, 2 asked for", `request: {"kind":"sft","query":"a < b"} there, {"kind":"dpo"} asked for`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want %q", err, part)
		}
	}
}

// TestOtherRows checks that continuing with fewer rows than are written is an error.
func TestOtherRows(t *testing.T) {
	t.Parallel()
	folder, _ := newFolder(t)
	w, err := files.Open(t.Context(), folder, config(files.JSONL))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), "train", batchOf(randomRows(1000), 0)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := export(t.Context(), folder, config(files.JSONL), randomRows(10), 5); err == nil || !strings.Contains(err.Error(), "did not come again") {
		t.Errorf("%v, want an error about missing rows", err)
	}
}

// TestNoCursors checks that an export whose caller has no cursors continues when all
// rows come again, and that splits may be written in turns.
func TestNoCursors(t *testing.T) {
	t.Parallel()
	rows := randomRows(1000)
	cfg := config(files.Parquet)
	var want map[string]string
	for _, upTo := range []int{len(rows), 700, 300} {
		folder, path := newFolder(t)
		for _, end := range []int{upTo, len(rows)} {
			w, err := files.Open(t.Context(), folder, cfg)
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; at < end; at += 50 {
				b := batchOf(rows[at:at+50], at)
				b.Cursor = ""
				if err := errors.Join(w.Write(t.Context(), "train", b), w.Write(t.Context(), "test", b)); err != nil {
					t.Fatal(err)
				}
			}
			if end == len(rows) {
				if _, err := w.Finish(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		got := contents(t, path)
		if want == nil {
			want = got
		}
		if different := differences(want, got); different != nil {
			t.Errorf("interrupted after %d rows: %v differ", upTo, different)
		}
	}
}

// TestFolderIsMissing checks the error of a folder that cannot be made.
func TestFolderIsMissing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := files.NewFolder(filepath.Join(file, "sub")); err == nil {
		t.Error(fmt.Sprint("a folder in ", file))
	}
}
