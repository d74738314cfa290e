package trainset

import (
	"context"
	"slices"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor/signal"
	"github.com/yirifi/flywheel/trainset/files"
	"github.com/yirifi/flywheel/trainset/formats"
)

type definition = signal.Definition

// format says how the rows of a format are chosen, kept and written.
type format struct {
	name, about string
	// statement is the file of sql/ that gives the rows, or where compose is given, what
	// it needs to make them.
	statement string
	compose   func(context.Context, *job) error
	// labels are those that rows are made from unless the request says so.
	labels []string
	// sessions says that a row is a session, not an interaction.
	sessions bool
	// balance is the column whose values are balanced; empty: the label.
	balance string
	// columns are the columns of the kept rows that are read for the files, of the kinds
	// of kept. texts are those of them that the quality of a row is judged by; signals are
	// columns of training_signals.
	columns, texts, signals []string
	kept, schema            files.Schema
	// shape makes the columns of the schema from those that are kept. Nil: they are the
	// same.
	shape func(*files.Batch) (*files.Batch, error)
}

// formatOf returns a format; one that does not exist has no name.
func formatOf(f flywheelv1.TrainingFormat) format {
	text := func(names ...string) files.Schema {
		var fields files.Schema
		for _, name := range names {
			fields = append(fields, files.Field{Name: name, Kind: files.String})
		}
		return fields
	}
	accepted := []string{"accepted", "partially_accepted", "accepted_modified"}
	decided := append([]string{"rejected", "ignored"}, accepted...)
	all := append([]string{"undecided", "auto_accepted", "superseded", "cancelled"}, decided...)
	completion := []string{"text_prompt", "text_completion"}
	pair := []string{"text_prompt", "text_chosen", "text_rejected"}

	found := format{schema: formats.Schema(f)}
	found.kept = found.schema
	switch f {
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED:
		found.name, found.about = "supervised", "prompts, and the completions that people accepted, as they left them"
		found.statement, found.labels, found.texts = "completions.sql", accepted, completion
		found.columns = slices.Concat(completion, []string{"interaction", "language", "outcome", "reward"})
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_UNPAIRED_PREFERENCE:
		found.name, found.about = "unpaired_preference", "completions, and whether people found them good"
		found.statement, found.labels, found.texts, found.balance = "completions.sql", decided, completion, "label_good"
		found.columns = slices.Concat(completion, []string{"label_good", "interaction", "language", "outcome", "reward"})
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_REWARD:
		found.name, found.about = "reward", "completions with the reward that what people did with them is worth"
		found.statement, found.labels, found.texts = "completions.sql", decided, completion
		found.columns = slices.Concat(completion, []string{"score", "interaction", "language", "outcome"})
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_PREFERENCE:
		found.name, found.about = "preference", "pairs of completions, one better than the other"
		found.statement, found.labels, found.texts = "preferences.sql", all, pair
		found.columns = slices.Concat(pair, []string{"origin", "interaction", "language", "margin"})
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_OPENAI_PREFERENCE:
		found.name, found.about = "openai_preference", "pairs of completions, one better than the other, for OpenAI's fine-tuning"
		found.statement, found.labels, found.texts = "preferences.sql", all, pair
		found.columns, found.kept, found.shape = pair, text(pair...), shapePreference
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_MESSAGES:
		found.name, found.about = "messages", "sessions of agents as conversations with tool calls"
		found.statement, found.sessions, found.compose, found.texts = "conversations.sql", true, composeConversations, completion
		found.columns, found.kept, found.shape = []string{"text_messages", "interaction", "outcome"}, text("messages", "session_id", "outcome"), shapeMessages
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_OPENAI_CHAT:
		found.name, found.about = "openai_chat", "sessions of agents as conversations with tool calls, for OpenAI's fine-tuning"
		found.statement, found.sessions, found.compose, found.texts = "conversations.sql", true, composeConversations, completion
		found.columns, found.kept, found.shape = []string{"text_messages"}, text("messages"), shapeOpenAIChat
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_NEXT_EDIT:
		found.name, found.about = "next_edit", "edits that people made next, after the edits before"
		found.statement, found.compose, found.labels = "next_edits.sql", composeNextEdits, append([]string{"rejected"}, accepted...)
		found.texts = []string{"text_events", "text_input", "text_output"}
		found.columns = slices.Concat(found.texts, []string{"text_rejected", "interaction", "language", "outcome"})
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_SIGNALS:
		found.name, found.about = "signals", "labels and rewards, without text"
		found.statement, found.labels = "signals.sql", all
		for _, field := range found.schema {
			found.signals = append(found.signals, field.Name)
		}
		found.columns = found.signals
	default:
	}
	return found
}

// shapePreference makes conversations of one message.
func shapePreference(b *files.Batch) (*files.Batch, error) {
	ends := make([]int, b.Rows)
	roles := map[string][]string{"user": make([]string, b.Rows), "assistant": make([]string, b.Rows)}
	for i := range b.Rows {
		ends[i], roles["user"][i], roles["assistant"][i] = i+1, "user", "assistant"
	}
	message := func(role string, text files.Column) files.Column {
		return files.Column{Ends: ends, Children: []files.Column{{Children: []files.Column{{Strings: roles[role]}, text}}}}
	}
	return &files.Batch{
		Rows: b.Rows, Labels: b.Labels, Cursor: b.Cursor,
		Columns: []files.Column{
			{Children: []files.Column{message("user", b.Columns[0])}},
			message("assistant", b.Columns[1]),
			message("assistant", b.Columns[2]),
		},
	}, nil
}
