package formats_test

import (
	"encoding/json"
	"fmt"
)

// tools are the tools that conversations use; their schemas differ in shape.
const tools = `[
	{"type": "function", "function": {"name": "read_file", "description": "Reads a \"file\".", "parameters":
		{"type": "object", "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}}, "required": ["path"]}}},
	{"type": "function", "function": {"name": "now", "description": "The time.", "parameters": {"type": "object", "properties": {}}}}]`

func (s *sampler) message(role string) map[string]any {
	return map[string]any{"role": role, "content": s.text()}
}

// conversation is a question, calls of tools unless nothing may be there that can be
// missing, and the answer. OpenAI's calls have ids and no text beside them.
func (s *sampler) conversation(openAI bool) []map[string]any {
	messages := []map[string]any{s.message("system"), s.message("user")}
	if !s.missing && s.IntN(3) > 0 {
		messages = append(messages, s.calls(openAI)...)
	}
	return append(messages, s.message("assistant"))
}

// calls is a message with calls, and the tools' results.
func (s *sampler) calls(openAI bool) []map[string]any {
	var calls []map[string]any
	var results []map[string]any
	for i := range 1 + s.IntN(2) {
		name := oneOf(s, "read_file", "now")
		id := fmt.Sprintf("call_%d", i)
		calls = append(calls, map[string]any{
			"id": id, "type": "function", "function": map[string]any{"name": name, "arguments": s.arguments(name)},
		})
		result := s.message("tool")
		result["name"], result["tool_call_id"] = name, id
		results = append(results, result)
	}
	message := map[string]any{"role": "assistant", "content": "", "tool_calls": calls}
	if openAI {
		delete(message, "content")
	}
	return append([]map[string]any{message}, results...)
}

// arguments are those of a call: their names and types differ from call to call.
func (s *sampler) arguments(tool string) string {
	if tool == "now" {
		return "{}"
	}
	text, err := json.Marshal(s.text())
	if err != nil {
		panic(err) // a string is JSON
	}
	lines := oneOf(s, "null", "[1, 2]", `"all"`, "7", "true", `{"from": 1, "to": 2.5}`)
	return fmt.Sprintf(`{"path": %s, "lines": %s}`, text, lines)
}
