package evaluation_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/evaluation"
	"github.com/yirifi/flywheel/trainset/files"
	"github.com/yirifi/flywheel/trainset/formats"
)

const (
	supervised = flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED
	nextEdit   = flywheelv1.TrainingFormat_TRAINING_FORMAT_NEXT_EDIT
)

// kept is a row of a training set; its interaction is its number.
type kept struct{ language, truth string }

// id is the interaction of a row.
func id(n int) string { return fmt.Sprintf("0190a000-0000-7000-8000-%012x", n) }

// line is a prediction for a row.
func line(n int, text string) string {
	encoded, _ := json.Marshal(map[string]string{"interaction_id": id(n), "prediction": text})
	return string(encoded) + "\n"
}

// predictions reads JSON lines, which must be right.
func predictions(t *testing.T, lines ...string) evaluation.Predictions {
	t.Helper()
	found, err := evaluation.ReadPredictions(strings.NewReader(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// write makes a training set whose test split has rows, and returns its folder. Shards
// are small, so that there are several.
func write(t *testing.T, of flywheelv1.TrainingFormat, format files.Format, compression files.Compression, rows []kept) string {
	t.Helper()
	path := t.TempDir()
	folder, err := files.NewFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	schema := formats.Schema(of)
	w, err := files.Open(t.Context(), folder, files.Config{
		Schema: schema, Splits: []string{"train", "validation", "test"}, Format: format, Compression: compression, ShardBytes: 400,
		Request: json.RawMessage(`{"format":"` + of.String() + `"}`), Definition: 1, Version: "v1", Watermark: time.Unix(1_790_000_000, 0),
		Card: files.Card{PrettyName: "test", Languages: []string{"code"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for split, part := range map[string][]kept{"train": {{"go", "not held out"}}, "test": rows} {
		if err := w.Write(t.Context(), split, batch(schema, part)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func batch(schema files.Schema, rows []kept) *files.Batch {
	b := &files.Batch{Rows: len(rows)}
	for _, field := range schema {
		c := files.Column{}
		for i, r := range rows {
			switch field.Name {
			case "interaction_id":
				c.Strings = append(c.Strings, id(i))
			case "language":
				c.Strings = append(c.Strings, r.language)
			case "completion", "output":
				c.Strings = append(c.Strings, r.truth)
			default:
				c.Strings = append(c.Strings, "other")
				c.Floats = append(c.Floats, 0.5)
				c.Bools = append(c.Bools, true)
			}
		}
		b.Columns = append(b.Columns, only(field.Kind, c))
	}
	return b
}

// only keeps the values of a kind.
func only(kind files.Kind, c files.Column) files.Column {
	switch kind {
	case files.Float64:
		return files.Column{Floats: c.Floats}
	case files.Bool:
		return files.Column{Bools: c.Bools}
	default:
		return files.Column{Strings: c.Strings}
	}
}

func open(t *testing.T, folder string) evaluation.Set {
	t.Helper()
	set, err := evaluation.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// edit changes a file of a training set.
func edit(t *testing.T, path string, change func(string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(change(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shards are the files of the test split.
func shards(t *testing.T, folder string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "data", "test-*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no shards: %v", err)
	}
	return found
}
