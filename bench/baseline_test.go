package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runs is a figure of some runs.
func runs(higher bool, values ...float64) Figure {
	return Figure{Spread: spread(values), Higher: higher}
}

// TestCompare compares one figure with the baseline's.
func TestCompare(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		base, now map[string]Figure
		want      state
		fails     string // part of the error, "" for none
	}{
		{
			"the same", map[string]Figure{"rate": runs(true, 0.6, 0.6, 0.6)}, map[string]Figure{"rate": runs(true, 0.6, 0.6, 0.6)},
			within, "",
		},
		{
			"runs that agree may differ by the least noise", map[string]Figure{"rate": runs(true, 1, 1, 1)}, map[string]Figure{"rate": runs(true, 0.985, 0.985, 0.985)},
			within, "",
		},
		{
			"worse within the noise of the baseline", map[string]Figure{"rate": runs(true, 0.9, 1, 1.1)}, map[string]Figure{"rate": runs(true, 0.85, 0.85, 0.85)},
			within, "",
		},
		{
			"worse within the noise of now", map[string]Figure{"rate": runs(true, 1, 1, 1)}, map[string]Figure{"rate": runs(true, 0.8, 0.85, 1)},
			within, "",
		},
		{
			"a rate is worse", map[string]Figure{"rate": runs(true, 0.98, 1, 1.02)}, map[string]Figure{"rate": runs(true, 0.79, 0.8, 0.81)},
			worse, "rate is 20.0 % worse (0.8, it was 1), and the noise is 6.5 %",
		},
		{
			"a cost is worse", map[string]Figure{"CPU": runs(false, 1, 1, 1)}, map[string]Figure{"CPU": runs(false, 1.25, 1.25, 1.25)},
			worse, "CPU is 20.0 % worse (1.25, it was 1), and the noise is 2.0 %",
		},
		{
			"a rate is better", map[string]Figure{"rate": runs(true, 1, 1, 1)}, map[string]Figure{"rate": runs(true, 1.2, 1.2, 1.2)},
			better, "",
		},
		{
			"a cost is better", map[string]Figure{"CPU": runs(false, 1, 1, 1)}, map[string]Figure{"CPU": runs(false, 0.8, 0.8, 0.8)},
			better, "",
		},
		{
			"not measured any more", map[string]Figure{"rate": runs(true, 1, 1, 1)}, nil,
			missing, "rate was not measured",
		},
		{
			"not in the baseline", nil, map[string]Figure{"rate": runs(true, 1, 1, 1)},
			added, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			verdicts := (&Baseline{Figures: test.base}).compare(test.now)
			if len(verdicts) != 1 || verdicts[0].state != test.want {
				t.Errorf("verdicts %+v, want one: %s", verdicts, test.want)
			}
			err := failure(verdicts)
			if failed := err != nil; failed != (test.fails != "") || failed && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("error %v, want %q", err, test.fails)
			}
			var out strings.Builder
			printVerdicts(&out, verdicts)
			if !strings.Contains(out.String(), string(test.want)) {
				t.Errorf("the table does not say %q:\n%s", test.want, out.String())
			}
		})
	}
}

// TestCompareNamesAll: one error names everything that is worse, and nothing else.
func TestCompareNamesAll(t *testing.T) {
	t.Parallel()
	base := map[string]Figure{"a": runs(true, 1, 1), "b": runs(false, 1, 1), "c": runs(true, 1, 1), "d": runs(true, 1, 1)}
	now := map[string]Figure{"a": runs(true, 0.5, 0.5), "b": runs(false, 2, 2), "c": runs(true, 1, 1)}
	err := failure((&Baseline{Figures: base}).compare(now))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Fatalf("error %v, want three lines: a and b are worse, d is missing", err)
	}
	for _, want := range []string{"a is 50.0 % worse", "b is 50.0 % worse", "d was not measured"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to say %q", err, want)
		}
	}
}

// TestBaselineFile reads what was written, and refuses everything else.
func TestBaselineFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "baseline.json")
	written := &Baseline{Cores: 2, Go: "go1.26", Figures: map[string]Figure{"rate": runs(true, 0.9, 1, 1.1), "CPU": runs(false, 2, 2, 3)}}
	if err := written.write(path); err != nil {
		t.Fatal(err)
	}
	read, err := readBaseline(path)
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b Figure) bool {
		return a.Median == b.Median && a.Min == b.Min && a.Max == b.Max && a.Higher == b.Higher
	}
	if read.Cores != 2 || read.Go != "go1.26" || !maps.EqualFunc(read.Figures, written.Figures, same) {
		t.Errorf("read %+v, want %+v", read, written)
	}
	for name, content := range map[string]string{
		"nothing":               "",
		"no JSON":               "figures: none",
		"cut short":             `{"cores": 2, "figures": {"rate": {"median"`,
		"no figures":            `{"cores": 2, "go": "go1.26", "figures": {}}`,
		"an unknown field":      `{"cores": 2, "ratios": {}}`,
		"two baselines":         `{"figures": {"rate": {"median": 1, "min": 1, "max": 1}}} {}`,
		"a figure of nothing":   `{"figures": {"rate": {}}}`,
		"a negative figure":     `{"figures": {"rate": {"median": -1, "min": -1, "max": -1}}}`,
		"a median out of range": `{"figures": {"rate": {"median": 3, "min": 1, "max": 2}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "baseline.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if b, err := readBaseline(path); err == nil || !strings.Contains(err.Error(), "UPDATE=1") {
				t.Errorf("read %+v, %v; want an error that says what to do", b, err)
			}
		})
	}
	if _, err := readBaseline(filepath.Join(t.TempDir(), "none.json")); err == nil || !strings.Contains(err.Error(), "UPDATE=1") {
		t.Errorf("%v, want an error that says how to write a baseline", err)
	}
}
