package trainset_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset"
	"github.com/yirifi/flywheel/trainset/files"
	"github.com/yirifi/flywheel/trainset/rows"
)

func quiet(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// same compares files byte by byte.
func same(t *testing.T, want, got fileSet) {
	t.Helper()
	names := slices.Sorted(maps.Keys(want.content))
	if found := slices.Sorted(maps.Keys(got.content)); !slices.Equal(found, names) {
		t.Fatalf("files %v, want %v", found, names)
	}
	for _, name := range names {
		if !bytes.Equal(want.content[name], got.content[name]) {
			t.Errorf("%s differs: %d and %d bytes", name, len(want.content[name]), len(got.content[name]))
		}
	}
}

// TestContinue reads training sets with an interruption after every file, in each
// encoding, and gets the bytes that one reader gets.
func TestContinue(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(7000)
	set, _ := s.made(&flywheelv1.CreateTrainingSetRequest{Format: reward, Split: &flywheelv1.Split{Validation: 1500, Test: 1500}})
	for encoding := range flywheelv1.FileEncoding_name {
		t.Run(flywheelv1.FileEncoding(encoding).String(), func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			req := &flywheelv1.ReadTrainingSetRequest{TrainingSetId: set.GetTrainingSetId(), Encoding: flywheelv1.FileEncoding(encoding), ShardBytes: 200_000}
			whole := s.read(req, 0)
			if len(whole.content) < 7 {
				t.Fatalf("%d files: the test shows little", len(whole.content))
			}
			parts := fileSet{content: map[string][]byte{}}
			for len(parts.content) < len(whole.content) {
				next := s.read(req, 1)
				if len(next.content) != 1 {
					t.Fatalf("%d files", len(next.content))
				}
				maps.Copy(parts.content, next.content)
				if req.Cursor = next.cursors[0]; req.GetCursor() == "" {
					// The manifest has none: it comes again with the card.
					maps.Copy(parts.content, s.read(&flywheelv1.ReadTrainingSetRequest{
						TrainingSetId: req.GetTrainingSetId(), Encoding: req.GetEncoding(), ShardBytes: req.GetShardBytes(), Cursor: whole.cursors[len(whole.cursors)-3],
					}, 0).content)
				}
			}
			same(t, whole, parts)
		})
	}
}

// breaking is a folder that fails after so many bytes, as a disk does, or a killed
// process.
type breaking struct {
	*files.Folder
	left *int
}

var errBroken = errors.New("broken")

func (b breaking) Create(ctx context.Context, name string) (files.File, error) {
	file, err := b.Folder.Create(ctx, name)
	return breakingFile{file, b.left}, err
}

type breakingFile struct {
	files.File
	left *int
}

func (f breakingFile) Write(p []byte) (int, error) {
	if *f.left -= len(p); *f.left < 0 {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, errBroken
	}
	return f.File.Write(p)
}

// TestDownload writes a training set to a folder that breaks again and again, and ends
// with the files of an uninterrupted one.
func TestDownload(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(7000)
	set, _ := s.made(&flywheelv1.CreateTrainingSetRequest{Format: supervised, Split: &flywheelv1.Split{Validation: 1500, Test: 1500}})
	want := s.read(&flywheelv1.ReadTrainingSetRequest{TrainingSetId: set.GetTrainingSetId(), Encoding: flywheelv1.FileEncoding_FILE_ENCODING_PARQUET, ShardBytes: 200_000}, 0)

	dir := t.TempDir()
	folder, err := files.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	first := &trainset.Download{TrainingSetID: set.GetTrainingSetId(), Encoding: "FILE_ENCODING_PARQUET", ShardBytes: 200_000}
	if err := first.Note(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	broken := 0
	for {
		left := 120_000
		found, err := trainset.FindDownload(t.Context(), folder)
		if err != nil || found == nil {
			t.Fatalf("the download is lost: %v", err)
		}
		var last uint64
		err = found.Run(t.Context(), s, breaking{folder, &left}, func(done, total uint64) {
			if done < last || done > total {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		})
		if err == nil {
			break
		}
		if broken++; !errors.Is(err, errBroken) || broken > 100 {
			t.Fatal(err)
		}
	}
	if broken < 3 {
		t.Errorf("broken %d times: the test shows little", broken)
	}
	got := fileSet{content: map[string][]byte{}}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == ".flywheel-download.json" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		got.content[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, got)
}

// TestEncodings writes a training set in every encoding, and reads the same rows back:
// Parquet, which ClickHouse encodes, has what we encode as JSON.
func TestEncodings(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(1400)
	s.exec(`ALTER TABLE content UPDATE output = concat(output, ' "é" \\ \t\n  ', char(0), '✓') WHERE 1 SETTINGS mutations_sync = 2`)
	set, _ := s.made(&flywheelv1.CreateTrainingSetRequest{Format: supervised, Split: &flywheelv1.Split{Test: 3000}})
	var want []rows.Row
	for _, encoding := range []string{"FILE_ENCODING_JSONL", "FILE_ENCODING_JSONL_GZIP", "FILE_ENCODING_JSONL_ZSTD", "FILE_ENCODING_PARQUET"} {
		dir := t.TempDir()
		folder, err := files.NewFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		d := &trainset.Download{TrainingSetID: set.GetTrainingSetId(), Encoding: encoding, ShardBytes: 100_000}
		if err := d.Run(t.Context(), s, folder, func(uint64, uint64) {}); err != nil {
			t.Fatal(err)
		}
		found, err := rows.Open(dir, supervised)
		if err != nil {
			t.Fatal(err)
		}
		var got []rows.Row
		for _, split := range []string{"train", "test"} {
			for row, err := range found.Rows(split) {
				if err != nil {
					t.Fatalf("%s: %v", encoding, err)
				}
				got = append(got, row)
			}
		}
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got) != 980 || !slices.ContainsFunc(got, func(r rows.Row) bool { return strings.Contains(r.Completion, "é") }) {
			t.Errorf("%s: %d rows (-JSONL +got)\n%.2000s", encoding, len(got), diff)
		}
	}
}

// TestLateEvents changes and adds interactions after a training set was made: it stays
// what it was, and only a new one has them.
func TestLateEvents(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(700)
	req := &flywheelv1.CreateTrainingSetRequest{Format: supervised, Split: &flywheelv1.Split{Test: 2000}}
	set, before := s.made(req)
	s.exec("INSERT INTO interactions SELECT * REPLACE (bitOr(bitShiftLeft(toUInt64(3), 62), toUInt64(1)) + bitShiftLeft(toUInt64(toUnixTimestamp(now())) * 1000000, 8) AS outcome_rank) FROM interactions")
	s.exec("INSERT INTO content (tenant, started_at, id, consents, prompt) SELECT tenant, started_at, id, 4, concat('zzz', prompt) FROM content")

	same(t, before, s.read(&flywheelv1.ReadTrainingSetRequest{TrainingSetId: set.GetTrainingSetId()}, 0))
	// The same request with the same watermark is the same training set.
	repeated := proto.CloneOf(set.GetRequest())
	repeated.Name = "again"
	same(t, before, second(s.made(repeated)))
	if found, _ := s.made(repeated); found.GetTrainingSetId() != set.GetTrainingSetId() {
		t.Errorf("the same request with the same watermark makes %s of %s", found.GetTrainingSetId(), set.GetTrainingSetId())
	}
	now, after := s.made(req)
	if now.GetTrainingSetId() == set.GetTrainingSetId() || len(after.all(t)) <= len(before.all(t)) {
		t.Errorf("a new training set has %d rows, the old one %d", len(after.all(t)), len(before.all(t)))
	}
	// Nobody moves to another split.
	splits := map[string]string{}
	for _, split := range []string{"train", "test"} {
		for _, row := range before.rows(t, split) {
			splits[row["interaction_id"].(string)] = split
		}
	}
	for _, split := range []string{"train", "test"} {
		for _, row := range after.rows(t, split) {
			if was := splits[row["interaction_id"].(string)]; was != "" && was != split {
				t.Fatalf("%v was in %s and is in %s", row["interaction_id"], was, split)
			}
		}
	}
	changed := proto.CloneOf(set.GetRequest())
	changed.Split.Salt = "other"
	if _, err := s.CreateTrainingSet(t.Context(), changed); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("another request with a past watermark: %v", err)
	}
}

func second[A, B any](_ A, b B) B { return b }
