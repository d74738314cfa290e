package replay

import (
	"fmt"
	"slices"
	"testing"
)

func TestPartsAreDisjointAndComplete(t *testing.T) {
	t.Parallel()
	cfg := Config{Source: goSource(t, "strings"), Seed: 3}
	whole := open(t, cfg)
	for _, of := range []int{1, 2, 3} {
		var retyped []string
		for number := 1; number <= of; number++ {
			cfg.Part = Part{Number: number, Of: of}
			part := open(t, cfg)
			if !slices.Equal(part.training, whole.training) {
				t.Errorf("part %s has other training files", cfg.Part)
			}
			retyped = append(retyped, part.retyped...)
		}
		want := slices.Sorted(slices.Values(whole.retyped))
		if slices.Sort(retyped); !slices.Equal(retyped, want) {
			t.Errorf("%d parts hold %v, want each of %v once", of, retyped, want)
		}
	}
}

func TestPartText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Part{"": {}, "1/2": {1, 2}, "3/3": {3, 3}} {
		var part Part
		if err := part.UnmarshalText([]byte(text)); err != nil || part != want || part.String() != text {
			t.Errorf("part %q = %+v, %v", text, part, err)
		}
	}
	for _, text := range []string{"1", "0/2", "3/2", "a/b", "1/2/3", "-1/-2", "0/0"} {
		var part Part
		if err := part.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("part %q = %+v, want an error", text, part)
		}
	}
	cfg := DefaultConfig()
	cfg.Target, cfg.Part = "x", Part{Number: 2, Of: 1}
	if err := cfg.Validate(); err == nil {
		t.Error(fmt.Sprint("settings with ", cfg.Part, " are valid"))
	}
}
