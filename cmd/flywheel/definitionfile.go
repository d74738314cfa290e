package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"gopkg.in/yaml.v3"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// definitionFile is a definition as people write it. What is left out is 0; without a
// version it becomes the next.
type definitionFile struct {
	Version    whole       `yaml:"version,omitempty"`
	Name       string      `yaml:"name"`
	Notes      string      `yaml:"notes"`
	Window     span        `yaml:"window"`
	MinReject  span        `yaml:"min_reject"`
	FastReject span        `yaml:"fast_reject"`
	Weights    weightsFile `yaml:"weights"`
}

type weightsFile struct {
	Accepted          decimal `yaml:"accepted"`
	AcceptedModified  decimal `yaml:"accepted_modified"`
	PartiallyAccepted decimal `yaml:"partially_accepted"`
	Rejected          decimal `yaml:"rejected"`
	RejectedFast      decimal `yaml:"rejected_fast"`
	Retention         decimal `yaml:"retention"`
	// RetentionDelays are whole numbers by delay, for example 30s.
	RetentionDelays map[string]whole `yaml:"retention_delays"`
	Kept            decimal          `yaml:"kept"`
	Thumb           decimal          `yaml:"thumb"`
	Rating          decimal          `yaml:"rating"`
	// TaskResults are weights by result, for example tests_passed.
	TaskResults map[string]decimal `yaml:"task_results"`
}

const taskResultPrefix = "TASK_RESULT_"

// writeDefinition writes a definition as a file that readDefinition reads, without the
// version, so that it can be changed and added as the next.
func writeDefinition(out io.Writer, d *flywheelv1.Definition) error {
	w := d.GetWeights()
	file := definitionFile{
		Name: d.GetName(), Notes: d.GetNotes(),
		Window: span(d.GetWindow().AsDuration()), MinReject: span(d.GetMinReject().AsDuration()), FastReject: span(d.GetFastReject().AsDuration()),
		Weights: weightsFile{
			Accepted: decimal(w.GetAccepted()), AcceptedModified: decimal(w.GetAcceptedModified()),
			PartiallyAccepted: decimal(w.GetPartiallyAccepted()),
			Rejected:          decimal(w.GetRejected()), RejectedFast: decimal(w.GetRejectedFast()),
			Retention: decimal(w.GetRetention()), RetentionDelays: map[string]whole{},
			Kept: decimal(w.GetKept()), Thumb: decimal(w.GetThumb()), Rating: decimal(w.GetRating()), TaskResults: map[string]decimal{},
		},
	}
	for _, delay := range w.GetRetentionDelays() {
		file.Weights.RetentionDelays[fmt.Sprintf("%ds", delay.GetDelayS())] = whole(delay.GetWeight())
	}
	for _, result := range w.GetTaskResults() {
		file.Weights.TaskResults[strings.ToLower(strings.TrimPrefix(result.GetResult().String(), taskResultPrefix))] = decimal(result.GetWeight())
	}
	fmt.Fprintf(out, "# Definition %d, stored at %s. Change it and add it as the next version:\n# flywheel definition add FILE\n",
		d.GetVersion(), timeText(d.GetCreatedAt()))
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	return errors.Join(encoder.Encode(file), encoder.Close())
}

// readDefinition reads a file with one definition.
func readDefinition(in io.Reader) (*flywheelv1.Definition, error) {
	decoder := yaml.NewDecoder(in)
	decoder.KnownFields(true)
	var file definitionFile
	if err := decoder.Decode(&file); err != nil {
		return nil, fileError(err)
	}
	if err := decoder.Decode(new(definitionFile)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document: a file holds one definition")
	}
	weights, err := file.Weights.proto()
	if err != nil {
		return nil, err
	}
	return &flywheelv1.Definition{
		Version: uint32(file.Version), Name: file.Name, Notes: file.Notes,
		Window: durationpb.New(time.Duration(file.Window)), MinReject: durationpb.New(time.Duration(file.MinReject)),
		FastReject: durationpb.New(time.Duration(file.FastReject)), Weights: weights,
	}, nil
}

// fileError says what is wrong with a file without the names of Go types.
func fileError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	}
	text := regexp.MustCompile(`field (\S+) not found in type \S+`).ReplaceAllString(err.Error(), `there is no field "$1"`)
	return errors.New(text)
}

func (f weightsFile) proto() (*flywheelv1.RewardWeights, error) {
	w := &flywheelv1.RewardWeights{
		Accepted: int32(f.Accepted), AcceptedModified: int32(f.AcceptedModified), PartiallyAccepted: int32(f.PartiallyAccepted),
		Rejected: int32(f.Rejected), RejectedFast: int32(f.RejectedFast),
		Retention: int32(f.Retention), Kept: int32(f.Kept), Thumb: int32(f.Thumb), Rating: int32(f.Rating),
	}
	for _, name := range slices.Sorted(maps.Keys(f.RetentionDelays)) {
		delay, err := time.ParseDuration(name)
		if err != nil || delay%time.Second != 0 || delay < 0 || delay > time.Hour {
			return nil, fmt.Errorf("retention_delays: there is no delay %q: they are 0s, 5s, 30s, 120s, 300s, 600s, 900s", name)
		}
		w.RetentionDelays = append(w.RetentionDelays, &flywheelv1.RetentionDelayWeight{
			DelayS: uint32(delay / time.Second), Weight: uint32(f.RetentionDelays[name]),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(f.TaskResults)) {
		result := flywheelv1.TaskResult_value[taskResultPrefix+strings.ToUpper(name)]
		if result == 0 {
			return nil, fmt.Errorf("task_results: there is no result %q", name)
		}
		w.TaskResults = append(w.TaskResults, &flywheelv1.TaskResultWeight{
			Result: flywheelv1.TaskResult(result), Weight: int32(f.TaskResults[name]),
		})
	}
	return w, nil
}

// span is a duration with its unit, for example 1h or 300ms.
type span time.Duration

// UnmarshalYAML parses a duration.
func (s *span) UnmarshalYAML(node *yaml.Node) error {
	d, err := time.ParseDuration(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is no duration: a number with a unit is needed, for example 1h or 300ms", node.Line, node.Value)
	}
	*s = span(d)
	return nil
}

// MarshalYAML writes it as short as possible.
//
//nolint:unparam // it is a yaml.Marshaler
func (s span) MarshalYAML() (any, error) { return spanText(time.Duration(s)), nil }

func spanText(d time.Duration) string {
	text := d.String()
	if d != 0 && d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d != 0 && d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// whole is a number without decimals.
type whole uint32

// UnmarshalYAML parses a number.
func (n *whole) UnmarshalYAML(node *yaml.Node) error {
	v, err := strconv.ParseUint(node.Value, 10, 32)
	if err != nil {
		return fmt.Errorf("line %d: %q is no whole number from 0", node.Line, node.Value)
	}
	*n = whole(v)
	return nil
}

// decimal is a number from -1 to 1 in whole 1/10000.
type decimal int32

// UnmarshalYAML parses a number. It refuses what it cannot store exactly.
func (d *decimal) UnmarshalYAML(node *yaml.Node) error {
	v, err := strconv.ParseFloat(node.Value, 64)
	if err != nil || !(math.Abs(v) <= 1) {
		return fmt.Errorf("line %d: %q is no weight: a number from -1 to 1 is needed", node.Line, node.Value)
	}
	scaled := math.Round(v * 10_000)
	if scaled/10_000 != v {
		return fmt.Errorf("line %d: %s has more than four decimals: weights are stored as whole 1/10000, so that rewards are the same on every machine; write %v",
			node.Line, node.Value, scaled/10_000)
	}
	*d = decimal(scaled)
	return nil
}

// MarshalYAML writes it as a number.
//
//nolint:unparam // it is a yaml.Marshaler
func (d decimal) MarshalYAML() (any, error) { return float64(d) / 10_000, nil }
