package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/yirifi/flywheel/replay/predict"
)

const (
	// order is the n-gram models'.
	order = 6
	// experiment and candidateExperiment name what users are dealt to models for.
	experiment          = "replay"
	candidateExperiment = "replay-candidate"
)

// Names of the models that need no training set.
const (
	Frequency = "frequency@1"
	NGram     = "ngram-6@1"
)

// Baselines returns the names of the models that need no training set.
func Baselines() []string { return []string{Frequency, NGram} }

// arm is what a user was dealt in an experiment.
type arm struct{ experiment, variant string }

// arm returns that of a model. Without a candidate the variant is the model without its
// version; with one it is the whole name, because versions are what is compared.
func (c Config) arm(m predict.Model) arm {
	if c.Candidate != "" {
		return arm{candidateExperiment, m.Name()}
	}
	name, _, _ := strings.Cut(m.Name(), "@")
	return arm{experiment, name}
}

// Train trains the model of the given name as a replay with the same settings would.
// A name that is not among [Baselines] is that of a candidate, which needs lessons.
func Train(ctx context.Context, cfg Config, name string) (predict.Model, error) {
	tree, err := openTree(ctx, cfg)
	if err != nil {
		return nil, err
	}
	corpus, err := tree.corpus(ctx, cfg.TrainBytes)
	if err != nil {
		return nil, err
	}
	if slices.Contains(Baselines(), name) {
		return baseline(name, corpus), nil
	}
	if len(cfg.Lessons) == 0 {
		return nil, fmt.Errorf("model %q: it is none of %s, and there is nothing for a candidate to learn", name, strings.Join(Baselines(), ", "))
	}
	return candidate(name, corpus, cfg.Lessons), nil
}

// models trains the models of a replay.
func (c Config) models(corpus predict.Corpus) []predict.Model {
	if c.Candidate == "" {
		return []predict.Model{baseline(Frequency, corpus), baseline(NGram, corpus)}
	}
	return []predict.Model{baseline(c.Baseline, corpus), candidate(c.Candidate, corpus, c.Lessons)}
}

func baseline(name string, corpus predict.Corpus) predict.Model {
	if name == Frequency {
		return predict.NewFrequency(corpus)
	}
	return predict.NewNGram(order, corpus)
}

func candidate(name string, corpus predict.Corpus, lessons []predict.Lesson) predict.Model {
	return predict.NewTaughtNGram(name, order, corpus, lessons)
}

func (c Config) validateCandidate() error {
	switch {
	case c.Candidate == "" && c.Baseline == "" && len(c.Lessons) == 0:
		return nil
	case c.Candidate == "":
		return errors.New("candidate: it needs a name")
	case slices.Contains(Baselines(), c.Candidate):
		return fmt.Errorf("candidate %s: that is a model without a training set; give it another name or version", c.Candidate)
	case !slices.Contains(Baselines(), c.Baseline):
		return fmt.Errorf("baseline %q: one of %s is needed", c.Baseline, strings.Join(Baselines(), ", "))
	case len(c.Lessons) == 0:
		return fmt.Errorf("candidate %s: there is nothing for it to learn", c.Candidate)
	}
	return nil
}
