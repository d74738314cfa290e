package trainset_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// editor stores what happens in one session.
type editor struct {
	*store
	session  uuid.UUID
	began    time.Time
	sequence uint64
}

func (s *store) newEditor() *editor {
	s.t.Helper()
	e := &editor{store: s, session: newV7(s.t)}
	sec, nsec := e.session.Time().UnixTime()
	e.began = time.Unix(sec, nsec).UTC().Truncate(time.Millisecond)
	return e
}

func newV7(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// next is the place and the time of the next event: one second after the last.
func (e *editor) next() (sequence uint64, at time.Time) {
	e.sequence++
	return e.sequence, e.began.Add(-time.Hour + time.Duration(e.sequence)*time.Second)
}

func (e *editor) step(kind, text string, position uint64) {
	e.t.Helper()
	sequence, at := e.next()
	e.exec(`INSERT INTO steps (tenant, session_started_at, session_id, sequence, event_id, time, kind, document, position, head, text, consent)
		SELECT 'default', fromUnixTimestamp64Milli($1), $2, $3, $4, fromUnixTimestamp64Milli($5), $6, 'x.go', $7, $7, $8, if($8 = '', 0, 2)`,
		e.began.UnixMilli(), e.session, sequence, newV7(e.t), at.UnixMilli(), kind, position, text)
}

func (e *editor) edit(offset, removed int, text string, by uuid.UUID) {
	e.t.Helper()
	sequence, at := e.next()
	source := "user"
	if by != uuid.Nil {
		source = "interaction"
	}
	e.exec(`INSERT INTO edits (tenant, session_started_at, session_id, sequence, event_id, time, interaction_id, document, offset, removed_length, inserted_length, source, consent, text)
		SELECT 'default', fromUnixTimestamp64Milli($1), $2, $3, $4, fromUnixTimestamp64Milli($5), $6, 'x.go', $7, $8, $9, $10, if($11 = '', 0, 2), $11`,
		e.began.UnixMilli(), e.session, sequence, newV7(e.t), at.UnixMilli(), by, uint64(offset), uint64(removed), uint64(len(text)), source, text)
}

// suggest stores an interaction that ends at once: 1 accepted, 3 modified, 5 rejected.
func (e *editor) suggest(outcome int, output string) uuid.UUID {
	e.t.Helper()
	id := newV7(e.t)
	sequence, at := e.next()
	class := 3
	if outcome > 3 {
		class = 2
	}
	sec, nsec := id.Time().UnixTime()
	started := time.Unix(sec, nsec).UTC().Truncate(time.Millisecond)
	e.exec(`INSERT INTO interactions (tenant, started_at, interaction_id, session_id, user, surface, language, output_chars, shown_at, visible_us, generated_at, generated_sequence, ended_sequence, outcome_rank)
		SELECT 'default', fromUnixTimestamp64Milli($1), $2, $3, 'ann', 'inline_completion', 'go', $4, fromUnixTimestamp64Milli($5), 2000000, fromUnixTimestamp64Milli($5), $6, $6,
			bitOr(bitShiftLeft(toUInt64($7), 62), bitOr(bitShiftLeft(toUInt64($8), 8), toUInt64($9)))`,
		started.UnixMilli(), id, e.session, len(output), at.UnixMilli(), sequence, class, at.UnixMicro(), outcome)
	e.exec(`INSERT INTO content (tenant, started_at, id, consents, output) SELECT 'default', fromUnixTimestamp64Milli($1), $2, 4, $3`, started.UnixMilli(), id, output)
	return id
}

// TestNextEdit makes rows of an accepted, a modified and two rejected suggestions, and
// leaves out one whose document is not known and one whose edit is far away.
func TestNextEdit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	e := s.newEditor()
	text := "one\ntwo\nthree\n"
	e.step("document_opened", text, uint64(len(text)))
	e.edit(3, 0, ",", uuid.Nil) // one,
	accepted := e.suggest(1, " more")
	e.edit(4, 0, " more", accepted) // one, more
	e.step("selection", "", 9)
	modified := e.suggest(3, "!")
	e.edit(9, 0, "!", modified)
	e.edit(9, 1, "?", uuid.Nil) // one, more?
	e.edit(10, 0, "\n"+strings.Repeat("line\n", 40), uuid.Nil)
	e.sequence += 40 // a pause
	e.step("selection", "", 4)
	rejected := e.suggest(5, "MODEL")
	e.edit(4, 1, "_", uuid.Nil) // one,_more
	e.sequence += 40
	e.step("selection", "", 0)
	refused := e.suggest(5, "MODEL")
	e.edit(180, 0, "far", uuid.Nil)
	unknown := s.newEditor()
	unknown.suggest(1, "x")

	set, files := s.made(&flywheelv1.CreateTrainingSetRequest{Format: nextEdit, Selection: &flywheelv1.TrainingSelection{IncludeUnsettled: true}})
	if set.GetLeftOut()["no_document"] != 1 || set.GetLeftOut()["far_edit"] != 1 || len(set.GetLeftOut()) != 2 {
		t.Errorf("left out: %v", set.GetLeftOut())
	}
	const start, end, cursor = "<|editable_region_start|>\n", "<|editable_region_end|>\n", "<|user_cursor_is_here|>"
	ten := strings.Repeat("line\n", 10)
	want := map[string]map[string]any{
		accepted.String(): {
			"events":   "--- a/x.go\n+++ b/x.go\n@@ -1,3 +1,3 @@\n-one\n+one,\n two\n three\n",
			"input":    start + "one," + cursor + "\ntwo\nthree\n" + end,
			"output":   start + "one, more\ntwo\nthree\n" + end,
			"rejected": nil, "outcome": "accepted",
		},
		modified.String(): {
			"events":   "--- a/x.go\n+++ b/x.go\n@@ -1,3 +1,3 @@\n-one\n+one, more\n two\n three\n",
			"input":    start + "one, more" + cursor + "\ntwo\nthree\n" + end,
			"rejected": nil, "outcome": "accepted_modified",
		},
		rejected.String(): {
			"input":    start + "one," + cursor + " more?\n" + ten + end + strings.Repeat("line\n", 30),
			"output":   start + "one,_more?\n" + ten + end,
			"rejected": start + "one,MODEL more?\n" + ten + end, "outcome": "rejected",
		},
	}
	rows := files.rows(t, "train")
	for _, row := range rows {
		wanted, known := want[row["interaction_id"].(string)]
		if !known {
			t.Errorf("a row of %v, refused is %s", row["interaction_id"], refused)
		}
		for name, value := range wanted {
			if row[name] != value {
				t.Errorf("%s of %v is\n%v\nwant\n%v", name, row["outcome"], row[name], value)
			}
		}
		// Until half a minute later the user had written on.
		if output := row["output"].(string); row["outcome"] == "accepted_modified" && !strings.HasPrefix(output, start+"one, more?\nline\n") {
			t.Errorf("the modified output is %q", output)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d rows, want %d", len(rows), len(want))
	}
}
