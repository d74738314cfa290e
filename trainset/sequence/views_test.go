package sequence_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
	"github.com/yirifi/flywheel/replay"
	"github.com/yirifi/flywheel/trainset/sequence"
)

// requireSameEdits compares the view interaction_edits with what Read gives.
func requireSameEdits(t *testing.T, db *warehouse.DB, tally *replay.Tally, q sequence.Query) {
	t.Helper()
	const most = 20
	want := map[string]string{}
	for m, err := range sequence.Read(t.Context(), db, q) {
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range m.Before {
			want[fmt.Sprintf("%s %d", m.InteractionID, i-len(m.Before))] = fmt.Sprint(e.Document, e.Version, e.Offset, e.RemovedLength, e.Text)
		}
		for i, e := range m.After[:min(len(m.After), most)] {
			want[fmt.Sprintf("%s %d", m.InteractionID, i+1)] = fmt.Sprint(e.Document, e.Version, e.Offset, e.RemovedLength, e.Text)
		}
	}
	rows, err := db.Conn().Query(t.Context(), `
		SELECT toString(interaction_id), position, document, version, offset, removed_length, text
		FROM interaction_edits(tenant = {tenant:String}, from_ms = {from_ms:Int64}, to_ms = {to_ms:Int64}, edits = 20, before_s = 60, after_s = 30)`,
		over(q.Tenant, tally.BaseTime, tally.EndTime)...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	got := map[string]string{}
	for rows.Next() {
		var interaction, document, text string
		var position int64
		var version, offset, removed uint64
		if err := rows.Scan(&interaction, &position, &document, &version, &offset, &removed, &text); err != nil {
			t.Fatal(err)
		}
		got[fmt.Sprintf("%s %d", interaction, position)] = fmt.Sprint(document, version, offset, removed, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("edits around interactions (-Read +interaction_edits):\n%.2000s", diff)
	}
}

// over are the parameters of a view.
func over(tenant string, from, to time.Time) []any {
	return []any{
		clickhouse.Named("tenant", tenant), clickhouse.Named("from_ms", from.UnixMilli()), clickhouse.Named("to_ms", to.UnixMilli()),
	}
}

var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// id is a UUIDv7 of the start, told apart by a letter.
func id(letter byte) []byte {
	b := []byte{0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, letter}
	ms := start.UnixMilli()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	return b
}

// store stores events of one session, each twice and in any order. seconds are counted
// from the start; the sequence is the place in the list.
func store(t *testing.T, db *warehouse.DB, tenant string, events []*flywheelv1.Event) {
	t.Helper()
	for i, e := range events {
		e.EventId, e.SessionId, e.Sequence = id(byte(100+i)), id('S'), uint64(i+1)
		if e.TimeUnixUs == 0 {
			e.TimeUnixUs = start.Add(time.Duration(i) * time.Second).UnixMicro()
		}
	}
	order := slices.Concat(events, events)
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	var rows signal.Batch
	for _, e := range order {
		if err := rows.Add(tenant, e); err != nil {
			t.Fatal(err)
		}
	}
	interactions, opportunities, content, steps := warehouse.NewInteractions(), warehouse.NewOpportunities(), warehouse.NewContent(), warehouse.NewSteps()
	interactions.Append(rows.Interactions)
	opportunities.Append(rows.Opportunities)
	content.Append(rows.Content)
	steps.Append(rows.Steps)
	for table, columns := range map[string]warehouse.Columns{"interactions": interactions, "opportunities": opportunities, "content": content, "steps": steps} {
		if err := db.Insert(t.Context(), table, columns); err != nil {
			t.Fatal(err)
		}
	}
}

// lines returns a column of text.
func lines(t *testing.T, db *warehouse.DB, query string, args ...any) string {
	t.Helper()
	rows, err := db.Conn().Query(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func text(s string) *flywheelv1.Content {
	return &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Text: s}
}

// TestTrajectory is an agent's session: a question, a tool call that is reported three
// times as it goes on, one that is denied, an answer, and how it turned out.
func TestTrajectory(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	call := func(c *flywheelv1.ToolCall, content *flywheelv1.Content) *flywheelv1.Event {
		return &flywheelv1.Event{Payload: &flywheelv1.Event_ToolCall{ToolCall: c}, Content: content}
	}
	say := func(role flywheelv1.Role, s string) *flywheelv1.Event {
		return &flywheelv1.Event{Payload: &flywheelv1.Event_Message{Message: &flywheelv1.Message{Role: role}}, Content: text(s)}
	}
	arguments := text("")
	arguments.Arguments = `{"cmd":"go test"}`
	store(t, db, "acme", []*flywheelv1.Event{
		{Payload: &flywheelv1.Event_SessionStarted{SessionStarted: &flywheelv1.SessionStarted{Client: "acme-cli", User: "u1"}}},
		say(flywheelv1.Role_ROLE_USER, "make the tests pass"),
		call(&flywheelv1.ToolCall{CallId: "c1", Tool: "shell"}, arguments),
		call(&flywheelv1.ToolCall{CallId: "c1", Tool: "shell", Decision: flywheelv1.ToolDecision_TOOL_DECISION_APPROVED, DecidedBy: flywheelv1.DecisionSource_DECISION_SOURCE_USER}, nil),
		call(&flywheelv1.ToolCall{CallId: "c2", Tool: "delete", Decision: flywheelv1.ToolDecision_TOOL_DECISION_DENIED}, nil),
		call(&flywheelv1.ToolCall{CallId: "c1", Tool: "shell", Status: flywheelv1.ToolStatus_TOOL_STATUS_SUCCESS, DurationUs: 5}, text("ok")),
		say(flywheelv1.Role_ROLE_ASSISTANT, "they pass"),
		{Payload: &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{Thumb: flywheelv1.Thumb_THUMB_DOWN}}},
		{Payload: &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{Thumb: flywheelv1.Thumb_THUMB_UP}}},
		{Payload: &flywheelv1.Event_TaskOutcome{TaskOutcome: &flywheelv1.TaskOutcome{Result: flywheelv1.TaskResult_TASK_RESULT_TESTS_PASSED}}},
		{Payload: &flywheelv1.Event_SessionEnded{SessionEnded: &flywheelv1.SessionEnded{Reason: "done"}}},
	})
	got := lines(t, db, `
		SELECT concat(
			arrayStringConcat(arrayMap(s -> concat(toString(s.sequence), ' ', s.kind, ' ', s.role, s.tool, ' ', s.arguments, s.text, ' ', s.decision, ' ', s.decided_by, ' ', s.status), steps), '\n'),
			'\n', client, ' ', user, ' ', thumb, ' ', toString(task_results), ' ', ended_reason, ' ', toString(messages), ' ', toString(tool_calls))
		FROM trajectories(tenant = {tenant:String}, from_ms = {from_ms:Int64}, to_ms = {to_ms:Int64})`, over("acme", start, start.Add(time.Second))...)
	want := `2 message user make the tests pass   ${}
3 tool_call shell {"cmd":"go test"}ok approved user success
5 tool_call delete  denied  ${}
7 message assistant they pass   ${}
acme-cli u1 up ['tests_passed'] done 2 2`
	if diff := cmp.Diff(strings.ReplaceAll(want, "${}", ""), got); diff != "" {
		t.Errorf("trajectories (-want +got):\n%s", diff)
	}
}

// TestPreferencePairs: of four suggestions for one opportunity one is rejected, one
// superseded, one ignored and one accepted: that is one pair. What the user wrote
// instead, changed and corrected gives one each.
func TestPreferencePairs(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	var events []*flywheelv1.Event
	about := func(opportunity, interaction byte, e *flywheelv1.Event) {
		e.OpportunityId = id(opportunity)
		if interaction != 0 {
			e.InteractionId = id(interaction)
		}
		events = append(events, e)
	}
	suggest := func(opportunity, interaction byte, output string, ended *flywheelv1.Ended, final string) {
		about(opportunity, interaction, &flywheelv1.Event{Payload: &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{}}, Content: text(output)})
		about(opportunity, interaction, &flywheelv1.Event{Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{}}})
		e := &flywheelv1.Event{Payload: &flywheelv1.Event_Ended{Ended: ended}}
		if final != "" {
			e.Content = &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, UserText: final}
		}
		about(opportunity, interaction, e)
	}
	requested := &flywheelv1.Event{Payload: &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{}}}
	requested.Content = &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Prompt: "reverse a slice"}
	about('O', 0, requested)
	suggest('O', '1', "for i := range", &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_REJECTED}, "")
	suggest('O', '2', "sort.", &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_SUPERSEDED, SupersededBy: id('3')}, "")
	suggest('O', '3', "strings.", &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_IGNORED}, "")
	suggest('O', '4', "slices.Reverse(", &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_ACCEPTED}, "")
	suggest('P', '5', "a", &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_REJECTED}, "")
	about('P', '5', &flywheelv1.Event{
		Payload: &flywheelv1.Event_Alternative{Alternative: &flywheelv1.Alternative{}},
		Content: &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_DIAGNOSTICS, UserText: "b"},
	})
	suggest('P', '6', "c", &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_REJECTED}, "")
	about('P', '6', &flywheelv1.Event{Payload: &flywheelv1.Event_Alternative{Alternative: &flywheelv1.Alternative{NoEdit: true}}})
	suggest('Q', '7', "Printl", &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED}, "Println")
	suggest('R', '8', "1 + 1 = 3", &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_IGNORED}, "")
	about('R', '8', &flywheelv1.Event{
		Payload: &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{Correction: true}},
		Content: &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, UserText: "1 + 1 = 2"},
	})
	store(t, db, "acme", events)
	got := lines(t, db, `
		SELECT concat(origin, ': ', prompt, ': ', chosen, ' over ', rejected, if(no_edit, ' (no edit)', ''), if(margin != 0, concat(' by ', toString(margin)), ''), ' ', toString(consents))
		FROM preference_pairs(tenant = {tenant:String}, from_ms = {from_ms:Int64}, to_ms = {to_ms:Int64}, definition = 1)
		ORDER BY rejected_interaction_id, origin`, over("acme", start, start.Add(time.Second))...)
	want := `opportunity: reverse a slice: slices.Reverse( over for i := range by 0.7 4
alternative: : b over a 6
alternative: :  over c (no edit) 4
modified: : Println over Printl 4
correction: : 1 + 1 = 2 over 1 + 1 = 3 4`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("preference_pairs (-want +got):\n%s", diff)
	}
}
