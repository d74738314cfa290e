package replay

import (
	"slices"
	"strings"
	"testing"

	"github.com/yirifi/flywheel/replay/predict"
)

// withCandidate has a candidate that learnt what no source has.
func withCandidate(t *testing.T) Config {
	t.Helper()
	cfg := small(t)
	cfg.Baseline, cfg.Candidate = NGram, "ngram-6@2"
	cfg.Lessons = []predict.Lesson{{Before: []string{"zyx:"}, Line: "\twvu()"}}
	return cfg
}

func TestUsersAreDealtToBaselineAndCandidate(t *testing.T) {
	t.Parallel()
	tally, events := replayed(t, withCandidate(t))
	var names []string
	for _, m := range tally.Models {
		if names = append(names, m.Model); m.Shown == 0 {
			t.Errorf("%s showed nothing", m.Model)
		}
	}
	if want := []string{NGram, "ngram-6@2"}; !slices.Equal(names, want) {
		t.Errorf("models %v, want %v", names, want)
	}
	users := map[string]string{}
	for _, event := range events {
		dims := event.GetRequested().GetDimensions()
		if dims == nil {
			continue
		}
		if dims.GetExperiment() != candidateExperiment || dims.GetVariant() != dims.GetModel() {
			t.Fatalf("experiment %q, variant %q of %s", dims.GetExperiment(), dims.GetVariant(), dims.GetModel())
		}
		session := string(event.GetSessionId())
		if known := users[session]; known != "" && known != dims.GetVariant() {
			t.Fatalf("a session has %s and %s", known, dims.GetVariant())
		}
		users[session] = dims.GetVariant()
	}
}

func TestOtherLessonsGiveOtherIds(t *testing.T) {
	t.Parallel()
	cfg := withCandidate(t)
	_, events := replayed(t, cfg)
	cfg.Lessons = append(cfg.Lessons, predict.Lesson{Line: "q"})
	_, others := replayed(t, cfg)
	ids := map[string]bool{}
	for _, event := range events {
		ids[string(event.GetEventId())] = true
	}
	for _, event := range others {
		if ids[string(event.GetEventId())] {
			t.Fatal("an event of another candidate has the same id")
		}
	}
}

func TestCandidatesThatAreRefused(t *testing.T) {
	t.Parallel()
	lessons := []predict.Lesson{{Line: "x"}}
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no name", Config{Lessons: lessons}, "name"},
		{"a baseline's name", Config{Candidate: NGram, Baseline: Frequency, Lessons: lessons}, "another name"},
		{"unknown baseline", Config{Candidate: "c", Baseline: "d", Lessons: lessons}, `baseline "d"`},
		{"no lessons", Config{Candidate: "c", Baseline: NGram}, "nothing for it to learn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestTrainGivesTheModelsOfAReplay asks each model for what only the lessons hold.
func TestTrainGivesTheModelsOfAReplay(t *testing.T) {
	t.Parallel()
	cfg := withCandidate(t)
	for _, name := range append(Baselines(), cfg.Candidate) {
		m, err := Train(t.Context(), cfg, name)
		if err != nil || m.Name() != name {
			t.Fatalf("train %s: %v, %v", name, m, err)
		}
		found := m.Predictor().Suggest([]string{"zyx:"}, "", 1)
		if learnt := len(found) > 0 && found[0].Text == "\twvu()"; learnt != (name == cfg.Candidate) {
			t.Errorf("%s suggests %+v", name, found)
		}
	}
	cfg.Lessons = nil
	if _, err := Train(t.Context(), cfg, "stranger"); err == nil {
		t.Error("a model without lessons that is no baseline was trained")
	}
}
