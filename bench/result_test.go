package main

import "testing"

func TestRatioComparesRunsWithRuns(t *testing.T) {
	t.Parallel()
	r := &Result{Systems: []Measured{
		{Name: upName, EventsPerSecond: spread([]float64{300, 100, 400})},
		{Name: peerName, EventsPerSecond: spread([]float64{100, 50, 80})},
	}}
	ratio := r.Ratio(upName, peerName)
	if ratio.Min != 2 || ratio.Median != 3 || ratio.Max != 5 {
		t.Errorf("ratio %+v, want 2, 3 and 5", ratio)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median %v, want 2.5", got)
	}
	if r.System(splitName) != nil {
		t.Error("a system that was not measured is there")
	}
}

func TestExportResponse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		wire     string
		accepted bool
	}{
		"empty":                 {"", true},
		"partial success, none": {"\x0a\x00", true},
		"records refused":       {"\x0a\x02\x08\x03", false},
		"cut off":               {"\x0a\x05", false},
		"another message":       {"\x10\x01", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := (&exportResponse{[]byte(test.wire)}).accepted(); (err == nil) != test.accepted {
				t.Errorf("accepted() = %v", err)
			}
		})
	}
}
