package formats_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
	"github.com/yirifi/flywheel/trainset/formats"
)

// encodings are the files that people choose among.
var encodings = map[string]files.Config{
	"jsonl":      {Format: files.JSONL, Compression: files.Uncompressed},
	"jsonl-gzip": {Format: files.JSONL, Compression: files.Gzip},
	"jsonl-zstd": {Format: files.JSONL, Compression: files.Zstd},
	"parquet":    {Format: files.Parquet},
}

// TestInterop writes a training set of every format in every encoding for
// testdata/interop/check.py, which reads them with the trainers' libraries. `make
// test-interop` runs both.
func TestInterop(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("FLYWHEEL_INTEROP_DIR")
	if folder == "" {
		t.Skip("writes only where FLYWHEEL_INTEROP_DIR says; make test-interop sets it")
	}
	sets := map[string]flywheelv1.TrainingFormat{
		// Few sets have rows in every split.
		"no_validation": flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED,
	}
	for number, name := range flywheelv1.TrainingFormat_name {
		if number != 0 {
			sets[strings.ToLower(strings.TrimPrefix(name, "TRAINING_FORMAT_"))] = flywheelv1.TrainingFormat(number)
		}
	}
	for set, format := range sets {
		for encoding, cfg := range encodings {
			t.Run(set+"/"+encoding, func(t *testing.T) {
				t.Parallel()
				writeSample(t, filepath.Join(folder, set+"-"+encoding), set, format, cfg)
			})
		}
	}
}

// writeSample writes 400 rows in several shards. The test split has rows without any
// value that may be missing, so that its files do not tell those columns' types.
func writeSample(t *testing.T, path, set string, format flywheelv1.TrainingFormat, cfg files.Config) {
	t.Helper()
	sink, err := files.NewFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Schema, cfg.Splits, cfg.ShardBytes = formats.Schema(format), []string{"train", "validation", "test"}, 60_000
	cfg.Request = json.RawMessage(fmt.Sprintf(`{"sample": %q}`, set))
	cfg.Definition, cfg.Version, cfg.Watermark = 1, "v0.0.0", time.Date(2026, 8, 22, 10, 0, 0, 0, time.UTC)
	cfg.Card = files.Card{PrettyName: `Sample: "` + set + `"`, License: "other", TaskCategories: []string{"text-generation"}}
	w, err := files.Open(t.Context(), sink, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }() // what failed before says why
	rows := map[string]int{"train": 320, "validation": 40, "test": 40}
	if set == "no_validation" {
		rows["validation"] = 0
	}
	s := sampler{rand.New(rand.NewPCG(uint64(format), 7)), true}
	for _, split := range cfg.Splits {
		s.missing = split == "test"
		if err := w.Write(t.Context(), split, s.batch(cfg.Schema, rows[split])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(t.Context(), map[string]int64{"duplicate": 3}); err != nil {
		t.Fatal(err)
	}
}
