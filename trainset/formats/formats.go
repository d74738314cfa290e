// Package formats has the columns of each training format, named, ordered and typed as
// the trainers that read them expect.
//
// What each trainer takes is in docs/training-sets.md; `make test-interop` checks it
// with the trainers' own libraries.
package formats

import (
	"slices"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
)

// Schema is the columns of a format. It is the caller's own copy, and empty for a format
// that does not exist.
//
// The formats of OpenAI have no columns but those that its service knows: it refuses a
// file with others. Every other format says which interaction (or session) a row is from.
func Schema(format flywheelv1.TrainingFormat) files.Schema {
	switch format {
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED:
		return with(files.Schema{prompt(), completion()}, provenance(), reward())
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_MESSAGES:
		return messages()
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_PREFERENCE:
		return preference()
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_UNPAIRED_PREFERENCE:
		return with(files.Schema{prompt(), completion(), {
			Name: "label", Kind: files.Bool, Doc: "Whether the completion is a good one.",
		}}, provenance(), reward())
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_REWARD:
		return with(files.Schema{prompt(), completion(), {
			Name: "score", Kind: files.Float64, Doc: "The reward, from -1 to 1.",
		}}, provenance())
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_NEXT_EDIT:
		return nextEdit()
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_SIGNALS:
		return signals()
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_OPENAI_CHAT:
		return openAIChat()
	case flywheelv1.TrainingFormat_TRAINING_FORMAT_OPENAI_PREFERENCE:
		return openAIPreference()
	default:
		return nil
	}
}

func with(schema files.Schema, more ...[]files.Field) files.Schema {
	return append(schema, slices.Concat(more...)...)
}

func prompt() files.Field {
	return files.Field{Name: "prompt", Kind: files.String, Doc: "What the model was given."}
}

func completion() files.Field {
	return files.Field{Name: "completion", Kind: files.String, Doc: "The text that continues the prompt."}
}

// provenance says which interaction a row is from.
func provenance() []files.Field {
	return []files.Field{
		{Name: "interaction_id", Kind: files.String, Doc: "The interaction, a UUIDv7."},
		language(),
		outcome("interaction"),
	}
}

func language() files.Field {
	return files.Field{Name: "language", Kind: files.String, Repeats: true, Doc: "Language of the document, for example go."}
}

func outcome(of string) files.Field {
	return files.Field{Name: "outcome", Kind: files.String, Repeats: true, Doc: "Label of the " + of + ", for example accepted."}
}

func reward() []files.Field {
	return []files.Field{{Name: "reward", Kind: files.Float64, Doc: "The reward, from -1 to 1."}}
}

func preference() files.Schema {
	return files.Schema{
		prompt(),
		{Name: "chosen", Kind: files.String, Doc: "The better completion."},
		{Name: "rejected", Kind: files.String, Doc: "The worse completion."},
		{
			Name: "origin", Kind: files.String, Repeats: true,
			Doc: "Where chosen is from: opportunity (another suggestion), alternative (what the user wrote instead), modified (what it became), correction.",
		},
		{Name: "interaction_id", Kind: files.String, Doc: "The interaction of the rejected completion, a UUIDv7."},
		language(),
		{Name: "margin", Kind: files.Float64, Doc: "Difference of the rewards; 0 where chosen is no interaction's."},
	}
}

func nextEdit() files.Schema {
	return with(files.Schema{
		{Name: "events", Kind: files.String, Doc: "The edits before, as a unified diff."},
		{Name: "input", Kind: files.String, Doc: "The excerpt, with the marks <|editable_region_start|>, <|editable_region_end|> and <|user_cursor_is_here|>."},
		{Name: "output", Kind: files.String, Doc: "The editable region as it should become, between its marks."},
		{Name: "rejected", Kind: files.String, Nullable: true, Doc: "The editable region as a rejected suggestion would have made it."},
	}, provenance())
}
