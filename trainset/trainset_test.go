package trainset_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/formats"
)

const (
	supervised  = flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED
	messages    = flywheelv1.TrainingFormat_TRAINING_FORMAT_MESSAGES
	preference  = flywheelv1.TrainingFormat_TRAINING_FORMAT_PREFERENCE
	unpaired    = flywheelv1.TrainingFormat_TRAINING_FORMAT_UNPAIRED_PREFERENCE
	reward      = flywheelv1.TrainingFormat_TRAINING_FORMAT_REWARD
	nextEdit    = flywheelv1.TrainingFormat_TRAINING_FORMAT_NEXT_EDIT
	signals     = flywheelv1.TrainingFormat_TRAINING_FORMAT_SIGNALS
	openAIChat  = flywheelv1.TrainingFormat_TRAINING_FORMAT_OPENAI_CHAT
	openAIPairs = flywheelv1.TrainingFormat_TRAINING_FORMAT_OPENAI_PREFERENCE

	running   = flywheelv1.TrainingSetState_TRAINING_SET_STATE_RUNNING
	ready     = flywheelv1.TrainingSetState_TRAINING_SET_STATE_READY
	failed    = flywheelv1.TrainingSetState_TRAINING_SET_STATE_FAILED
	cancelled = flywheelv1.TrainingSetState_TRAINING_SET_STATE_CANCELLED
	deleted   = flywheelv1.TrainingSetState_TRAINING_SET_STATE_DELETED
)

// all are the rows of all splits.
func (f fileSet) all(t testing.TB) (rows []map[string]any) {
	t.Helper()
	for _, split := range []string{"train", "validation", "test"} {
		rows = append(rows, f.rows(t, split)...)
	}
	return rows
}

// made makes a training set that has to succeed, and reads it as JSON lines.
func (s *store) made(req *flywheelv1.CreateTrainingSetRequest) (*flywheelv1.TrainingSet, fileSet) {
	s.t.Helper()
	set := s.create(req)
	if set.GetState() != ready {
		s.t.Fatalf("%s: %s", set.GetState(), set.GetError())
	}
	return set, s.read(&flywheelv1.ReadTrainingSetRequest{TrainingSetId: set.GetTrainingSetId()}, 0)
}

// TestFormats makes a training set of each format that is made from single interactions,
// and looks at every row.
func TestFormats(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(700) // 100 of each class; every 50th without consent for training
	for format, want := range map[flywheelv1.TrainingFormat]struct {
		rows  int
		check func(row map[string]any, class int, n string) string
	}{
		// 500 of the classes 0 to 4, of which 10 without consent.
		supervised: {490, func(row map[string]any, class int, n string) string {
			switch {
			case class < 3 && !strings.HasPrefix(row["completion"].(string), "completion "+n+" "):
				return "not what was suggested"
			case class == 3 && row["completion"] != "completio"[:8]:
				return "not the accepted part"
			case class == 4 && row["completion"] != "completion "+n+" as modified":
				return "not as it was modified"
			}
			return ""
		}},
		// 400: accepted or rejected.
		unpaired: {392, func(row map[string]any, class int, _ string) string {
			if row["label"] != (class < 3) {
				return "the other label"
			}
			return ""
		}},
		reward: {686, func(row map[string]any, class int, _ string) string {
			if score := row["score"].(float64); (score > 0) != (class < 5) || score < -1 || score > 1 {
				return fmt.Sprint("the score ", score)
			}
			return ""
		}},
		preference: {196, func(row map[string]any, class int, n string) string {
			chosen := map[int]string{4: "completion " + n + " as modified", 5: "instead " + n}[class]
			if row["chosen"] != chosen || !strings.HasPrefix(row["rejected"].(string), "completion "+n+" ") {
				return "another pair"
			}
			return ""
		}},
		signals: {700, func(row map[string]any, class int, _ string) string {
			label := []string{"accepted", "accepted", "accepted", "partially_accepted", "accepted_modified", "rejected", "ignored"}[class]
			if row["label"] != label {
				return "the label " + row["label"].(string)
			}
			return ""
		}},
	} {
		t.Run(format.String(), func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			set, files := s.made(&flywheelv1.CreateTrainingSetRequest{Format: format})
			rows := files.all(t)
			if len(rows) != want.rows || int(set.GetProgress().GetRows()) != want.rows {
				t.Errorf("%d rows (%v), want %d", len(rows), set, want.rows)
			}
			numbers := s.numbers()
			var names []string
			for _, field := range formats.Schema(format) {
				names = append(names, field.Name)
			}
			slices.Sort(names)
			for _, row := range rows {
				n, known := numbers[row["interaction_id"].(string)]
				if !known {
					t.Fatalf("a row of an interaction that does not exist: %v", row)
				}
				if got := slices.Sorted(maps.Keys(row)); !slices.Equal(got, names) {
					t.Fatalf("columns %v, want %v", got, names)
				}
				if problem := want.check(row, n%7, fmt.Sprint(n)); problem != "" {
					t.Fatalf("%s: %v", problem, row)
				}
				if prompt, has := row["prompt"]; has && !strings.HasPrefix(prompt.(string), fmt.Sprintf("func f%d() { ", n)) {
					t.Fatalf("the prompt of another interaction: %v", row)
				}
			}
		})
	}
}

// TestOpenAIPreference looks at the shape of OpenAI's rows.
func TestOpenAIPreference(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(7)
	_, files := s.made(&flywheelv1.CreateTrainingSetRequest{Format: openAIPairs})
	rows := files.rows(t, "train")
	if len(rows) != 2 {
		t.Fatalf("%d rows, want 2", len(rows))
	}
	message := func(role, content string) []any { return []any{map[string]any{"role": role, "content": content}} }
	prompt := rows[1]["input"].(map[string]any)["messages"].([]any)[0].(map[string]any)["content"].(string)
	want := map[string]any{
		"input":                map[string]any{"messages": message("user", prompt)},
		"preferred_output":     message("assistant", "instead 5"),
		"non_preferred_output": rows[1]["non_preferred_output"],
	}
	if diff := cmp.Diff(want, rows[1]); diff != "" || !strings.HasPrefix(prompt, "func f5() ") {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// step is a row of the table steps.
type step struct {
	kind, role, text, call, tool, arguments, decision, status, userText, result string
	seconds, took                                                               int
}

// session stores the steps of a session that began an hour and a half ago.
func (s *store) session(n int, consent int, steps ...step) string {
	s.t.Helper()
	const id = "reinterpret(concat(reinterpretAsFixedString(cityHash64('agent', {n:UInt64})), reinterpretAsFixedString({n:UInt64})), 'UUID')"
	for i, one := range steps {
		s.exec(`
			INSERT INTO steps (tenant, session_started_at, session_id, sequence, event_id, time, kind, role, call_id, tool, decision, status, duration_us,
				task_result, client, user, consent, text, arguments, user_text)
			WITH toStartOfDay(now('UTC')) - INTERVAL 1 DAY AS began
			SELECT 'default', began, `+id+`, {i:UInt64}, generateUUIDv4(), began + toIntervalSecond({seconds:UInt64}), {kind:String}, {role:String}, {call:String}, {tool:String},
				{decision:String}, {status:String}, {took:UInt64} * 1000000, {result:String}, 'agent', {user:String},
				if({text:String} = '' AND {arguments:String} = '', 0, {consent:UInt8}), {text:String}, {arguments:String}, {user_text:String}`,
			named("n", uint64(n)), named("i", uint64(i+1)), named("seconds", uint64(one.seconds)), named("kind", one.kind), named("role", one.role), named("call", one.call),
			named("tool", one.tool), named("decision", one.decision), named("status", one.status), named("took", uint64(one.took)), named("result", one.result),
			named("user", fmt.Sprint("agent user ", n)), named("consent", uint8(consent)), named("text", one.text), named("arguments", one.arguments), named("user_text", one.userText))
	}
	var session string
	if err := s.db.Conn().QueryRow(s.t.Context(), "SELECT toString("+id+")", named("n", uint64(n))).Scan(&session); err != nil {
		s.t.Fatal(err)
	}
	return session
}

// TestConversations makes conversations of sessions: calls in turn and at once, one
// denied, one with arguments that are no JSON.
func TestConversations(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	session := s.session(1, 2,
		step{kind: "message", role: "system", text: "You help."},
		step{kind: "message", role: "user", text: "Fix it.", seconds: 1},
		step{kind: "message", role: "assistant", text: "I look.", seconds: 2},
		step{kind: "tool_call", call: "a", tool: "read", arguments: `{"path": "x.go", "lines": 3}`, text: "package x", seconds: 3, took: 5},
		step{kind: "tool_call", call: "b", tool: "run", arguments: "go test", decision: "denied", seconds: 4},
		step{kind: "tool_call", call: "c", tool: "run", arguments: `{"command":"go vet"}`, status: "error", seconds: 20},
		step{kind: "message", role: "assistant", text: "Done.", seconds: 30},
		step{kind: "message", role: "user", text: "Thanks.", seconds: 40},
		step{kind: "task_outcome", result: "solved", seconds: 50},
	)
	s.session(2, 2, step{kind: "message", role: "user", text: "Hello?"})
	s.session(3, 1, step{kind: "message", role: "user", text: "Secret."}, step{kind: "message", role: "assistant", text: "Yes.", seconds: 1})
	s.session(4, 2, step{kind: "message", role: "user", text: "Try."}, step{kind: "message", role: "assistant", text: "No.", seconds: 1}, step{kind: "task_outcome", result: "tests_failed", seconds: 2})

	set, files := s.made(&flywheelv1.CreateTrainingSetRequest{Format: messages})
	if diff := cmp.Diff(map[string]uint64{"no_text": 1, "no_consent": 1, "unsuccessful": 1}, set.GetLeftOut()); diff != "" {
		t.Errorf("left out (-want +got)\n%s", diff)
	}
	want := `[{"messages":[
		{"role":"system","content":"You help."},
		{"role":"user","content":"Fix it."},
		{"role":"assistant","content":"I look.","tool_calls":[
			{"type":"function","function":{"name":"read","arguments":{"path":"x.go","lines":3}}},
			{"type":"function","function":{"name":"run","arguments":{"input":"go test"}}}]},
		{"role":"tool","content":"package x","name":"read"},
		{"role":"tool","content":"The user denied this call.","name":"run"},
		{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"run","arguments":{"command":"go vet"}}}]},
		{"role":"tool","content":"Error","name":"run"},
		{"role":"assistant","content":"Done."}],
		"tools":"[{\"type\":\"function\",\"function\":{\"name\":\"read\",\"description\":\"\",\"parameters\":{\"properties\":{\"lines\":{\"type\":\"number\"},\"path\":{\"type\":\"string\"}},\"type\":\"object\"}}},{\"type\":\"function\",\"function\":{\"name\":\"run\",\"description\":\"\",\"parameters\":{\"properties\":{\"command\":{\"type\":\"string\"},\"input\":{\"type\":\"string\"}},\"type\":\"object\"}}}]",
		"session_id":"` + session + `","outcome":"solved"}]`
	equalJSON(t, want, files.rows(t, "train"))

	_, files = s.made(&flywheelv1.CreateTrainingSetRequest{Format: openAIChat})
	want = `[{"messages":[
		{"role":"system","content":"You help."},
		{"role":"user","content":"Fix it."},
		{"role":"assistant","content":"I look.","tool_calls":[
			{"id":"a","type":"function","function":{"name":"read","arguments":"{\"path\":\"x.go\",\"lines\":3}"}},
			{"id":"b","type":"function","function":{"name":"run","arguments":"{\"input\":\"go test\"}"}}]},
		{"role":"tool","content":"package x","tool_call_id":"a"},
		{"role":"tool","content":"The user denied this call.","tool_call_id":"b"},
		{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"run","arguments":"{\"command\":\"go vet\"}"}}]},
		{"role":"tool","content":"Error","tool_call_id":"c"},
		{"role":"assistant","content":"Done."}],
		"tools":[{"type":"function","function":{"name":"read","description":"","parameters":{"properties":{"lines":{"type":"number"},"path":{"type":"string"}},"type":"object"}}},
			{"type":"function","function":{"name":"run","description":"","parameters":{"properties":{"command":{"type":"string"},"input":{"type":"string"}},"type":"object"}}}]}]`
	equalJSON(t, want, files.rows(t, "train"))
}

func equalJSON(t *testing.T, want string, got any) {
	t.Helper()
	var wanted, found any
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(bytes.NewReader([]byte(want))).Decode(&wanted); err != nil {
		t.Fatalf("%v: %s", err, want)
	}
	if diff := cmp.Diff(wanted, found); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
