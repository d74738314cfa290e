package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

func TestRegistryCommandsParse(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	parsed := func(args ...string) command {
		t.Helper()
		app, err := parse(args, &out, &out)
		if err != nil || app == nil {
			t.Fatalf("flywheel %v: %v", args, err)
		}
		return app.command
	}
	create := parsed("model", "create", "tab-7", "--parent", "tab-6").(*modelCreateCmd)
	if create.Model != "tab-7" || create.Parent != "tab-6" || create.Stage != modelStage(flywheelv1.ModelStage_MODEL_STAGE_OFFLINE) {
		t.Errorf("model create: %+v", create)
	}
	list := parsed("model", "list", "--stage", "dogfood,released", "--parent=").(*modelListCmd)
	if len(list.Stage) != 2 || list.Stage[1] != 4 || list.Parent == nil || *list.Parent != "" || list.TrainingSet != nil {
		t.Errorf("model list: %+v", list)
	}
	set := parsed("model", "set", "tab-7", "--stage", "experiment", "--revision", "3").(*modelSetCmd)
	if set.Stage == nil || *set.Stage != 3 || set.Revision != 3 || set.Notes != nil {
		t.Errorf("model set: %+v", set)
	}
	if show := parsed("definition", "show").(*definitionShowCmd); show.Version != 0 {
		t.Errorf("definition show: %+v", show)
	}
	compare := parsed("definition", "compare", "1", "2", "--since", "24h", "--filter", "model=a|b").(*definitionCompareCmd)
	if compare.A != 1 || compare.B != 2 || compare.Since.Hours() != 24 || len(compare.Filter) != 1 {
		t.Errorf("definition compare: %+v", compare)
	}
	if rates := parsed("rates", "--model-stage", "experiment").(*ratesCmd); len(rates.ModelStage) != 1 || rates.ModelStage[0] != 3 {
		t.Errorf("rates: %+v", rates)
	}
	for want, args := range map[string][]string{
		"one of offline, dogfood": {"model", "set", "a", "--stage", "done"},
		"unknown stage":           {"rates", "--model-stage", "unspecified"},
		`expected "<model>"`:      {"model", "show"},
		`expected one of`:         {"definition"},
		`expected "<a> <b>"`:      {"definition", "compare"},
		"format":                  {"model", "list", "--format", "csv"},
	} {
		if got := parseError(t, args...); !strings.Contains(got, want) {
			t.Errorf("flywheel %v: %q, want %q in it", args, got, want)
		}
	}
}

// aDefinition has a value in every field.
func aDefinition() *flywheelv1.Definition {
	return &flywheelv1.Definition{
		Name: "mine", Notes: "two: lines\n# no comment",
		Window: durationpb.New(5400e9), MinReject: durationpb.New(300e6), FastReject: durationpb.New(2e9),
		Weights: &flywheelv1.RewardWeights{
			Accepted: 4000, AcceptedModified: 3333, PartiallyAccepted: 1, Rejected: -10_000, RejectedFast: -1,
			Retention: 10_000, Kept: 7, Thumb: 29, Rating: 2900,
			RetentionDelays: []*flywheelv1.RetentionDelayWeight{{DelayS: 120, Weight: 2}, {DelayS: 5, Weight: 1}},
			TaskResults:     []*flywheelv1.TaskResultWeight{{Result: flywheelv1.TaskResult_TASK_RESULT_MERGED, Weight: 2000}},
		},
	}
}

// TestDefinitionFile writes a definition as a file and reads it back.
func TestDefinitionFile(t *testing.T) {
	t.Parallel()
	want := aDefinition()
	stored := aDefinition()
	stored.Version, stored.CreatedAt = 3, &timestamppb.Timestamp{Seconds: 1795000000}
	var file bytes.Buffer
	if err := writeDefinition(&file, stored); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"window: 1h30m\n", "min_reject: 300ms\n", "  accepted: 0.4\n", "  rejected_fast: -0.0001\n", "    120s: 2\n", "    merged: 0.2\n", "# Definition 3"} {
		if !strings.Contains(file.String(), line) {
			t.Errorf("no %q in\n%s", line, &file)
		}
	}
	got, err := readDefinition(&file)
	byOrder := protocmp.SortRepeated(func(a, b *flywheelv1.RetentionDelayWeight) bool { return a.GetDelayS() > b.GetDelayS() })
	if diff := cmp.Diff(want, got, protocmp.Transform(), byOrder); diff != "" || err != nil {
		t.Errorf("read back: %v (-written +read):\n%s", err, diff)
	}
}

// TestEveryWeight writes and reads all numbers that a weight may be.
func TestEveryWeight(t *testing.T) {
	t.Parallel()
	for weight := int32(-10_000); weight <= 10_000; weight++ {
		d := &flywheelv1.Definition{Weights: &flywheelv1.RewardWeights{Kept: weight}}
		var file bytes.Buffer
		if err := writeDefinition(&file, d); err != nil {
			t.Fatal(err)
		}
		got, err := readDefinition(&file)
		if err != nil || got.GetWeights().GetKept() != weight {
			t.Fatalf("%d became %d, %v", weight, got.GetWeights().GetKept(), err)
		}
		if weight%100 != 0 {
			weight += 36
		}
	}
}

func TestWrongDefinitionFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                          "it is empty",
		"{":                                         "yaml",
		"windoww: 1h":                               `line 1: there is no field "windoww"`,
		"name: a\nweights:\n  acepted: 1":           `line 3: there is no field "acepted"`,
		"window: 3600":                              `line 1: "3600" is no duration: a number with a unit is needed`,
		"name: a\n---\nname: b":                     "more than one document",
		"weights: {thumb: 0.12345}":                 "more than four decimals: weights are stored as whole 1/10000, so that rewards are the same on every machine; write 0.1235",
		"weights: {thumb: 1.1}":                     `line 1: "1.1" is no weight`,
		"weights: {thumb: .nan}":                    "is no weight",
		"weights: {thumb: x}":                       "is no weight",
		"weights: {retention_delays: {7m: 1}}":      "",
		"weights: {retention_delays: {soon: 1}}":    `there is no delay "soon"`,
		"weights: {retention_delays: {5s: 0.5}}":    `"0.5" is no whole number`,
		"weights: {task_results: {exploded: 1}}":    `there is no result "exploded"`,
		"weights: {thumb: 0.1, thumb: 0.2}":         "already",
		"weights: {task_results: {unspecified: 1}}": `there is no result "unspecified"`,
	} {
		_, err := readDefinition(strings.NewReader(text))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "main.")) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
}

// TestRegistry registers the models of a replay, and adds and compares definitions.
func TestRegistry(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	succeed(t, u.replayArgs("default")...)
	fw := func(args ...string) string { return succeed(t, append(args, "--feedback", u.feedback)...) }
	want := func(out string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), line) {
				t.Errorf("no %q in\n%s", line, out)
			}
		}
	}
	if out := fw("rates"); strings.Contains(out, "STAGE") {
		t.Errorf("stages of models that are not registered:\n%s", out)
	}
	want(fw("model", "create", "frequency@1", "--stage", "released"), "frequency@1 released - - 1")
	want(fw("model", "create", "ngram-6@1", "--parent", "frequency@1", "--training-set", "2026-11"), "ngram-6@1 offline frequency@1 2026-11 1")
	want(fw("model", "set", "ngram-6@1", "--stage", "experiment", "--notes", "six words"), "ngram-6@1 experiment frequency@1 2026-11 2")
	want(fw("model", "list", "--stage", "experiment"), "six words")
	want(fw("model", "show", "frequency@1", "--format", "json"), `"training_set_id": ""`)
	want(fw("model", "lineage", "ngram-6@1"), "ngram-6@1 experiment", "frequency@1 released")
	want(fw("rates"), "MODEL STAGE PARENT TRAINING_SET OPPORTUNITIES", "frequency@1 released - - ", "ngram-6@1 experiment frequency@1 2026-11 ")

	var answer struct {
		Rows   []struct{ Group []string }
		Models map[string]struct{ Stage string }
	}
	out := fw("rates", "--model-stage", "experiment", "--every", "1m", "--format", "json")
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Rows) == 0 || answer.Models["ngram-6@1"].Stage != "MODEL_STAGE_EXPERIMENT" || len(answer.Models) != 1 {
		t.Errorf("%v in\n%s", err, out)
	}

	file := filepath.Join(t.TempDir(), "two.yaml")
	shown := strings.Replace(fw("definition", "show", "1"), "min_reject: 0s", "min_reject: 1h", 1)
	if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
		t.Fatal(err)
	}
	want(fw("definition", "add", file), "It is definition 2 (default)")
	want(fw("definition", "add", file), "It is definition 2 (default)")
	want(fw("definition", "list"), "1 default 1h 0s", "2 default 1h 1h")
	want(fw("definition", "show"), "min_reject: 1h")
	want(fw("definition", "compare", "1", "2"), "SETTLED (1) SETTLED (2)", "(all) ", "frequency@1 ", "accepted accepted", "rejected ignored")
	if out, err := start(t, "definition", "show", "9", "--feedback", u.feedback).wait(t); err == nil || !strings.Contains(out, "the versions are 1, 2") {
		t.Errorf("definition show 9: %v\n%s", err, out)
	}
	if out, err := start(t, "model", "create", "", "--feedback", u.feedback, "--parent", strings.Repeat("x", 300)).wait(t); err == nil || !strings.Contains(out, "; parent: 300 bytes") {
		t.Errorf("model create: %v\n%s", err, out)
	}
	u.stop(t)
}
