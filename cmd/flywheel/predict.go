package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/replay"
	"github.com/yirifi/flywheel/replay/predict"
	"github.com/yirifi/flywheel/trainset/rows"
)

// learnt is the split that candidates learn: never one that they are judged by.
const learnt = "train"

// candidateSettings say which model is compared with which in a replay.
type candidateSettings struct {
	Candidate     string `placeholder:"NAME" help:"Compare a model of this name: the n-gram that has also read the split train of --candidate-data. Users are dealt to it and to --baseline."`
	CandidateData string `type:"existingdir" placeholder:"DIR" help:"Training set that the candidate learns: a folder that 'flywheel export --format supervised' wrote."`
	Baseline      string `default:"ngram-6@1" enum:"frequency@1,ngram-6@1" help:"Model that the candidate is compared with (${enum})."`
}

func (s candidateSettings) apply(cfg *replay.Config) (err error) {
	if (s.Candidate == "") != (s.CandidateData == "") {
		return errors.New("--candidate and --candidate-data: both are needed, or neither")
	}
	if s.Candidate == "" {
		return nil
	}
	cfg.Candidate, cfg.Baseline = s.Candidate, s.Baseline
	cfg.Lessons, err = lessons(s.CandidateData)
	return err
}

// lessons reads what a candidate learns. Of a suggestion that was taken in part the line
// goes on in a way that the row does not hold.
func lessons(folder string) ([]predict.Lesson, error) {
	set, err := rows.Open(folder, flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED)
	if err != nil {
		return nil, err
	}
	var course predict.Course
	for row, err := range set.Rows(learnt) {
		if err != nil {
			return nil, err
		}
		if row.Outcome != "partially_accepted" {
			course.Add(row.Prompt, row.Completion)
		}
	}
	return course.Lessons, nil
}

type predictCmd struct {
	TrainingSet   string `required:"" type:"existingdir" placeholder:"DIR" help:"Folder of a training set that 'flywheel export --format supervised' wrote."`
	Split         string `default:"test" help:"Split whose prompts are continued."`
	Model         string `required:"" help:"Model that predicts: frequency@1, ngram-6@1, or the name of a candidate."`
	CandidateData string `type:"existingdir" placeholder:"DIR" help:"Training set that a candidate has learnt. Unset: --training-set."`
	Source        string `type:"existingdir" placeholder:"DIR" help:"--source of the replay. Unset: the Go tree in GOROOT."`
	Seed          uint64 `default:"1" help:"--seed of the replay: with --source it decides what text the models are trained on."`
	Out           string `required:"" type:"path" placeholder:"FILE" help:"Write the predictions as JSON lines: interaction_id, prediction."`
}

// Run writes one line per row of the split.
func (c *predictCmd) Run(ctx context.Context, env environment) (err error) {
	set, err := rows.Open(c.TrainingSet, flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED)
	if err != nil {
		return err
	}
	model, err := c.train(ctx)
	if err != nil {
		return err
	}
	file, err := os.Create(c.Out)
	if err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	n, err := c.predict(ctx, set, model, file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "%s predicted %d rows of the split %s: %s\n", model.Name(), n, c.Split, c.Out)
	return err
}

// train trains the model as the replay did.
func (c *predictCmd) train(ctx context.Context) (predict.Model, error) {
	cfg := replay.DefaultConfig()
	cfg.Source, cfg.Seed = c.Source, c.Seed
	if !slices.Contains(replay.Baselines(), c.Model) {
		folder := c.CandidateData
		if folder == "" {
			folder = c.TrainingSet
		}
		var err error
		if cfg.Lessons, err = lessons(folder); err != nil {
			return nil, err
		}
	}
	return replay.Train(ctx, cfg, c.Model)
}

func (c *predictCmd) predict(ctx context.Context, set *rows.Set, model predict.Model, w io.Writer) (n int, err error) {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	for row, err := range set.Rows(c.Split) {
		if err = errors.Join(err, interrupted(ctx, ctx.Err())); err != nil {
			return n, err
		}
		err = encoder.Encode(struct {
			InteractionID string `json:"interaction_id"`
			Prediction    string `json:"prediction"`
		}{row.InteractionID, continuation(model, row.Prompt)})
		if err != nil {
			return n, fmt.Errorf("write prediction: %w", err)
		}
		n++
	}
	return n, out.Flush()
}

// continuation is what a model suggests after a prompt, whose lines are all that it knows
// of the document.
func continuation(model predict.Model, prompt string) string {
	lines := strings.Split(prompt, "\n")
	before, prefix := lines[:len(lines)-1], lines[len(lines)-1]
	predictor := model.Predictor()
	for i, line := range before {
		predictor.Learn(before[:i], line)
	}
	for _, best := range predictor.Suggest(before, prefix, 1) {
		return best.Text
	}
	return ""
}
