package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// leastNoise is how much a figure may always get worse: a few runs may agree by chance.
const leastNoise = 0.02

// Baseline is what the guard compares with: figures of a version that was good. They are
// ratios of what was measured in one run, so that they depend on the program more than on
// the machine.
type Baseline struct {
	// Cores and Go are those of the machine that it was measured on. Ratios of rates depend
	// on the number of cores.
	Cores   int               `json:"cores"`
	Go      string            `json:"go"`
	Figures map[string]Figure `json:"figures"`
}

// Figure is one ratio, of several runs.
type Figure struct {
	Spread

	// Higher says that more is better; otherwise less is.
	Higher bool `json:"higher_is_better"`
}

// noise is how far the runs are apart, as a share of their median.
func (f Figure) noise() float64 { return (f.Max - f.Min) / f.Median }

// validate is an error when the figure cannot come from a measurement.
func (f Figure) validate() error {
	for _, v := range []float64{f.Min, f.Median, f.Max} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v <= 0 {
			return fmt.Errorf("%v is not a positive number", v)
		}
	}
	if f.Min > f.Median || f.Median > f.Max {
		return fmt.Errorf("the median %v is not between %v and %v", f.Median, f.Min, f.Max)
	}
	return nil
}

// readBaseline reads a baseline and refuses one that was not written by [Baseline.write].
func readBaseline(path string) (*Baseline, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read baseline ('make bench-guard UPDATE=1' writes one): %w", err)
	}
	b := new(Baseline)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var wrong []error
	if err := decoder.Decode(b); err != nil {
		wrong = append(wrong, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		wrong = append(wrong, errors.New("something follows the baseline"))
	}
	if len(b.Figures) == 0 {
		wrong = append(wrong, errors.New("it has no figures"))
	}
	for name, figure := range b.Figures {
		if err := figure.validate(); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("read baseline %s ('make bench-guard UPDATE=1' writes a new one): %w", path, err)
	}
	return b, nil
}

// write writes the baseline to a file.
func (b *Baseline) write(path string) error {
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("encode baseline: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write baseline: %w", err)
	}
	return nil
}

// state is what became of a figure.
type state string

const (
	within  state = "within noise"
	worse   state = "WORSE"
	better  state = "better"
	missing state = "MISSING"
	added   state = "new"
)

// verdict is how a figure compares with the baseline.
type verdict struct {
	name      string
	state     state
	base, now Figure
	// gain is by what share it got better, noise how much of that may be chance: how far
	// the baseline's runs and the present ones were apart, together.
	gain, noise float64
}

// compare compares figures with the baseline's, name by name.
func (b *Baseline) compare(now map[string]Figure) (verdicts []verdict) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(b.Figures)), maps.Keys(now))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		v := verdict{name: name, base: b.Figures[name], now: now[name]}
		_, before := b.Figures[name]
		_, measured := now[name]
		switch {
		case !measured:
			v.state = missing
		case !before:
			v.state = added
		default:
			v.judge()
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// judge says what became of a figure that is known from both.
func (v *verdict) judge() {
	v.gain = v.now.Median/v.base.Median - 1
	if !v.base.Higher {
		v.gain = v.base.Median/v.now.Median - 1
	}
	v.noise = max(leastNoise, v.base.noise()+v.now.noise())
	switch {
	case v.gain < -v.noise:
		v.state = worse
	case v.gain > v.noise:
		v.state = better
	default:
		v.state = within
	}
}

// failure is an error that names what got worse, by how much, and what is missing; nil when
// nothing did.
func failure(verdicts []verdict) error {
	var bad []string
	for _, v := range verdicts {
		if v.state == worse {
			bad = append(bad, fmt.Sprintf("%s is %.1f %% worse (%.4g, it was %.4g), and the noise is %.1f %%", v.name, -100*v.gain, v.now.Median, v.base.Median, 100*v.noise))
		}
		if v.state == missing {
			bad = append(bad, v.name+" was not measured: if that is right, write a new baseline with 'make bench-guard UPDATE=1'")
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return errors.New(strings.Join(bad, "\n"))
}

func printVerdicts(w io.Writer, verdicts []verdict) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "  figure\tbaseline\tnow\tbetter by\tnoise\t\t")
	for _, v := range verdicts {
		switch v.state {
		case missing:
			fmt.Fprintf(out, "  %s\t%.4g\t\t\t\t%s\t\n", v.name, v.base.Median, v.state)
		case added:
			fmt.Fprintf(out, "  %s\t\t%.4g\t\t%.1f %%\t%s\t\n", v.name, v.now.Median, 100*v.now.noise(), v.state)
		default:
			fmt.Fprintf(out, "  %s\t%.4g\t%.4g\t%+.1f %%\t%.1f %%\t%s\t\n", v.name, v.base.Median, v.now.Median, 100*v.gain, 100*v.noise, v.state)
		}
	}
	_ = out.Flush()
}
