package main

import (
	"context"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

type modelCmd struct {
	Create  modelCreateCmd  `cmd:"" help:"Register a model."`
	List    modelListCmd    `cmd:"" help:"List the models that are registered."`
	Show    modelShowCmd    `cmd:"" help:"Show a model and its newest evaluations."`
	Set     modelSetCmd     `cmd:"" help:"Change what is said about a model."`
	Lineage modelLineageCmd `cmd:"" help:"Show a model, its parent and so on up to the first, with their training sets."`
}

// modelSettings are what all commands about models have in common.
type modelSettings struct {
	feedbackSettings
	Format string `enum:"table,json" default:"table" help:"Form of the output (${enum})."`
}

// write writes models as a table, or the whole answer as JSON.
func (s modelSettings) write(w io.Writer, answer proto.Message, models ...*flywheelv1.Model) error {
	if s.Format == "json" {
		return writeJSON(w, answer)
	}
	var rows [][]string
	for _, m := range models {
		rows = append(rows, []string{
			m.GetModel(), stageName(m.GetStage()), m.GetParent(), m.GetTrainingSetId(), count(m.GetRevision()), timeText(m.GetUpdatedAt()), m.GetNotes(),
		})
	}
	return writeTable(w, []string{"MODEL", "STAGE", "PARENT", "TRAINING_SET", "REVISION", "UPDATED", "NOTES"}, rows)
}

type modelCreateCmd struct {
	Model string `arg:"" help:"The model's name, as in its events."`
	modelSettings
	Parent      string     `placeholder:"MODEL" help:"Registered model that it was made from."`
	TrainingSet string     `placeholder:"ID" help:"Training set that it was trained with."`
	Stage       modelStage `default:"offline" help:"How far it is: ${stages}."`
	Notes       string     `help:"What people should know about it."`
}

// Run registers a model.
func (c *modelCreateCmd) Run(ctx context.Context, env environment) error {
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.CreateModelResponse, error) {
		return flywheelv1.NewModelServiceClient(conn).CreateModel(ctx, &flywheelv1.CreateModelRequest{
			Model: c.Model, Parent: c.Parent, TrainingSetId: c.TrainingSet, Stage: flywheelv1.ModelStage(c.Stage), Notes: c.Notes,
		})
	})
	if err != nil {
		return err
	}
	return c.write(env.stdout, resp, resp.GetModel())
}

type modelListCmd struct {
	modelSettings
	Stage       []modelStage `placeholder:"STAGE" help:"Only models at these stages, comma separated: ${stages}."`
	Parent      *string      `placeholder:"MODEL" help:"Only models made from this one; empty for those made from none."`
	TrainingSet *string      `placeholder:"ID" help:"Only models trained with this set; empty for those of which it is not known."`
}

// Run lists all models that fit.
func (c *modelListCmd) Run(ctx context.Context, env environment) error {
	all, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.ListModelsResponse, error) {
		all := new(flywheelv1.ListModelsResponse)
		req := &flywheelv1.ListModelsRequest{Stages: stages(c.Stage), Parent: c.Parent, TrainingSetId: c.TrainingSet, PageSize: 1000}
		for {
			page, err := flywheelv1.NewModelServiceClient(conn).ListModels(ctx, req)
			if err != nil {
				return nil, err
			}
			all.Models = append(all.Models, page.GetModels()...)
			if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
				return all, nil
			}
		}
	})
	if err != nil {
		return err
	}
	return c.write(env.stdout, all, all.GetModels()...)
}

type modelShowCmd struct {
	Model string `arg:"" help:"The model's name."`
	modelSettings
}

// Run shows a model and its newest evaluations.
func (c *modelShowCmd) Run(ctx context.Context, env environment) error {
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.GetModelResponse, error) {
		return flywheelv1.NewModelServiceClient(conn).GetModel(ctx, &flywheelv1.GetModelRequest{Model: c.Model})
	})
	if err != nil {
		return err
	}
	if err := c.write(env.stdout, resp, resp.GetModel()); err != nil || c.Format == "json" || len(resp.GetEvaluations()) == 0 {
		return err
	}
	fmt.Fprintln(env.stdout)
	return writeEvaluations(env.stdout, resp.GetEvaluations())
}

type modelSetCmd struct {
	Model string `arg:"" help:"The model's name."`
	modelSettings
	Stage       *modelStage `placeholder:"STAGE" help:"How far it is: ${stages}."`
	Parent      *string     `placeholder:"MODEL" help:"Registered model that it was made from; empty for none."`
	TrainingSet *string     `placeholder:"ID" help:"Training set that it was trained with."`
	Notes       *string     `placeholder:"TEXT" help:"What people should know about it."`
	Revision    uint64      `placeholder:"N" help:"Change it only if it still has this revision."`
}

// Run changes a model.
func (c *modelSetCmd) Run(ctx context.Context, env environment) error {
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.UpdateModelResponse, error) {
		return flywheelv1.NewModelServiceClient(conn).UpdateModel(ctx, &flywheelv1.UpdateModelRequest{
			Model: c.Model, Revision: c.Revision,
			Stage: (*flywheelv1.ModelStage)(c.Stage), Parent: c.Parent, TrainingSetId: c.TrainingSet, Notes: c.Notes,
		})
	})
	if err != nil {
		return err
	}
	return c.write(env.stdout, resp, resp.GetModel())
}

type modelLineageCmd struct {
	Model string `arg:"" help:"The model's name."`
	modelSettings
}

// Run shows what a model was made from.
func (c *modelLineageCmd) Run(ctx context.Context, env environment) error {
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.GetModelLineageResponse, error) {
		return flywheelv1.NewModelServiceClient(conn).GetModelLineage(ctx, &flywheelv1.GetModelLineageRequest{Model: c.Model})
	})
	if err != nil {
		return err
	}
	return c.write(env.stdout, resp, resp.GetModels()...)
}
