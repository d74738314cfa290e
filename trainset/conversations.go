package trainset

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/yirifi/flywheel/trainset/files"
)

// chunkSessions is about how many sessions one statement reads.
const chunkSessions = 20_000

// conversation is what a session is as a training example. It is kept as JSON.
type conversation struct {
	Messages []message `json:"messages"`
	Tools    string    `json:"tools,omitempty"` // a JSON list
}

// message is one message: text, calls of tools, or the result of a call.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content,omitempty"`
	Calls   []call `json:"calls,omitempty"`
	// Call and Tool say whose result it is.
	Call string `json:"call,omitempty"`
	Tool string `json:"tool,omitempty"`
}

// call is a call of a tool; its arguments are a JSON object.
type call struct {
	ID        string          `json:"id"`
	Tool      string          `json:"tool"`
	Arguments json.RawMessage `json:"arguments"`
}

// trajectory is a session as the view trajectories has it.
type trajectory struct {
	composed
	repository           string
	consents             uint8
	thumb, ended         string
	results              []string
	kinds, roles, texts  []string
	calls, tools         []string
	arguments, decisions []string
	statuses, errorTypes []string
	times                []time.Time
	durations            []uint64
	userTexts            []string
	last                 time.Time
}

// composeConversations makes rows of the sessions of agents.
func composeConversations(ctx context.Context, j *job) (err error) {
	c, err := j.newComposer(ctx, []string{"text_prompt", "text_completion", "text_messages"}, "text_prompt", "text_completion")
	if err != nil {
		return err
	}
	sql, err := j.plan.statement()
	if err != nil {
		return err
	}
	from, to := j.plan.span()
	chunks, err := j.hours(ctx, from, to, chunkSessions, `
		SELECT toStartOfHour(session_started_at) AS hour, uniq(session_id) FROM steps
		WHERE tenant = {tenant:String} AND kind IN ('message', 'tool_call')
			AND session_started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND session_started_at < fromUnixTimestamp64Milli({to_ms:Int64})
		GROUP BY hour ORDER BY hour`,
		clickhouse.Named("tenant", j.set.tenant), clickhouse.Named("from_ms", from), clickhouse.Named("to_ms", to))
	if err != nil {
		return fmt.Errorf("look where the sessions are: %w", err)
	}
	err = j.inChunks(chunks, func(span chunk) (err error) {
		rows, err := j.db.Conn().Query(ctx, sql, j.plan.arguments(span.from, span.to)...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			t := new(trajectory)
			if err := t.scan(rows); err != nil {
				return err
			}
			if err := t.compose(j.plan); err != nil {
				return err
			}
			if err := c.add(ctx, &t.composed); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	return c.flush(ctx)
}

func (t *trajectory) scan(rows driver.Rows) error {
	return rows.Scan(&t.id, &t.at, &t.user, &t.repository, &t.consents, &t.thumb, &t.results, &t.ended,
		&t.kinds, &t.roles, &t.texts, &t.calls, &t.tools, &t.arguments, &t.decisions, &t.statuses, &t.errorTypes, &t.userTexts, &t.times, &t.durations, &t.last)
}

// compose makes the row of a session.
func (t *trajectory) compose(p *plan) error {
	outcome, good := t.outcome()
	t.composed.interaction, t.label = t.id.String(), outcome
	t.unit, t.composed.user = p.unitOf(t.composed.user, t.repository, t.id), cmp.Or(t.composed.user, t.id.String())
	messages := t.messages()
	prompt, completion := plain(messages)
	switch {
	case !p.WithoutConsent && t.consents != trainingOnly:
		t.why = flawNoConsent
		return nil
	case prompt == "" || completion == "":
		t.why = flawNoText
		return nil
	case !good:
		t.why = flawUnsuccessful
		return nil
	case p.tooLong(prompt, completion):
		t.why = flawTooLong
	}
	tools, err := toolsOf(messages)
	if err != nil {
		return err
	}
	text, err := json.Marshal(conversation{Messages: messages, Tools: tools})
	if err != nil {
		return fmt.Errorf("encode session %s: %w", t.id, err)
	}
	t.composed.texts = []string{prompt, completion, string(text)}
	return nil
}

// outcome is how a session turned out, and whether it is one to learn from. What went
// wrong says more than what went well.
func (t *trajectory) outcome() (name string, good bool) {
	for _, result := range []string{"reverted", "not_solved", "tests_failed", "build_failed"} {
		if slices.Contains(t.results, result) {
			return result, false
		}
	}
	if t.thumb == "down" {
		return "thumb_down", false
	}
	for _, result := range []string{"solved", "merged", "committed", "tests_passed", "build_passed"} {
		if slices.Contains(t.results, result) {
			return result, true
		}
	}
	if t.thumb == "up" {
		return "thumb_up", true
	}
	return "unknown", true
}

// messages makes the conversation of the steps. It ends with what the model said last.
func (t *trajectory) messages() (all []message) {
	// results of the calls of the message before come after all of them.
	var results []message
	flush := func() {
		all, results = append(all, results...), nil
	}
	for i, kind := range t.kinds {
		if kind == "tool_call" {
			if n := len(all); n == 0 || all[n-1].Role != "assistant" || len(results) > 0 && !t.parallel(i) {
				flush()
				all = append(all, message{Role: "assistant"})
			}
			last := &all[len(all)-1]
			id := cmp.Or(t.calls[i], "call_"+strconv.Itoa(i))
			last.Calls = append(last.Calls, call{ID: id, Tool: t.tools[i], Arguments: t.argumentsOf(i)})
			results = append(results, message{Role: "tool", Content: t.resultOf(i), Call: id, Tool: t.tools[i]})
			continue
		}
		// What a tool says is the result of its call already.
		if t.texts[i] == "" || t.roles[i] == "tool" {
			continue
		}
		flush()
		all = append(all, message{Role: t.roles[i], Content: t.texts[i]})
	}
	flush()
	// A model is trained on what it says: what follows the last of it is no example.
	end := len(all)
	for end > 0 && all[end-1].Role != "assistant" {
		end--
	}
	return all[:end]
}

// parallel reports whether a call began before the one before it had ended: both are then
// of one message of the model.
func (t *trajectory) parallel(i int) bool {
	ended := t.times[i-1].Add(time.Duration(t.durations[i-1]) * time.Microsecond)
	return t.kinds[i-1] == "tool_call" && t.times[i].Before(ended)
}

// argumentsOf are the arguments of a call as a JSON object: those that a person changed
// them to, if one did.
func (t *trajectory) argumentsOf(i int) json.RawMessage {
	text := t.arguments[i]
	if t.decisions[i] == "modified" && t.userTexts[i] != "" {
		text = t.userTexts[i]
	}
	var object map[string]json.RawMessage
	var compact bytes.Buffer
	if json.Unmarshal([]byte(text), &object) == nil && object != nil && json.Compact(&compact, []byte(text)) == nil {
		return compact.Bytes()
	}
	if text == "" {
		return json.RawMessage("{}")
	}
	wrapped, _ := json.Marshal(map[string]string{"input": text}) // strings never fail
	return wrapped
}

// resultOf is what came of a call, in words where the tool gave none.
func (t *trajectory) resultOf(i int) string {
	switch {
	case t.texts[i] != "":
		return t.texts[i]
	case t.decisions[i] == "denied":
		return strings.TrimSpace("The user denied this call. " + t.userTexts[i])
	case t.decisions[i] == "aborted":
		return "The user ended the turn."
	case t.statuses[i] == "error":
		return strings.TrimSpace("Error " + t.errorTypes[i])
	case t.statuses[i] == "cancelled":
		return "Cancelled."
	}
	return ""
}

// plain is what people and instructions say, and what the model says and calls, without
// roles.
func plain(messages []message) (prompt, completion string) {
	var said, answered []string
	for _, m := range messages {
		switch m.Role {
		case "assistant":
			if m.Content != "" {
				answered = append(answered, m.Content)
			}
			for _, c := range m.Calls {
				answered = append(answered, c.Tool+" "+string(c.Arguments))
			}
		case "user", "system":
			said = append(said, m.Content)
		}
	}
	return strings.Join(said, "\n"), strings.Join(answered, "\n")
}

// toolsOf describes the tools that were called, as far as their calls show: a JSON list
// of {type, function: {name, description, parameters}}. Without calls it is empty.
func toolsOf(messages []message) (string, error) {
	parameters := map[string]map[string]any{}
	for _, m := range messages {
		for _, c := range m.Calls {
			properties := parameters[c.Tool]
			if properties == nil {
				properties = map[string]any{}
				parameters[c.Tool] = properties
			}
			var given map[string]any
			if err := json.Unmarshal(c.Arguments, &given); err != nil {
				return "", fmt.Errorf("read arguments of %s: %w", c.Tool, err)
			}
			for name, value := range given {
				properties[name] = map[string]string{"type": typeOf(value)}
			}
		}
	}
	if len(parameters) == 0 {
		return "", nil
	}
	type function struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Parameters  any    `json:"parameters"`
	}
	type tool struct {
		Type     string   `json:"type"`
		Function function `json:"function"`
	}
	var tools []tool
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		schema := map[string]any{"type": "object", "properties": parameters[name]}
		tools = append(tools, tool{Type: "function", Function: function{Name: name, Parameters: schema}})
	}
	text, err := json.Marshal(tools)
	if err != nil {
		return "", fmt.Errorf("encode tools: %w", err)
	}
	return string(text), nil
}

// typeOf is the type of a JSON value in JSON Schema.
func typeOf(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}

// chat collects conversations as columns.
type chat struct {
	ends, callEnds         []int
	roles, contents, names []string
	said, called, named    []bool
	ids, types, tools      []string
	arguments              []string
	toolLists              []string
	hasTools               []bool
}

// newChat reads conversations. openAI: results refer to their calls by id, not by the
// tool's name.
func newChat(texts []string, openAI bool) (*chat, error) {
	c := new(chat)
	for _, text := range texts {
		var one conversation
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			return nil, fmt.Errorf("read conversation: %w", err)
		}
		for _, m := range one.Messages {
			c.add(m, openAI)
		}
		c.ends = append(c.ends, len(c.roles))
		c.toolLists, c.hasTools = append(c.toolLists, one.Tools), append(c.hasTools, one.Tools != "")
	}
	return c, nil
}

func (c *chat) add(m message, openAI bool) {
	name := m.Tool
	if openAI {
		name = m.Call
	}
	c.roles, c.contents, c.names = append(c.roles, m.Role), append(c.contents, m.Content), append(c.names, name)
	c.said, c.called, c.named = append(c.said, m.Content != "" || len(m.Calls) == 0), append(c.called, len(m.Calls) > 0), append(c.named, m.Role == "tool")
	for _, call := range m.Calls {
		c.ids, c.types, c.tools = append(c.ids, call.ID), append(c.types, "function"), append(c.tools, call.Tool)
		c.arguments = append(c.arguments, string(call.Arguments))
	}
	c.callEnds = append(c.callEnds, len(c.ids))
}

// column is the column messages; first are the columns of a call before its type, said
// whether a message without text has none.
func (c *chat) column(content files.Column, first ...files.Column) files.Column {
	function := files.Column{Children: []files.Column{{Strings: c.tools}, {Strings: c.arguments}}}
	calls := files.Column{Ends: c.callEnds, Valid: c.called, Children: []files.Column{{
		Children: append(first, files.Column{Strings: c.types}, function),
	}}}
	return files.Column{Ends: c.ends, Children: []files.Column{{
		Children: []files.Column{{Strings: c.roles}, content, calls, {Strings: c.names, Valid: c.named}},
	}}}
}

// shapeMessages makes the columns of messages.
func shapeMessages(b *files.Batch) (*files.Batch, error) {
	c, err := newChat(b.Columns[0].Strings, false)
	if err != nil {
		return nil, err
	}
	return &files.Batch{Rows: b.Rows, Labels: b.Labels, Cursor: b.Cursor, Columns: []files.Column{
		c.column(files.Column{Strings: c.contents}), {Strings: c.toolLists, Valid: c.hasTools}, b.Columns[1], b.Columns[2],
	}}, nil
}

// shapeOpenAIChat makes the columns of openai_chat.
func shapeOpenAIChat(b *files.Batch) (*files.Batch, error) {
	c, err := newChat(b.Columns[0].Strings, true)
	if err != nil {
		return nil, err
	}
	return &files.Batch{Rows: b.Rows, Labels: b.Labels, Cursor: b.Cursor, Columns: []files.Column{
		c.column(files.Column{Strings: c.contents, Valid: c.said}, files.Column{Strings: c.ids}), {Strings: c.toolLists, Valid: c.hasTools},
	}}, nil
}
