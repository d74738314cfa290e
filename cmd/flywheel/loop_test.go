package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
	"github.com/yirifi/flywheel/trainset/formats"
)

// exported writes a supervised training set: what each split's prompts were continued by.
func exported(t *testing.T, splits map[string][][3]string) string {
	t.Helper()
	folder := t.TempDir()
	sink, err := files.NewFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	w, err := files.Open(t.Context(), sink, files.Config{
		Schema: formats.Schema(flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED),
		Splits: []string{"train", "test"}, Format: files.JSONL, Compression: files.Zstd,
	})
	if err != nil {
		t.Fatal(err)
	}
	for split, all := range splits {
		columns := make([]files.Column, 6)
		for i, row := range all {
			for k, text := range []string{row[0], row[1], split + string(rune('0'+i)), "go", row[2]} {
				columns[k].Strings = append(columns[k].Strings, text)
			}
			columns[5].Floats = append(columns[5].Floats, 1)
		}
		if err := w.Write(t.Context(), split, &files.Batch{Rows: len(all), Columns: columns}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return folder
}

// code is a source folder of some files.
func code(t *testing.T, times int) string {
	t.Helper()
	root := t.TempDir()
	for i := range 12 {
		text := strings.Repeat("func f() error {\n\tif err := g(); err != nil {\n\t\treturn err\n\t}\n\treturn nil\n}\n", times)
		if err := os.WriteFile(filepath.Join(root, string(rune('a'+i))+".go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// learnable has in its training split a line that no code has, in a place where code has
// another, more often than the code has that; and a line that was taken in part.
func learnable(t *testing.T) string {
	t.Helper()
	place := "\t\treturn err\n\t}\n\treturn"
	var taught [][3]string
	for i := range 60 {
		above := "// " + strconv.Itoa(i) + "\n"
		taught = append(taught, [3]string{above + place, " done()", "ignored"}, [3]string{above + "func f", "x", "partially_accepted"})
	}
	return exported(t, map[string][][3]string{"train": taught, "test": {{place, " done()", "accepted"}, {"nml:\n", "\tkji()", "accepted"}, {"func f", "x", "accepted"}}})
}

func TestPredict(t *testing.T) {
	t.Parallel()
	set, source := learnable(t), code(t, 3)
	for model, learnt := range map[string]bool{"ngram-6@1": false, "ngram-6@2": true} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "predictions.jsonl")
			var out, errs bytes.Buffer
			err := run(t.Context(), []string{"predict", "--training-set", set, "--model", model, "--source", source, "--out", path}, &out, &errs)
			if err != nil || !strings.Contains(out.String(), model+" predicted 3 rows") {
				t.Fatalf("%v: %s%s", err, &out, &errs)
			}
			got := predictions(t, path)
			if len(got) != 3 || (got["test0"] == " done()") != learnt || got["test1"] == "\tkji()" || got["test2"] == "x" {
				t.Errorf("predictions %q, want the line that was taught (%t) and neither of the others", got, learnt)
			}
		})
	}
}

// predictions reads a file of predictions by interaction.
func predictions(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(data)) {
		var row map[string]string
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found[row["interaction_id"]] = row["prediction"]
	}
	return found
}

func TestCandidateSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	set := learnable(t)
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"no data", "both are needed", []string{"replay", "--candidate", "x"}},
		{"no name", "both are needed", []string{"replay", "--candidate-data", set}},
		{"no such part", "part \"3/2\"", []string{"replay", "--part", "3/2"}},
		{"not a training set", "manifest.json", []string{"replay", "--candidate", "x", "--candidate-data", t.TempDir()}},
		{"a baseline's name", "another name", []string{"replay", "--candidate", "frequency@1", "--candidate-data", set}},
		{"no such split", `no split "dev"`, []string{"predict", "--training-set", set, "--model", "ngram-6@1", "--split", "dev", "--out", filepath.Join(t.TempDir(), "x")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			if err := run(t.Context(), c.args, &out, &errs); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestCandidateAgainstBaseline replays with a candidate and compares it with its baseline.
func TestCandidateAgainstBaseline(t *testing.T) {
	t.Parallel()
	u := startUp(t, t.TempDir(), "127.0.0.1:0", "127.0.0.1:0")
	defer u.stop(t)
	succeed(t, "replay", "--data-dir", u.dir, "--source", code(t, 30), "--part", "2/2", "--interactions", "300", "--users", "5",
		"--candidate", "ngram-6@2", "--candidate-data", learnable(t), "--tally", filepath.Join(t.TempDir(), "tally.json"), "--check")
	succeed(t, "verify", "--data-dir", u.dir, "--wait", "2m") // the rates of users come last
	compare := []string{"compare", "--data-dir", u.dir, "--experiment", "replay-candidate", "--baseline", "ngram-6@1"}
	out := succeed(t, append(compare, "--candidate", "ngram-6@2")...)
	for _, want := range []string{"3 users of ngram-6@1, 2 of ngram-6@2", "acceptance_rate", "retained_ratio_30s", "no difference shown", " pp to "} {
		if !strings.Contains(out, want) {
			t.Errorf("the comparison lacks %q:\n%s", want, out)
		}
	}
	out, err := start(t, append(compare, "--candidate", "nobody")...).wait(t)
	if err == nil || !strings.Contains(out, "0 of nobody") {
		t.Errorf("a variant without users: %v\n%s", err, out)
	}
}
