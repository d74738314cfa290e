package replay

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/replay/predict"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

const (
	client        = "flywheel-replay"
	clientVersion = "1.0.0"
	platform      = "virtual"
)

// assignment is who types a session and which agent suggests.
type assignment struct {
	user  string
	model predict.Model
	arm   arm
	// eager agents show suggestions of less confidence.
	eager bool
	quota int
	start time.Time
}

func (a assignment) setting() string {
	if a.eager {
		return "eager"
	}
	return "calm"
}

// threshold is how confident the model must be for its output to be suggested.
func (a assignment) threshold() float64 {
	if a.eager {
		return 0.05
	}
	return 0.2
}

// session is one author at work: everything in it is decided by the seed, the
// author's text and virtual time.
type session struct {
	assignment
	tree    *tree
	cfg     Config
	clock   *timeline
	pace    *pace
	emit    *flywheel.Session
	counts  *Counts
	events  map[string]uint64
	files   int
	typedBy time.Time

	predictor predict.Predictor
	cache     map[string]cached
	doc       *document
	name      string
	language  string
	lines     []string
	accepted  []*flywheel.Interaction

	// open is the suggestion on the screen, rejected the whole line that the author
	// last rejected in this document, passed what the author went on without in this
	// line.
	open     *suggestion
	rejected string
	passed   []passed
	// ahead is when the model was asked for the next line before it was begun,
	// which it is when a suggestion has completed a line.
	ahead time.Time
}

// sessionResult is what a session adds to the tally.
type sessionResult struct {
	model  string
	counts *Counts
	events map[string]uint64
	files  int
}

func newSession(t *tree, cfg Config, a assignment, rng *rand.Rand, clock *timeline) *session {
	clock.now = a.start
	return &session{
		assignment: a, tree: t, cfg: cfg, clock: clock, pace: newPace(rng),
		counts: newCounts(), events: map[string]uint64{}, cache: map[string]cached{},
		typedBy: a.start.Add(longestSession),
	}
}

// run types documents, from the given one on, until the session has had its number
// of interactions or its time, then waits for what is still to be measured.
//
// There is a result, of what was done, even with an error.
func (s *session) run(ctx context.Context, sdk *flywheel.Client, first int) (*sessionResult, error) {
	path := s.tree.retyped[first]
	s.emit = sdk.Session(flywheel.SessionInfo{
		Client: client, ClientVersion: clientVersion, Platform: platform,
		User: s.user, Repository: s.repository(path),
	})
	s.count("session_started")
	err := s.work(ctx, first)
	reason := "interrupted"
	if err == nil && ctx.Err() == nil {
		reason = "done"
		s.clock.drain()
	}
	s.emit.End(reason)
	s.count("session_ended")
	return &sessionResult{model: s.model.Name(), counts: s.counts, events: s.events, files: s.files}, err
}

// work retypes one document after the other.
func (s *session) work(ctx context.Context, first int) error {
	for tried := range len(s.tree.retyped) {
		if s.done(ctx) {
			break
		}
		path := s.tree.retyped[(first+tried)%len(s.tree.retyped)]
		versions, err := s.tree.versions(ctx, path, s.cfg.History)
		if err != nil {
			return err
		}
		if len(versions) > 0 {
			s.retype(ctx, path, versions)
		}
	}
	return nil
}

// done says whether the author stops typing.
func (s *session) done(ctx context.Context) bool {
	return s.quota <= 0 || !s.clock.now.Before(s.typedBy) || ctx.Err() != nil
}

// retype types one document, version by version.
func (s *session) retype(ctx context.Context, path string, versions [][]string) {
	s.files++
	s.predictor, s.doc, s.lines = s.model.Predictor(), &document{}, nil
	s.accepted, s.rejected, s.ahead = nil, "", time.Time{}
	s.language = language(path)
	s.name = fmt.Sprintf("%d-%08x%s", s.files, uint32(hash(0, filepath.ToSlash(path))), filepath.Ext(path))
	s.emit.DocumentOpened(flywheel.Document{Name: s.name, Version: s.doc.version, Language: s.language})
	s.count("document_opened")
	finished := true
	for i, version := range versions {
		if i > 0 {
			s.clock.advance(reopenTime)
		}
		if finished = s.revise(ctx, version); !finished {
			break
		}
	}
	if finished {
		s.atEnd()
	}
	s.emit.DocumentClosed(flywheel.Document{Name: s.name, Version: s.doc.version, Saved: finished})
	s.count("document_closed")
	if finished && bytes.Equal(s.doc.text, textOf(versions[len(versions)-1])) {
		s.commit()
	}
}

func textOf(lines []string) []byte { return []byte(strings.Join(lines, "\n") + "\n") }

// commit records what the source shows: this document is what its author committed,
// and what was accepted in it served that.
func (s *session) commit() {
	for _, interaction := range s.accepted {
		interaction.Outcome(flywheelv1.TaskResult_TASK_RESULT_COMMITTED, "")
		s.count("task_outcome")
		s.counts.Committed++
	}
}

// revise makes the document the next version, and says whether the author got to
// the end of it.
func (s *session) revise(ctx context.Context, version []string) bool {
	shift := 0
	for _, h := range hunks(s.lines, version) {
		at := h.at + shift
		shift += len(h.added) - h.removed
		if !s.rewrite(ctx, at, h.removed, h.added) {
			return false
		}
	}
	return true
}

// rewrite puts lines in the place of others: one that is nearly the same is edited
// where it stands, the others are removed and typed.
func (s *session) rewrite(ctx context.Context, at, removed int, added []string) bool {
	offset := 0
	for _, line := range s.lines[:at] {
		offset += len(line) + 1
	}
	for removed > 0 && len(added) > 0 && nearlyEqual(s.lines[at], added[0]) {
		c := correction(s.lines[at], added[0])
		s.clock.advance(s.pace.fixing(c.text))
		c.offset += offset
		s.edit(c)
		s.lines[at] = added[0]
		offset += len(added[0]) + 1
		at, removed, added = at+1, removed-1, added[1:]
	}
	if removed > 0 {
		old := s.lines[at : at+removed]
		s.clock.advance(s.pace.fixing(""))
		s.edit(change{offset: offset, removed: len(textOf(old))})
		s.lines = slices.Delete(s.lines, at, at+removed)
	}
	for _, line := range added {
		if s.done(ctx) {
			return false
		}
		s.typeLine(at, offset, line)
		offset += len(line) + 1
		at++
	}
	return true
}

// repository is a pseudonym of the folder below the source that a file is in.
func (s *session) repository(path string) string {
	top, _, _ := strings.Cut(filepath.ToSlash(path), "/")
	return fmt.Sprintf("repo-%08x", uint32(hash(0, top)))
}

// count counts an event that was emitted.
func (s *session) count(kind string) { s.events[kind]++ }
