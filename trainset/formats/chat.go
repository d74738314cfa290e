package formats

import "github.com/yirifi/flywheel/trainset/files"

// messages are conversations as TRL and chat templates take them: the arguments of a
// call are an object, and tools is one JSON string, because tools have schemas of
// different shapes.
func messages() files.Schema {
	return files.Schema{
		list("messages", "The conversation.", chatMessage(
			files.Field{Name: "content", Kind: files.String, Doc: "Its text; empty beside tool calls."},
			[]files.Field{typeOf(), function(files.JSON, "Arguments by name.")},
			files.Field{Name: "name", Kind: files.String, Nullable: true, Omit: true, Repeats: true, Doc: "Of a tool's result: the tool."},
		)),
		{Name: "tools", Kind: files.String, Nullable: true, Doc: "The tools as a JSON list of {type, function: {name, description, parameters}}."},
		{Name: "session_id", Kind: files.String, Doc: "The session, a UUIDv7."},
		outcome("session"),
	}
}

// openAIChat is the conversations of OpenAI's supervised fine-tuning: the arguments of a
// call are a JSON string, calls have ids, and the tools' results refer to them.
func openAIChat() files.Schema {
	id := files.Field{Name: "id", Kind: files.String, Doc: "Identity of the call."}
	return files.Schema{
		list("messages", "The conversation.", chatMessage(
			files.Field{Name: "content", Kind: files.String, Nullable: true, Omit: true, Doc: "Its text; none beside tool calls."},
			[]files.Field{id, typeOf(), function(files.String, "Arguments as a JSON string.")},
			files.Field{Name: "tool_call_id", Kind: files.String, Nullable: true, Omit: true, Doc: "Of a tool's result: the call."},
		)),
		{Name: "tools", Kind: files.JSON, Nullable: true, Omit: true, Doc: "The tools, a list of {type, function}."},
	}
}

// openAIPreference is OpenAI's preference fine-tuning.
func openAIPreference() files.Schema {
	return files.Schema{
		{Name: "input", Kind: files.Struct, Doc: "What the model was given.", Fields: []files.Field{
			list("messages", "The conversation until then.", plainMessage()),
		}},
		list("preferred_output", "The better answer, one message.", plainMessage()),
		list("non_preferred_output", "The worse answer, one message.", plainMessage()),
	}
}

func list(name, doc string, elements []files.Field) files.Field {
	return files.Field{Name: name, Kind: files.List, Doc: doc, Fields: []files.Field{{Kind: files.Struct, Fields: elements}}}
}

func role() files.Field {
	return files.Field{Name: "role", Kind: files.String, Repeats: true, Doc: "system, user, assistant or tool."}
}

func plainMessage() []files.Field {
	return []files.Field{role(), {Name: "content", Kind: files.String, Doc: "Its text."}}
}

func chatMessage(content files.Field, call []files.Field, last files.Field) []files.Field {
	calls := list("tool_calls", "The calls that the model made.", call)
	calls.Nullable, calls.Omit = true, true
	return []files.Field{role(), content, calls, last}
}

func typeOf() files.Field {
	return files.Field{Name: "type", Kind: files.String, Repeats: true, Doc: "Always function."}
}

func function(arguments files.Kind, doc string) files.Field {
	return files.Field{Name: "function", Kind: files.Struct, Fields: []files.Field{
		{Name: "name", Kind: files.String, Repeats: true, Doc: "The tool."},
		{Name: "arguments", Kind: arguments, Doc: doc},
	}}
}
