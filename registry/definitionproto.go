package registry

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
)

// definitionProto returns a definition as the contract has it.
func definitionProto(d signal.Definition) *flywheelv1.Definition {
	w := d.Weights
	weights := &flywheelv1.RewardWeights{
		Accepted: w.Accepted, AcceptedModified: w.AcceptedModified, PartiallyAccepted: w.PartiallyAccepted,
		Rejected: w.Rejected, RejectedFast: w.RejectedFast,
		Retention: w.Retention, Kept: w.Kept, Thumb: w.Thumb, Rating: w.Rating,
	}
	for i, delay := range warehouse.RetentionDelays() {
		weights.RetentionDelays = append(weights.RetentionDelays, &flywheelv1.RetentionDelayWeight{DelayS: delay, Weight: w.Delays[i]})
	}
	for i, weight := range w.TaskResults {
		weights.TaskResults = append(weights.TaskResults, &flywheelv1.TaskResultWeight{Result: flywheelv1.TaskResult(i + 1), Weight: weight})
	}
	return &flywheelv1.Definition{
		Version: d.Version, Name: d.Name, Notes: d.Notes, CreatedAt: timestamppb.New(d.CreatedAt),
		Window: durationpb.New(d.Window), MinReject: durationpb.New(d.MinReject), FastReject: durationpb.New(d.FastReject),
		Weights: weights,
	}
}

// newDefinition returns the definition that a request describes, and what is wrong
// with it.
func newDefinition(p *flywheelv1.Definition) (signal.Definition, rpc.Violations) {
	var wrong rpc.Violations
	if p.GetVersion() > maxVersion {
		wrong.Add("definition.version", "%d: up to %d is possible", p.GetVersion(), maxVersion)
	}
	checkLength(&wrong, "definition.name", p.GetName(), maxDefinitionNameBytes)
	checkLength(&wrong, "definition.notes", p.GetNotes(), maxNotesBytes)
	d := signal.Definition{
		Version:    p.GetVersion(),
		Name:       p.GetName(),
		Notes:      p.GetNotes(),
		Window:     duration(&wrong, "definition.window", p.GetWindow()),
		MinReject:  duration(&wrong, "definition.min_reject", p.GetMinReject()),
		FastReject: duration(&wrong, "definition.fast_reject", p.GetFastReject()),
		Weights:    newWeights(&wrong, p.GetWeights()),
	}
	if len(wrong) > 0 {
		return d, wrong
	}
	numbered := d
	numbered.Version = max(d.Version, 1)
	for _, err := range eachError(numbered.Validate()) {
		wrong.Add("definition", "%s", err)
	}
	return d, wrong
}

// duration returns a duration, which is stored in microseconds.
func duration(wrong *rpc.Violations, field string, d *durationpb.Duration) time.Duration {
	if d != nil && !d.IsValid() || d.AsDuration()%time.Microsecond != 0 {
		wrong.Add(field, "whole microseconds are needed")
	}
	return d.AsDuration()
}

func newWeights(wrong *rpc.Violations, p *flywheelv1.RewardWeights) signal.Weights {
	if p == nil {
		wrong.Add("definition.weights", "missing: without weights every reward is 0")
	}
	w := signal.Weights{
		Accepted: p.GetAccepted(), AcceptedModified: p.GetAcceptedModified(), PartiallyAccepted: p.GetPartiallyAccepted(),
		Rejected: p.GetRejected(), RejectedFast: p.GetRejectedFast(),
		Retention: p.GetRetention(), Kept: p.GetKept(), Thumb: p.GetThumb(), Rating: p.GetRating(),
	}
	delays := warehouse.RetentionDelays()
	named := map[int]bool{}
	for i, delay := range p.GetRetentionDelays() {
		field := fmt.Sprintf("definition.weights.retention_delays[%d].delay_s", i)
		n := slices.Index(delays[:], delay.GetDelayS())
		if place(wrong, field, delay.GetDelayS(), n, len(delays), named) {
			w.Delays[n] = delay.GetWeight()
		}
	}
	clear(named)
	for i, result := range p.GetTaskResults() {
		field := fmt.Sprintf("definition.weights.task_results[%d].result", i)
		n := int(result.GetResult()) - 1
		if place(wrong, field, result.GetResult(), n, len(w.TaskResults), named) {
			w.TaskResults[n] = result.GetWeight()
		}
	}
	return w
}

// place reports whether element n of an array of a length is there and not yet named.
func place(wrong *rpc.Violations, field string, value any, n, length int, named map[int]bool) bool {
	switch {
	case n < 0 || n >= length:
		wrong.Add(field, "there is no %v", value)
		return false
	case named[n]:
		wrong.Add(field, "%v is there twice", value)
		return false
	}
	named[n] = true
	return true
}

// eachError returns the errors that one error was joined from.
func eachError(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
