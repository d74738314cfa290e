package flywheel_test

import (
	"testing"
	"time"

	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// TestEmitAllocates checks a ceiling, so that the number does not creep up. It is 2 to
// 3 now; under the race detector pools lose some of what they hold.
func TestEmitAllocates(t *testing.T) {
	client := dial(t, newFake(t, nil), flywheel.WithBatch(10_000, 4<<20, time.Hour), flywheel.WithContent(flywheel.ConsentTraining))
	s := client.Session(flywheel.SessionInfo{Client: "test"})
	i := s.Opportunity(flywheel.Dimensions{Model: "m"}).Suggest(flywheel.Suggestion{Output: "text"})
	for name, test := range map[string]struct {
		ceiling float64
		emit    func()
	}{
		"edit":     {6, func() { s.Edit(flywheel.Edit{Document: "d", Text: "text"}) }},
		"shown":    {6, func() { i.Shown(flywheel.Shown{}) }},
		"accepted": {6, func() { i.Accepted() }},
	} {
		if got := testing.AllocsPerRun(1000, test.emit); got > test.ceiling {
			t.Errorf("%s: %v allocations, want at most %v", name, got, test.ceiling)
		}
	}
}
