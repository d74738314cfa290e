package replay

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// versions returns what a file was before each of its last changes, oldest first,
// and last what it is: from git with a history, else the file alone. It returns
// nothing for a file that no person typed.
func (t *tree) versions(ctx context.Context, path string, history int) ([][]string, error) {
	if history == 0 {
		lines, err := t.read(path)
		if err != nil || lines == nil {
			return nil, err
		}
		return [][]string{lines}, nil
	}
	path = "./" + filepath.ToSlash(path)
	out, err := t.git(ctx, "log", "--max-count="+strconv.Itoa(history+1), "--format=%H", "--diff-filter=AM", "--", path)
	if err != nil {
		return nil, err
	}
	commits := strings.Fields(string(out))
	slices.Reverse(commits)
	var versions [][]string
	for _, commit := range commits {
		data, err := t.git(ctx, "cat-file", "blob", commit+":"+path)
		if err != nil {
			return nil, err
		}
		if lines := linesOf(data); lines != nil {
			versions = append(versions, lines)
		}
	}
	return versions, nil
}

func (t *tree) git(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = t.root
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read history: git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return out, nil
}

// hunk is one difference between two versions: removed lines at line at of the
// older one give way to added.
type hunk struct {
	at, removed int
	added       []string
}

// maxCells bounds the work of comparing two versions; what differs more is taken as
// one difference.
const maxCells = 4 << 20

// hunks returns the differences between two versions from the top to the bottom, by
// a longest common subsequence of lines.
func hunks(before, after []string) []hunk {
	top := 0
	for top < len(before) && top < len(after) && before[top] == after[top] {
		top++
	}
	bottom := 0
	for bottom < len(before)-top && bottom < len(after)-top &&
		before[len(before)-1-bottom] == after[len(after)-1-bottom] {
		bottom++
	}
	from, to := before[top:len(before)-bottom], after[top:len(after)-bottom]
	if len(from) == 0 && len(to) == 0 {
		return nil
	}
	if len(from)*len(to) > maxCells {
		return []hunk{{at: top, removed: len(from), added: to}}
	}
	return trace(from, to, commonLengths(from, to), top)
}

// commonLengths[i][j] is the length of the longest common subsequence of from[i:]
// and to[j:].
func commonLengths(from, to []string) [][]int32 {
	lengths := make([][]int32, len(from)+1)
	for i := range lengths {
		lengths[i] = make([]int32, len(to)+1)
	}
	for i, line := range slices.Backward(from) {
		for j, other := range slices.Backward(to) {
			if line == other {
				lengths[i][j] = lengths[i+1][j+1] + 1
			} else {
				lengths[i][j] = max(lengths[i+1][j], lengths[i][j+1])
			}
		}
	}
	return lengths
}

func trace(from, to []string, lengths [][]int32, top int) []hunk {
	var found []hunk
	for i, j := 0, 0; i < len(from) || j < len(to); {
		h := hunk{at: top + i}
		first := j
		for i < len(from) || j < len(to) {
			if i < len(from) && j < len(to) && from[i] == to[j] {
				break
			}
			if j == len(to) || i < len(from) && lengths[i+1][j] >= lengths[i][j+1] {
				i++
				h.removed++
			} else {
				j++
			}
		}
		h.added = to[first:j]
		if h.removed > 0 || len(h.added) > 0 {
			found = append(found, h)
		}
		for i < len(from) && j < len(to) && from[i] == to[j] {
			i, j = i+1, j+1
		}
	}
	return found
}
