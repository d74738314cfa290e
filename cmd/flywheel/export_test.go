package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// filesOf reads the files of an export by their names, but for the note of where to
// continue.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it is being written
		}
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".flywheel-") {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			found[strings.TrimPrefix(path, dir)] = content
		} else if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// ended reports whether a program has ended.
func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// TestExport exports what a replay made in several ways: killed half-way, with the server
// killed half-way, twice at once, into folders that hold something else.
func TestExport(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	succeed(t, u.replayArgs("default", "--interactions", "3000")...)
	out := func(name string) string { return filepath.Join(t.TempDir(), name) }
	export := func(dir string, more ...string) []string {
		return append([]string{"export", "--feedback", u.feedback, "--out", dir, "--log-level", "warn"}, more...)
	}
	supervised := []string{"--format", "supervised", "--include-unsettled", "--validation", "0.2", "--test", "0.2", "--split-by", "session", "--encoding", "jsonl", "--shard-size", "50KiB", "--name", "first"}

	whole := out("whole")
	text := succeed(t, export(whole, append(supervised, "--output", "json")...)...)
	var set struct {
		ID       string `json:"training_set_id"`
		State    string
		Progress struct{ Rows string }
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil || set.State != "TRAINING_SET_STATE_READY" || set.Progress.Rows == "0" {
		t.Fatalf("%v: %s", err, text)
	}
	want := filesOf(t, whole)
	if len(want) < 8 {
		t.Fatalf("%d files: the test shows little", len(want))
	}

	// A process that is killed, as often as it takes a while to write a file.
	killed := out("killed")
	again := export(killed, "--training-set", set.ID, "--encoding", "jsonl", "--shard-size", "50KiB")
	for n := range 5 {
		p := start(t, again...)
		for deadline := time.Now().Add(patience); len(filesOf(t, killed)) <= n && !p.ended(); {
			if time.Now().After(deadline) {
				t.Fatalf("nothing is written\n%s", p.out)
			}
		}
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
	}
	// The server dies and comes back while an export waits for it.
	u.kill(t)
	p := start(t, again...)
	u = startUp(t, u.dir, u.collector, u.feedback)
	if text, err := p.wait(t); err != nil || !strings.Contains(text, set.ID) {
		t.Fatalf("%v: %s", err, text)
	}
	got := filesOf(t, killed)
	for name, content := range want {
		if !bytes.Equal(got[name], content) {
			t.Errorf("%s differs after kills: %d and %d bytes", name, len(content), len(got[name]))
		}
	}
	// What is there already is not made again.
	succeed(t, again...)
	succeed(t, export(whole, supervised...)...)

	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"another request":  {export(whole, "--format", "reward", "--include-unsettled", "--encoding", "jsonl", "--shard-size", "50KiB"), "holds an export of training set " + set.ID + " with another request"},
		"another encoding": {export(whole, "--training-set", set.ID), "with another --encoding"},
		"no format":        {export(out("a")), "--format is needed: one of supervised"},
		"unknown format":   {export(out("b"), "--format", "xml"), "unknown format"},
		"unknown set":      {export(out("c"), "--training-set", "01890000-0000-7000-8000-000000000000"), "there is no training set"},
		"no number":        {export(out("d"), "--format", "reward", "--test", "2"), "--test 2: a number from 0 to 1 is needed"},
		"too many":         {export(out("e"), "--format", "reward", "--test", "0.6", "--validation", "0.6"), "more than all"},
		"unknown label":    {export(out("f"), "--format", "reward", "--label", "good"), "unknown label \"good\": one of undecided, accepted"},
		"bad condition":    {export(out("g"), "--format", "reward", "--where", "system.users"), "only conditions on the columns of training_signals"},
		"no bucket":        {export("s3:///x", "--format", "reward"), "s3://bucket/prefix is needed"},
	} {
		if text, err := start(t, test.args...).wait(t); err == nil || !strings.Contains(text, test.want) {
			t.Errorf("%s: %v: %s", name, err, text)
		}
	}

	u.requireTrainingSet(t, set.ID)
	u.stop(t)
}

// requireTrainingSet lists, shows and deletes the one training set that there is.
func (u *up) requireTrainingSet(t *testing.T, id string) {
	t.Helper()
	list := succeed(t, "training-set", "list", "--feedback", u.feedback)
	if !strings.Contains(list, id+"  supervised  ready") || strings.Count(list, "\n") != 2 {
		t.Errorf("list:\n%s", list)
	}
	shown := succeed(t, "training-set", "show", id, "--feedback", u.feedback)
	for _, line := range []string{"train ", "validation", "test ", "accepted_modified", "left out"} {
		if !strings.Contains(shown, line) {
			t.Errorf("no %q in\n%s", line, shown)
		}
	}
	if text := succeed(t, "training-set", "delete", id, "--feedback", u.feedback); !strings.Contains(text, "deleted") {
		t.Errorf("delete: %s", text)
	}
}
