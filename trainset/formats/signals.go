package formats

import (
	"slices"

	"github.com/yirifi/flywheel/trainset/files"
)

// signals is every column of the view training_signals, in its order. Flags are
// booleans, ids text, enumerations their names.
func signals() files.Schema {
	return slices.Concat(identity(), judgement(), measures(), rewards())
}

func identity() files.Schema {
	repeated := func(name, doc string) files.Field {
		return files.Field{Name: name, Kind: files.String, Repeats: true, Doc: doc}
	}
	return files.Schema{
		{Name: "definition", Kind: files.Int64, Repeats: true, Doc: "Version of the definition of label and reward."},
		repeated("tenant", "The tenant."),
		{Name: "started_at", Kind: files.Timestamp, Doc: "When the interaction started."},
		{Name: "interaction_id", Kind: files.String, Doc: "The interaction, a UUIDv7."},
		{Name: "opportunity_id", Kind: files.String, Doc: "The opportunity that it belongs to; zeros: not known."},
		repeated("session_id", "The session; zeros: not known."),
		repeated("user", "The user."),
		repeated("repository", "The repository."),
		repeated("surface", "Where it was shown."),
		repeated("model", "The model."),
		repeated("variant", "The variant of the experiment."),
		repeated("experiment", "The experiment."),
		repeated("language", "Language of the document, for example go."),
		repeated("client", "The client."),
		repeated("client_version", "Its version."),
		repeated("client_setting", "Its setting."),
		repeated("view_kind", "How it was shown."),
		repeated("source", "What produced it."),
		repeated("trigger", "What caused it."),
		repeated("kind", "What it was."),
	}
}

func judgement() files.Schema {
	return files.Schema{
		{Name: "shown", Kind: files.Bool, Doc: "Whether the user saw it."},
		{Name: "outcome", Kind: files.Int64, Repeats: true, Doc: "The label as a number."},
		{Name: "label", Kind: files.String, Repeats: true, Doc: "What became of it, for example accepted."},
		{Name: "decided_at", Kind: files.Timestamp, Doc: "When that was decided; 1970: not decided."},
		{Name: "visible_us", Kind: files.Int64, Doc: "How long it was visible, in microseconds; 0: not measured."},
		{Name: "output_chars", Kind: files.Int64, Doc: "Length of the output in characters."},
		{Name: "superseded_by", Kind: files.String, Repeats: true, Doc: "The interaction that took its place; zeros: none."},
	}
}

func measures() files.Schema {
	each := func(name string, element files.Kind, repeats bool, doc string) files.Field {
		return files.Field{Name: name, Kind: files.List, Doc: doc, Fields: []files.Field{{Kind: element, Repeats: repeats}}}
	}
	return files.Schema{
		{Name: "accepted_chars", Kind: files.Int64, Doc: "Characters accepted."},
		each("retention_measured", files.Int64, true, "1 where retention was measured at 0, 5, 30, 120, 300, 600 and 900 s."),
		each("retained_chars", files.Int64, false, "Characters retained at each delay; 0 where not measured."),
		each("four_gram", files.Float64, false, "Four-gram survival at each delay, from 0 to 1; -1 where not measured."),
		{Name: "thumb", Kind: files.String, Repeats: true, Doc: "up, down, or empty."},
		{Name: "rating", Kind: files.Int64, Nullable: true, Repeats: true, Doc: "The user's rating, from 0 to 100."},
		each("task_results", files.String, true, "What became of the task, for example tests_passed."),
		{Name: "has_alternative", Kind: files.Bool, Doc: "Whether it is known what the user did instead."},
		{Name: "alternative_no_edit", Kind: files.Bool, Doc: "Whether that was nothing."},
		{Name: "alternative_chars", Kind: files.Int64, Doc: "Length of what the user wrote instead, in characters."},
	}
}

func rewards() files.Schema {
	number := func(name, doc string) files.Field {
		return files.Field{Name: name, Kind: files.Int64, Doc: doc}
	}
	return files.Schema{
		number("outcome_part", "Part of the reward for the label, in 1/10000."),
		number("retention_part", "Part for what was retained of what was accepted, in 1/10000."),
		number("kept_chars", "Characters retained at the longest delay that was measured."),
		number("kept_part", "Part for what was retained of the output, in 1/10000."),
		number("feedback_part", "Part for thumb and rating, in 1/10000."),
		number("task_part", "Part for what became of the task, in 1/10000."),
		number("reward_e4", "The reward in 1/10000, from -10000 to 10000."),
		{Name: "reward", Kind: files.Float64, Doc: "The reward, from -1 to 1."},
		{Name: "settles_at", Kind: files.Timestamp, Doc: "When the attribution window closes."},
		{Name: "settled", Kind: files.Bool, Doc: "Whether it had closed."},
	}
}
