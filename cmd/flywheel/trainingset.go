package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// trainingFormat is a format as users write it, for example "supervised".
type trainingFormat flywheelv1.TrainingFormat

// UnmarshalText parses a format.
func (f *trainingFormat) UnmarshalText(text []byte) error {
	value, known := flywheelv1.TrainingFormat_value["TRAINING_FORMAT_"+strings.ToUpper(strings.ReplaceAll(string(text), "-", "_"))]
	if !known || value == 0 {
		return fmt.Errorf("unknown format %q: one of %s", text, strings.Join(trainingFormatNames(), ", "))
	}
	*f = trainingFormat(value)
	return nil
}

// trainingFormatNames lists the formats in their order.
func trainingFormatNames() []string {
	var names []string
	for i := range len(flywheelv1.TrainingFormat_name) - 1 {
		names = append(names, trainingFormatName(flywheelv1.TrainingFormat(i+1)))
	}
	return names
}

func trainingFormatName(f flywheelv1.TrainingFormat) string {
	return strings.ToLower(strings.TrimPrefix(f.String(), "TRAINING_FORMAT_"))
}

// outcomeFlag is a label as users write it, for example "accepted".
type outcomeFlag flywheelv1.Outcome

// undecided is the label of what nothing is known about.
const undecided = "undecided"

// UnmarshalText parses a label.
func (o *outcomeFlag) UnmarshalText(text []byte) error {
	if string(text) == undecided {
		*o = outcomeFlag(flywheelv1.Outcome_OUTCOME_UNSPECIFIED)
		return nil
	}
	value, known := flywheelv1.Outcome_value["OUTCOME_"+strings.ToUpper(string(text))]
	if !known || value == 0 {
		return fmt.Errorf("unknown label %q: one of %s", text, strings.Join(outcomeNames(), ", "))
	}
	*o = outcomeFlag(value)
	return nil
}

func outcomeNames() []string {
	names := []string{undecided}
	for _, value := range slices.Sorted(maps.Keys(flywheelv1.Outcome_name))[1:] {
		names = append(names, strings.ToLower(strings.TrimPrefix(flywheelv1.Outcome_name[value], "OUTCOME_")))
	}
	return names
}

func trainingSetState(s flywheelv1.TrainingSetState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "TRAINING_SET_STATE_"))
}

type trainingSetCmd struct {
	List   trainingSetListCmd   `cmd:"" help:"List training sets, the newest first."`
	Show   trainingSetShowCmd   `cmd:"" help:"Show a training set: what was asked for, its rows by split and label, what was left out."`
	Cancel trainingSetCancelCmd `cmd:"" help:"Stop one that is being made."`
	Delete trainingSetDeleteCmd `cmd:"" help:"Delete the rows of a training set. What it was remains listed."`
}

// trainingSetSettings are what all commands about training sets have in common.
type trainingSetSettings struct {
	feedbackSettings
	Output string `enum:"table,json" default:"table" help:"Form of the output (${enum})."`
}

// show writes one training set, or the whole answer as JSON.
func (s trainingSetSettings) show(w io.Writer, answer proto.Message, set *flywheelv1.TrainingSet) error {
	if s.Output == "json" {
		return writeJSON(w, answer)
	}
	return writeTrainingSet(w, set)
}

// writeTrainingSet writes what a training set is.
func writeTrainingSet(w io.Writer, set *flywheelv1.TrainingSet) error {
	if err := writeTrainingSets(w, set); err != nil {
		return err
	}
	if set.GetError() != "" {
		if _, err := fmt.Fprintf(w, "\nError: %s\n", set.GetError()); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, c := range set.GetCounts() {
		rows = append(rows, []string{c.GetSplit(), c.GetLabel(), count(c.GetRows())})
	}
	for _, reason := range slices.Sorted(maps.Keys(set.GetLeftOut())) {
		name := "left out"
		if reason == "redacted" {
			name = "of them"
		}
		rows = append(rows, []string{name, reason, count(set.GetLeftOut()[reason])})
	}
	if len(rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return writeTable(w, []string{"SPLIT", "LABEL", "ROWS"}, rows)
}

// writeTrainingSets writes a line for each training set.
func writeTrainingSets(w io.Writer, sets ...*flywheelv1.TrainingSet) error {
	var rows [][]string
	for _, set := range sets {
		state := trainingSetState(set.GetState())
		if step := set.GetProgress().GetStep(); step != "" {
			state += " (" + step + ")"
		}
		var n uint64
		for _, c := range set.GetCounts() {
			n += c.GetRows()
		}
		req := set.GetRequest()
		rows = append(rows, []string{
			set.GetTrainingSetId(), trainingFormatName(req.GetFormat()), state, count(n), count(uint64(req.GetDefinition())), timeText(req.GetWatermark()), req.GetName(),
		})
	}
	return writeTable(w, []string{"TRAINING_SET", "FORMAT", "STATE", "ROWS", "DEFINITION", "WATERMARK", "NAME"}, rows)
}

type trainingSetListCmd struct{ trainingSetSettings }

// Run lists all training sets.
func (c *trainingSetListCmd) Run(ctx context.Context, env environment) error {
	all, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.ListTrainingSetsResponse, error) {
		all := new(flywheelv1.ListTrainingSetsResponse)
		req := &flywheelv1.ListTrainingSetsRequest{PageSize: 1000}
		for {
			page, err := flywheelv1.NewTrainingSetServiceClient(conn).ListTrainingSets(ctx, req)
			if err != nil {
				return nil, err
			}
			all.TrainingSets = append(all.TrainingSets, page.GetTrainingSets()...)
			if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
				return all, nil
			}
		}
	})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return writeJSON(env.stdout, all)
	}
	return writeTrainingSets(env.stdout, all.GetTrainingSets()...)
}

type trainingSetShowCmd struct {
	ID string `arg:"" help:"The training set's id."`
	trainingSetSettings
}

// Run shows a training set.
func (c *trainingSetShowCmd) Run(ctx context.Context, env environment) error {
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.GetTrainingSetResponse, error) {
		return flywheelv1.NewTrainingSetServiceClient(conn).GetTrainingSet(ctx, &flywheelv1.GetTrainingSetRequest{TrainingSetId: c.ID})
	})
	if err != nil {
		return err
	}
	return c.show(env.stdout, resp, resp.GetTrainingSet())
}

type trainingSetCancelCmd struct {
	ID string `arg:"" help:"The training set's id."`
	trainingSetSettings
}

// Run stops a training set.
func (c *trainingSetCancelCmd) Run(ctx context.Context, env environment) error {
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.CancelTrainingSetResponse, error) {
		return flywheelv1.NewTrainingSetServiceClient(conn).CancelTrainingSet(ctx, &flywheelv1.CancelTrainingSetRequest{TrainingSetId: c.ID})
	})
	if err != nil {
		return err
	}
	return c.show(env.stdout, resp, resp.GetTrainingSet())
}

type trainingSetDeleteCmd struct {
	ID string `arg:"" help:"The training set's id."`
	trainingSetSettings
}

// Run deletes the rows of a training set.
func (c *trainingSetDeleteCmd) Run(ctx context.Context, env environment) error {
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.DeleteTrainingSetResponse, error) {
		return flywheelv1.NewTrainingSetServiceClient(conn).DeleteTrainingSet(ctx, &flywheelv1.DeleteTrainingSetRequest{TrainingSetId: c.ID})
	})
	if err != nil {
		return err
	}
	return c.show(env.stdout, resp, resp.GetTrainingSet())
}
