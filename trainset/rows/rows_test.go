package rows_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
	"github.com/yirifi/flywheel/trainset/formats"
	"github.com/yirifi/flywheel/trainset/rows"
)

const supervised = flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED

// some are rows with what text can hold.
func some(n int) []rows.Row {
	all := make([]rows.Row, n)
	for i := range all {
		all[i] = rows.Row{
			Prompt: fmt.Sprintf("func f%d() {\n\treturn \"<é>\"\n", i), Completion: strings.Repeat("}", i%3),
			InteractionID: fmt.Sprint("id-", i), Language: "go", Outcome: "accepted",
		}
	}
	return all
}

// export writes rows as the split train of a set that also has an empty split test.
func export(t *testing.T, format files.Format, compression files.Compression, all []rows.Row) string {
	t.Helper()
	folder := t.TempDir()
	sink, err := files.NewFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	w, err := files.Open(t.Context(), sink, files.Config{
		Schema: formats.Schema(supervised), Splits: []string{"train", "test"},
		Format: format, Compression: compression, ShardBytes: 30_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	columns := make([]files.Column, 6)
	for _, row := range all {
		for i, text := range []string{row.Prompt, row.Completion, row.InteractionID, row.Language, row.Outcome} {
			columns[i].Strings = append(columns[i].Strings, text)
		}
		columns[5].Floats = append(columns[5].Floats, 1)
	}
	if err := w.Write(t.Context(), "train", &files.Batch{Rows: len(all), Columns: columns}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return folder
}

func read(t *testing.T, folder, split string) (found []rows.Row, err error) {
	t.Helper()
	set, err := rows.Open(folder, supervised)
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range set.Rows(split) {
		if err != nil {
			return found, err
		}
		found = append(found, row)
	}
	return found, nil
}

func TestRowsComeBack(t *testing.T) {
	t.Parallel()
	want := some(1500)
	for _, c := range []struct {
		name        string
		format      files.Format
		compression files.Compression
	}{
		{"jsonl", files.JSONL, files.Uncompressed},
		{"jsonl.gz", files.JSONL, files.Gzip},
		{"jsonl.zst", files.JSONL, files.Zstd},
		{"parquet", files.Parquet, files.Zstd},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := export(t, c.format, c.compression, want)
			shards, err := filepath.Glob(filepath.Join(folder, "data", "train-*."+c.name))
			if err != nil || len(shards) < 2 {
				t.Fatalf("shards %v, %v: several are needed", shards, err)
			}
			got, err := read(t, folder, "train")
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d rows, %v; want %d equal ones", len(got), err, len(want))
			}
			if got, err := read(t, folder, "test"); err != nil || len(got) != 0 {
				t.Errorf("split test: %d rows, %v; want none", len(got), err)
			}
		})
	}
}

func TestReadingStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	for _, format := range []files.Format{files.JSONL, files.Parquet} {
		set, err := rows.Open(export(t, format, "", some(1500)), supervised)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range set.Rows("train") {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("%s: %d rows", format, n)
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	folder := export(t, files.JSONL, files.Uncompressed, some(10))
	if _, err := read(t, folder, "dev"); err == nil || !strings.Contains(err.Error(), "train, test") {
		t.Errorf("a split that is not there: %v", err)
	}
	shard := filepath.Join(folder, "data", "train-00000.jsonl")
	data, err := os.ReadFile(shard)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shard, []byte(strings.Replace(string(data), "f1()", "f2()", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, folder, "train"); err == nil || !strings.Contains(err.Error(), "SHA-256") || len(got) != 0 {
		t.Errorf("a shard that was changed: %d rows, %v", len(got), err)
	}
	if err := os.Remove(shard); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, folder, "train"); err == nil || !strings.Contains(err.Error(), "train-00000.jsonl") {
		t.Errorf("a shard that is not there: %v", err)
	}
}

func TestFoldersThatAreRefused(t *testing.T) {
	t.Parallel()
	preferences := t.TempDir()
	manifest := `{"schema": [{"name": "prompt", "type": "string"}, {"name": "chosen", "type": "string"}]}`
	broken := t.TempDir()
	for folder, text := range map[string]string{
		preferences: manifest,
		broken:      `{"schema": 7}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, files.ManifestFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, folder, want string }{
		{"missing", filepath.Join(preferences, "nowhere"), "open training set"},
		{"no manifest", t.TempDir(), "not complete"},
		{"another format", preferences, "prompt, chosen: one of the format supervised is needed"},
		{"broken manifest", broken, files.ManifestFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := rows.Open(c.folder, supervised); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
