package files_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/yirifi/flywheel/trainset/files"
)

// conversations is a schema with every kind of field, nested as chat messages are.
func conversations() files.Schema {
	return files.Schema{
		{Name: "id", Kind: files.String, Doc: "the interaction"},
		{Name: "messages", Kind: files.List, Doc: "the chat", Fields: []files.Field{{Kind: files.Struct, Fields: []files.Field{
			{Name: "role", Kind: files.String, Repeats: true},
			{Name: "content", Kind: files.String},
			{Name: "name", Kind: files.String, Nullable: true, Omit: true},
			{Name: "tool_calls", Kind: files.List, Nullable: true, Omit: true, Fields: []files.Field{{Kind: files.Struct, Fields: []files.Field{
				{Name: "type", Kind: files.String, Repeats: true},
				{Name: "function", Kind: files.Struct, Fields: []files.Field{
					{Name: "name", Kind: files.String}, {Name: "arguments", Kind: files.JSON},
				}},
			}}}},
		}}}},
		{Name: "model", Kind: files.String, Repeats: true},
		{Name: "settled", Kind: files.Bool},
		{Name: "latency", Kind: files.Int64, Nullable: true, Doc: "ms | none when not measured"},
		{Name: "reward", Kind: files.Float64},
		{Name: "at", Kind: files.Timestamp},
	}
}

// message and the types below are a row as a reader of Parquet sees it.
type row struct {
	ID       string     `parquet:"id,optional"`
	Messages []*message `parquet:"messages,optional,list"`
	Model    string     `parquet:"model,optional"`
	Settled  *bool      `parquet:"settled,optional"`
	Latency  *int64     `parquet:"latency,optional"`
	Reward   *float64   `parquet:"reward,optional"`
	At       *int64     `parquet:"at,optional"`
}

type message struct {
	Role      string  `parquet:"role,optional"`
	Content   *string `parquet:"content,optional"`
	Name      *string `parquet:"name,optional"`
	ToolCalls []*call `parquet:"tool_calls,optional,list"`
}

type call struct {
	Type     string    `parquet:"type,optional"`
	Function *function `parquet:"function,optional"`
}

type function struct {
	Name      string  `parquet:"name,optional"`
	Arguments *string `parquet:"arguments,optional"`
}

// randomRows are the same rows each time. Some have no messages; a message without tool
// calls has no list of them, which is not an empty list.
func randomRows(n int) []row {
	r := rand.New(rand.NewPCG(1, 2))
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{
			ID: fmt.Sprintf("%08x-%d", r.Uint32(), i), Messages: []*message{}, Model: fmt.Sprintf("model %d", r.IntN(4)),
			Settled: new(r.IntN(2) == 0), Reward: new(float64(r.IntN(201)-100) / 100),
			At: new(1_700_000_000_000_000 + int64(i)*1_234_567),
		}
		if r.IntN(3) > 0 {
			rows[i].Latency = new(r.Int64N(5000))
		}
		for range r.IntN(4) {
			rows[i].Messages = append(rows[i].Messages, randomMessage(r))
		}
	}
	return rows
}

func randomMessage(r *rand.Rand) *message {
	m := &message{Role: "user", Content: new(fmt.Sprintf("what is \"%d\"?\n", r.IntN(100)))}
	if r.IntN(2) == 0 {
		return m
	}
	m.Role, m.Name = "assistant", new("né")
	for range 1 + r.IntN(2) {
		m.ToolCalls = append(m.ToolCalls, &call{Type: "function", Function: &function{
			Name: "add", Arguments: new(fmt.Sprintf(`{"a": %d}`, r.IntN(10))),
		}})
	}
	return m
}

// batchOf holds rows column by column. The cursor is how many rows came until then.
func batchOf(rows []row, before int) *files.Batch {
	var id, model, role, content, name, typ, function, arguments, latency, reward, settled, at, messages, calls files.Column
	labels := make([]string, 0, len(rows))
	for _, r := range rows {
		id.Strings = append(id.Strings, r.ID)
		model.Strings = append(model.Strings, r.Model)
		settled.Bools = append(settled.Bools, *r.Settled)
		reward.Floats = append(reward.Floats, *r.Reward)
		at.Times = append(at.Times, time.UnixMicro(*r.At))
		latency.Valid = append(latency.Valid, r.Latency != nil)
		latency.Ints = append(latency.Ints, valueOf(r.Latency))
		for _, m := range r.Messages {
			role.Strings = append(role.Strings, m.Role)
			content.Strings = append(content.Strings, valueOf(m.Content))
			name.Strings = append(name.Strings, valueOf(m.Name))
			name.Valid = append(name.Valid, m.Name != nil)
			for _, c := range m.ToolCalls {
				typ.Strings = append(typ.Strings, c.Type)
				function.Strings = append(function.Strings, c.Function.Name)
				arguments.Strings = append(arguments.Strings, *c.Function.Arguments)
			}
			calls.Ends = append(calls.Ends, len(typ.Strings))
			calls.Valid = append(calls.Valid, m.ToolCalls != nil)
		}
		messages.Ends = append(messages.Ends, len(role.Strings))
		labels = append(labels, map[bool]string{true: "accepted", false: "rejected"}[*r.Reward > 0])
	}
	calls.Children = []files.Column{{Children: []files.Column{typ, {Children: []files.Column{function, arguments}}}}}
	messages.Children = []files.Column{{Children: []files.Column{role, content, name, calls}}}
	return &files.Batch{
		Rows: len(rows), Columns: []files.Column{id, messages, model, settled, latency, reward, at},
		Labels: labels, Cursor: fmt.Sprint(before + len(rows)),
	}
}

func valueOf[T any](v *T) (value T) {
	if v != nil {
		value = *v
	}
	return value
}

func config(format files.Format) files.Config {
	return files.Config{
		Schema: conversations(), Splits: []string{"train", "test"}, Format: format, ShardBytes: 20_000,
		Request: json.RawMessage(`{"kind": "sft", "query": "a < b"}`), Definition: 1, Version: "v1.2.3",
		Watermark: time.Date(2026, 8, 22, 10, 0, 0, 0, time.UTC),
		Card: files.Card{
			PrettyName: "Café: completions", License: "apache-2.0", Languages: []string{"en"},
			TaskCategories: []string{"text-generation"}, About: "Answers that users kept.", Selection: "Accepted and settled.",
		},
	}
}

// export writes rows in batches of a size: nine in ten for training. It continues where
// an export that is there ended.
func export(ctx context.Context, sink files.Sink, cfg files.Config, rows []row, size int) (*files.Manifest, error) {
	w, err := files.Open(ctx, sink, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Close() }() // what failed before says why
	parts := map[string][]row{"train": rows[:len(rows)*9/10], "test": rows[len(rows)*9/10:]}
	for _, split := range cfg.Splits {
		if err := exportSplit(ctx, w, split, parts[split], size); err != nil {
			return nil, err
		}
	}
	return w.Finish(ctx, map[string]int64{"duplicates removed": 7, "without consent": 3})
}

func exportSplit(ctx context.Context, w *files.Writer, split string, rows []row, size int) error {
	at := 0
	position := w.Position(split)
	if position.Done {
		return nil
	}
	if position.Cursor != "" {
		if _, err := fmt.Sscan(position.Cursor, &at); err != nil {
			return err
		}
	}
	for at < len(rows) {
		end := min(at+size, len(rows))
		if err := w.Write(ctx, split, batchOf(rows[at:end], at)); err != nil {
			return err
		}
		at = end
	}
	return w.End(ctx, split)
}

// contents are a folder's files by name.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func newFolder(t testing.TB) (*files.Folder, string) {
	t.Helper()
	path := t.TempDir()
	folder, err := files.NewFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	return folder, path
}
