package evaluation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// Predictions are a model's texts by interaction.
type Predictions map[uuid.UUID]string

// ReadPredictions reads JSON lines, one {"interaction_id": "…", "prediction": "…"} each;
// other fields are not read. All of them are held in memory. Errors name the line.
func ReadPredictions(r io.Reader) (Predictions, error) {
	found := Predictions{}
	lines := map[uuid.UUID]int{}
	in := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, end := in.ReadBytes('\n')
		if end != nil && !errors.Is(end, io.EOF) {
			return nil, fmt.Errorf("line %d: %w", number, end)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			id, text, err := parsePrediction(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			if before, there := lines[id]; there {
				return nil, fmt.Errorf("line %d: interaction %s has a prediction on line %d already: give one of each", number, id, before)
			}
			found[id], lines[id] = text, number
		}
		if errors.Is(end, io.EOF) {
			return found, nil
		}
	}
}

func parsePrediction(line []byte) (id uuid.UUID, text string, err error) {
	var p struct {
		Interaction *string `json:"interaction_id"`
		Prediction  *string `json:"prediction"`
	}
	if err := json.Unmarshal(line, &p); err != nil {
		return id, "", fmt.Errorf(`no JSON object {"interaction_id": "…", "prediction": "…"}: %w`, err)
	}
	switch {
	case p.Interaction == nil:
		return id, "", errors.New("interaction_id is missing")
	case p.Prediction == nil:
		return id, "", errors.New("prediction is missing: leave the whole line out where there is none")
	}
	if id, err = uuid.Parse(*p.Interaction); err != nil {
		return id, "", fmt.Errorf("interaction_id %q: a UUID is needed", *p.Interaction)
	}
	return id, *p.Prediction, nil
}
