package replay

import (
	"slices"
	"strings"
	"testing"
)

func TestHunksMakeTheNewVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, before, after string
		want                int
	}{
		{"equal", "a b c", "a b c", 0},
		{"from nothing", "", "a b", 1},
		{"to nothing", "a b", "", 1},
		{"replaced", "a b c", "a x c", 1},
		{"two places", "a b c d e", "a x c d y e", 2},
		{"moved", "a b c", "c a b", 2},
		{"all different", "a b", "x y z", 1},
		{"repeated lines", "a a b a", "a b a a", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before, after := strings.Fields(c.before), strings.Fields(c.after)
			found := hunks(before, after)
			if len(found) != c.want {
				t.Errorf("%d hunks, want %d: %+v", len(found), c.want, found)
			}
			var got []string
			next := 0
			for _, h := range found {
				got = append(got, before[next:h.at]...)
				got = append(got, h.added...)
				next = h.at + h.removed
			}
			got = append(got, before[next:]...)
			if !slices.Equal(got, after) {
				t.Errorf("hunks make %v, want %v", got, after)
			}
		})
	}
}
