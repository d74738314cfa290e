package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/trainset"
	"github.com/yirifi/flywheel/trainset/evaluation"
	"github.com/yirifi/flywheel/trainset/files"
)

type evalCmd struct {
	feedbackSettings
	TrainingSet string `required:"" placeholder:"DIR|ID" help:"Training set of format supervised or next_edit: a folder that holds its manifest.json, or its id."`
	Predictions string `required:"" type:"path" placeholder:"FILE" help:"What the model predicts, as JSON lines: interaction_id, prediction."`
	Model       string `required:"" placeholder:"NAME" help:"The model, which is registered."`
	Split       string `default:"test" help:"Part of the training set that was held out."`
	Format      string `enum:"table,json" default:"table" help:"Form of the output (${enum})."`
	DryRun      bool   `help:"Compare only, and store nothing."`
}

// Run compares predictions with a split, stores the result and shows it.
func (c *evalCmd) Run(ctx context.Context, env environment) error {
	found, err := c.evaluate(ctx, env)
	if err != nil {
		return interrupted(ctx, errors.Join(err, ctx.Err()))
	}
	var unstored error
	if !c.DryRun {
		resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.RecordEvaluationResponse, error) {
			return flywheelv1.NewModelServiceClient(conn).RecordEvaluation(ctx, &flywheelv1.RecordEvaluationRequest{Evaluation: found})
		})
		if unstored = err; err == nil {
			found = resp.GetEvaluation()
		}
	}
	// What was computed is shown even if it could not be stored.
	if c.Format == "json" {
		return errors.Join(writeJSON(env.stdout, found), unstored)
	}
	return errors.Join(writeScores(env.stdout, found), unstored)
}

// evaluate compares predictions with a split.
func (c *evalCmd) evaluate(ctx context.Context, env environment) (_ *flywheelv1.Evaluation, err error) {
	predictions, err := c.readPredictions()
	if err != nil {
		return nil, err
	}
	folder := c.TrainingSet
	if _, err := os.Stat(filepath.Join(folder, files.ManifestFile)); err != nil {
		if _, err := uuid.Parse(c.TrainingSet); err != nil {
			return nil, usageError{fmt.Errorf("--training-set %q: neither a folder with a %s nor the id of a training set", c.TrainingSet, files.ManifestFile)}
		}
		if folder, err = os.MkdirTemp("", "flywheel-eval-"); err != nil {
			return nil, fmt.Errorf("make folder for the training set: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		if err := c.download(ctx, env, folder); err != nil {
			return nil, err
		}
	}
	set, err := evaluation.Open(folder)
	if err != nil {
		return nil, err
	}
	found, err := evaluation.Evaluate(ctx, set, c.Split, predictions)
	if err != nil {
		return nil, fmt.Errorf("evaluate with %s: %w", c.TrainingSet, err)
	}
	found.Model, found.TrainingSetId = c.Model, set.ID()
	return found, nil
}

func (c *evalCmd) readPredictions() (evaluation.Predictions, error) {
	file, err := os.Open(c.Predictions)
	if err != nil {
		return nil, fmt.Errorf("open predictions: %w", err)
	}
	defer func() { _ = file.Close() }()
	predictions, err := evaluation.ReadPredictions(file)
	if err != nil {
		return nil, fmt.Errorf("read predictions of %s: %w", c.Predictions, err)
	}
	return predictions, nil
}

// download reads the training set from the service.
func (c *evalCmd) download(ctx context.Context, env environment, folder string) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	sink, err := files.NewFolder(folder)
	if err != nil {
		return err
	}
	d := trainset.Download{TrainingSetID: c.TrainingSet, Encoding: flywheelv1.FileEncoding_FILE_ENCODING_JSONL_ZSTD.String()}
	shown := newProgress(env.stderr, "rows read", env.log)
	err = d.Run(metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, c.Tenant), flywheelv1.NewTrainingSetServiceClient(conn), sink,
		func(done, total uint64) { shown.set(int(done), int(total)) })
	if _, remote := status.FromError(err); remote {
		err = askError(c.feedbackSettings, err)
	}
	return errors.Join(err, shown.finish())
}
