package evaluation_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/testing/protocmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/evaluation"
	"github.com/yirifi/flywheel/trainset/files"
)

// TestByHand compares with scores that were computed by hand, in every encoding.
func TestByHand(t *testing.T) {
	t.Parallel()
	rows := []kept{
		{"go", "return nil"},     // predicted as it is
		{"go", "kitten\nsecond"}, // predicted: its first line
		{"go", "kitten"},         // predicted: sitting
		{"python", "naïve été"},  // predicted: naïve
		{"python", "missing"},    // not predicted
		{"", ""},                 // predicted as it is
	}
	given := []string{
		line(0, "return nil"), line(1, "kitten"), line(2, "sitting"), "\n", line(3, "naïve"), line(5, ""),
		line(77, "of another split"), line(78, "and another"),
	}
	// go: edit similarities 1, 6/13, 4/7; common prefixes 1, 6/13, 0.
	// python: 5/9, 0; 5/9, 0.
	want := &flywheelv1.Evaluation{
		Split: "test", Unknown: 2,
		Total: scores("", 6, 1, 2, 3, (1+6./13+4./7+5./9+0+1)/6, (1+6./13+0+5./9+0+1)/6, (10+6+7+5+0)/5.),
		Languages: []*flywheelv1.EvaluationScores{
			scores("", 1, 0, 1, 1, 1, 1, 0),
			scores("go", 3, 0, 1, 2, (1+6./13+4./7)/3, (1+6./13)/3, 23./3),
			scores("python", 2, 1, 0, 0, 5./18, 5./18, 5),
		},
	}
	for _, of := range []flywheelv1.TrainingFormat{supervised, nextEdit} {
		for _, encoding := range []struct {
			files.Format
			files.Compression
		}{
			{files.JSONL, files.Uncompressed}, {files.JSONL, files.Gzip}, {files.JSONL, files.Zstd},
			{files.Parquet, files.Zstd}, {files.Parquet, files.Snappy},
		} {
			t.Run(fmt.Sprint(of, encoding), func(t *testing.T) {
				t.Parallel()
				folder := write(t, of, encoding.Format, encoding.Compression, rows)
				set := open(t, folder)
				got, err := evaluation.Evaluate(t.Context(), set, "test", predictions(t, given...))
				if err != nil {
					t.Fatal(err)
				}
				bounds := protocmp.IgnoreFields(&flywheelv1.Rate{}, "low", "high")
				means := protocmp.IgnoreFields(&flywheelv1.MeanScore{}, "low", "high")
				if diff := cmp.Diff(want, got, protocmp.Transform(), bounds, means, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if set.ID() == "" {
					t.Error("no fingerprint")
				}
			})
		}
	}
}

func scores(language string, rows, missing, exact, prefix uint64, similarity, common, chars float64) *flywheelv1.EvaluationScores {
	rate := func(n uint64) *flywheelv1.Rate {
		return &flywheelv1.Rate{Numerator: n, Denominator: rows, Value: float64(n) / float64(rows)}
	}
	return &flywheelv1.EvaluationScores{
		Language: language, Rows: rows, Missing: missing, ExactMatch: rate(exact), PrefixMatch: rate(prefix),
		EditSimilarity: &flywheelv1.MeanScore{Value: similarity}, CommonPrefix: &flywheelv1.MeanScore{Value: common},
		MeanPredictedChars: chars,
	}
}

// TestScores has one row and one prediction each: exact, prefix, edit similarity, common
// prefix.
func TestScores(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 4000)
	var rows []kept
	var given, want []string
	for _, c := range []struct{ truth, prediction, want string }{
		{"abc", "abc", "1 1 1.0000 1.0000"},
		{"abc", "", "0 0 0.0000 0.0000"},
		{"", "abc", "0 0 0.0000 0.0000"},
		{"abc", "abc\n", "0 1 0.7500 1.0000"},
		{"a\nb", "a\nc", "0 1 0.6667 0.6667"},
		{"abc", "ab", "0 0 0.6667 0.6667"},
		{"abcd", "bcd", "0 0 0.7500 0.0000"},
		{"\n", "\nx", "0 1 0.5000 1.0000"},
		{"日本語", "日本", "0 0 0.6667 0.6667"},
		{"é", "è", "0 0 0.0000 0.0000"},
		// Beyond the first 4000 nothing is compared, but by exact match and prefixes.
		{long + "a", long + "b", "0 0 1.0000 0.9998"},
		{long, strings.Repeat("e", 5000), "0 0 0.0000 0.0000"},
	} {
		language := fmt.Sprintf("%02d", len(rows))
		given = append(given, line(len(rows), c.prediction))
		rows = append(rows, kept{language, c.truth})
		want = append(want, language+" "+c.want)
	}
	set := open(t, write(t, supervised, files.JSONL, files.Gzip, rows))
	found, err := evaluation.Evaluate(t.Context(), set, "test", predictions(t, given...))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range found.GetLanguages() {
		got = append(got, fmt.Sprintf("%s %d %d %.4f %.4f", s.GetLanguage(), s.GetExactMatch().GetNumerator(),
			s.GetPrefixMatch().GetNumerator(), s.GetEditSimilarity().GetValue(), s.GetCommonPrefix().GetValue()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestIntervals has 100 rows of which 30 are predicted exactly, 20 not at all, and the
// others half.
func TestIntervals(t *testing.T) {
	t.Parallel()
	var rows []kept
	var given []string
	for i := range 100 {
		rows = append(rows, kept{"go", "abcd"})
		switch {
		case i < 30:
			given = append(given, line(i, "abcd"))
		case i < 80:
			given = append(given, line(i, "abxx"))
		}
	}
	set := open(t, write(t, supervised, files.Parquet, files.Zstd, rows))
	found, err := evaluation.Evaluate(t.Context(), set, "test", predictions(t, given...))
	if err != nil {
		t.Fatal(err)
	}
	total := found.GetTotal()
	// Wilson: Newcombe's formula. Normal: mean 0.55, sum of squares 42.5 - 30.25 = 12.25,
	// standard error sqrt(12.25/99/100) = 0.0351763.
	for name, c := range map[string]struct{ low, high, wantLow, wantHigh float64 }{
		"exact match":     {total.GetExactMatch().GetLow(), total.GetExactMatch().GetHigh(), 0.218949, 0.395849},
		"edit similarity": {total.GetEditSimilarity().GetLow(), total.GetEditSimilarity().GetHigh(), 0.481056, 0.618944},
		"common prefix":   {total.GetCommonPrefix().GetLow(), total.GetCommonPrefix().GetHigh(), 0.481056, 0.618944},
	} {
		if !cmp.Equal([]float64{c.low, c.high}, []float64{c.wantLow, c.wantHigh}, cmpopts.EquateApprox(0, 2e-6)) {
			t.Errorf("%s: %v to %v, want %v to %v", name, c.low, c.high, c.wantLow, c.wantHigh)
		}
	}
	if total.GetMissing() != 20 || total.GetMeanPredictedChars() != 4 {
		t.Errorf("%d missing, %v characters", total.GetMissing(), total.GetMeanPredictedChars())
	}
}

// TestBadSets damages training sets.
func TestBadSets(t *testing.T) {
	t.Parallel()
	rows := make([]kept, 40)
	manifest := func(change ...string) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			edit(t, filepath.Join(folder, "manifest.json"), strings.NewReplacer(change...).Replace)
		}
	}
	for name, c := range map[string]struct {
		damage      func(*testing.T, string)
		split, want string
	}{
		"changed file": {func(t *testing.T, folder string) {
			edit(t, shards(t, folder)[1], func(text string) string { return strings.Replace(text, "other", "OTHER", 1) })
		}, "test", "the manifest says"},
		"short file": {func(t *testing.T, folder string) {
			edit(t, shards(t, folder)[0], func(text string) string { return text[:len(text)/2] })
		}, "test", "SHA-256"},
		"missing file": {func(t *testing.T, folder string) {
			if err := os.Remove(shards(t, folder)[2]); err != nil {
				t.Fatal(err)
			}
		}, "test", "data/test-00002.jsonl"},
		"file outside": {manifest("data/test-00000.jsonl", "../data.jsonl"), "test", "escapes"},
		"no manifest": {func(t *testing.T, folder string) {
			if err := os.Remove(filepath.Join(folder, "manifest.json")); err != nil {
				t.Fatal(err)
			}
		}, "test", "its export is not complete"},
		"strange manifest": {func(t *testing.T, folder string) {
			edit(t, filepath.Join(folder, "manifest.json"), func(string) string { return "[]" })
		}, "test", "read manifest.json"},
		"other columns":  {manifest(`"completion"`, `"chosen"`), "test", "one of the format supervised or next_edit is needed"},
		"unknown split":  {manifest(), "dev", `has no split "dev": it has train, validation, test`},
		"split is empty": {manifest(), "validation", `split "validation" has no rows`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := write(t, supervised, files.JSONL, files.Uncompressed, rows)
			c.damage(t, folder)
			set, err := evaluation.Open(folder)
			if err == nil {
				_, err = evaluation.Evaluate(t.Context(), set, c.split, nil)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
		})
	}
}

func TestBadPredictions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		line(1, "a") + "{": "line 2: no JSON object",
		line(1, "a") + "\n" + line(2, "b") + line(1, "c"):       "line 4: interaction " + id(1) + " has a prediction on line 1 already",
		`{"prediction": "a"}`:                                   "line 1: interaction_id is missing",
		`{"interaction_id": "` + id(1) + `"}`:                   "line 1: prediction is missing",
		`{"interaction_id": "` + id(1) + `","prediction":null}`: "line 1: prediction is missing",
		`{"interaction_id": "x", "prediction": "a"}`:            `line 1: interaction_id "x": a UUID is needed`,
		`{"interaction_id": 1, "prediction": "a"}`:              "line 1: no JSON object",
	} {
		if _, err := evaluation.ReadPredictions(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
	found := predictions(t, line(1, "a"), `{"interaction_id": "`+strings.ToUpper(id(2))+`", "prediction": "b", "score": 3}`)
	if len(found) != 2 {
		t.Errorf("%d predictions, want 2", len(found))
	}
}
