package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
	"github.com/yirifi/flywheel/trainset/formats"
)

// evalID is the interaction of a row of the test split.
func evalID(n int) string { return fmt.Sprintf("0190a000-0000-7000-8000-%012x", n) }

// trainingSet writes a training set whose test split is lines of Go and of Python.
func trainingSet(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	folder, err := files.NewFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	schema := formats.Schema(flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED)
	w, err := files.Open(t.Context(), folder, files.Config{
		Schema: schema, Splits: []string{"train", "validation", "test"}, Format: files.JSONL, Compression: files.Zstd,
		Request: json.RawMessage(`{"format":"TRAINING_FORMAT_SUPERVISED"}`), Definition: 1, Watermark: time.Unix(1_790_000_000, 0),
		Card: files.Card{PrettyName: "test", Languages: []string{"code"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{
		"prompt":         {"a", "b", "c", "d"},
		"completion":     {"return nil", "return err", "pass", "return"},
		"interaction_id": {evalID(0), evalID(1), evalID(2), evalID(3)},
		"language":       {"go", "go", "python", "python"},
		"outcome":        {"accepted", "accepted", "accepted", "accepted"},
	}
	batch := &files.Batch{Rows: 4}
	for _, field := range schema {
		column := files.Column{Strings: values[field.Name]}
		if field.Kind == files.Float64 {
			column = files.Column{Floats: make([]float64, batch.Rows)}
		}
		batch.Columns = append(batch.Columns, column)
	}
	if err := w.Write(t.Context(), "test", batch); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// predictionsFile writes predictions by row.
func predictionsFile(t *testing.T, texts map[int]string) string {
	t.Helper()
	var lines strings.Builder
	for row, text := range texts {
		fmt.Fprintf(&lines, "{\"interaction_id\": %q, \"prediction\": %q}\n", evalID(row), text)
	}
	path := filepath.Join(t.TempDir(), "predictions.jsonl")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEval evaluates models of a replay, and finds the results beside them.
func TestEval(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	succeed(t, u.replayArgs("default")...)
	set := trainingSet(t)
	good := predictionsFile(t, map[int]string{0: "return nil", 1: "return", 2: "pass", 9: "of no row"})
	bad := predictionsFile(t, map[int]string{0: "x"})
	fw := func(args ...string) string { return succeed(t, append(args, "--feedback", u.feedback)...) }
	eval := func(model, predictions string, more ...string) []string {
		return append([]string{"eval", "--training-set", set, "--predictions", predictions, "--model", model}, more...)
	}
	want := func(out string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), line) {
				t.Errorf("no %q in\n%s", line, out)
			}
		}
	}
	out, err := start(t, append(eval("ngram-6@1", good), "--feedback", u.feedback)...).wait(t)
	if err == nil {
		t.Error("a model that is not registered can be evaluated")
	}
	want(out, "'flywheel model create ngram-6@1'", "(all) 4 1 50.00%")

	fw("model", "create", "ngram-6@1", "--training-set", "2026-11")
	fw("model", "create", "frequency@1")
	if out := fw("rates"); strings.Contains(out, "EXACT") {
		t.Errorf("evaluations that there are none of:\n%s", out)
	}
	fw(eval("ngram-6@1", good, "--dry-run")...)
	if out := fw("model", "show", "ngram-6@1"); strings.Contains(out, "EVALUATED") {
		t.Errorf("a dry run is stored:\n%s", out)
	}
	fw(eval("ngram-6@1", bad)...)
	want(fw(eval("ngram-6@1", good)...),
		"LANGUAGE ROWS MISSING EXACT EDIT_SIMILARITY PREFIX COMMON_PREFIX CHARS",
		// Wilson of 2 of 4 and of 1 of 2; edit similarities 1, 0.6, 1 and 0.
		"(all) 4 1 50.00% (15.00-85.00%) 65.00% (", "go 2 0 50.00% (9.45-90.55%) 80.00% (40.80-100.00%)", "python 2 1 50.00%",
		"Predictions of interactions that the split test does not have: 1.")
	want(fw("model", "show", "ngram-6@1"), "EVALUATED TRAINING_SET SPLIT ROWS MISSING EXACT", "test 4 1 50.00% (15.00-85.00%)", "test 4 3 0.00%")
	var shown struct {
		Evaluations []struct {
			TrainingSetID string `json:"training_set_id"`
			Total         struct{ Rows string }
		}
	}
	out = fw("model", "show", "ngram-6@1", "--format", "json")
	if err := json.Unmarshal([]byte(out), &shown); err != nil || len(shown.Evaluations) != 2 || shown.Evaluations[0].Total.Rows != "4" || len(shown.Evaluations[0].TrainingSetID) != 64 {
		t.Errorf("%v in\n%s", err, out)
	}
	want(fw("rates"), "TRAINING_SET EXACT OPPORTUNITIES", "ngram-6@1 offline - 2026-11 50.00% (test)", "frequency@1 offline - - - ")
	want(fw("rates", "--group-by", "surface,model"), "EXACT", "50.00% (test)")

	var answer struct{ Split, Unknown string }
	out = fw(eval("ngram-6@1", good, "--format", "json")...)
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Split != "test" || answer.Unknown != "1" {
		t.Errorf("%v in\n%s", err, out)
	}
	u.stop(t)
}

// TestEvalErrors needs no service.
func TestEvalErrors(t *testing.T) {
	t.Parallel()
	set, good := trainingSet(t), predictionsFile(t, map[int]string{0: "return nil"})
	broken := filepath.Join(t.TempDir(), "broken.jsonl")
	if err := os.WriteFile(broken, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		`neither a folder with a manifest.json nor the id of a training set`: {"--training-set", "nowhere", "--predictions", good},
		`broken.jsonl: line 1: interaction_id is missing`:                    {"--training-set", set, "--predictions", broken},
		`has no split "dev": it has train, validation, test`:                 {"--training-set", set, "--predictions", good, "--split", "dev"},
		`ask feedback service at 127.0.0.1:1`:                                {"--training-set", evalID(0), "--predictions", good},
	} {
		args = append([]string{"eval", "--model", "m", "--dry-run", "--feedback", "127.0.0.1:1"}, args...)
		if out, err := start(t, args...).wait(t); err == nil || !strings.Contains(out, want) {
			t.Errorf("flywheel %v: %v, want %q in\n%s", args, err, want, out)
		}
	}
	// Without a service there is nothing to store in, but what was found is shown.
	out := succeed(t, "eval", "--model", "m", "--training-set", set, "--predictions", good, "--dry-run", "--feedback", "127.0.0.1:1")
	if !strings.Contains(out, "(all)") {
		t.Errorf("a dry run shows nothing:\n%s", out)
	}
	if got := parseError(t, "eval", "--model", "m"); !strings.Contains(got, "--predictions") || !strings.Contains(got, "--training-set") {
		t.Errorf("missing flags: %s", got)
	}
}
