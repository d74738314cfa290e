package processor

import "time"

// table says how a table of counts is settled. The statements of settle/ are templates
// of it.
type table struct {
	// Name is the table, Start the function that gives the start of its buckets, Group
	// the columns by which a bucket's counts are apart.
	Name, Start, Group string
	// Width is the width of a bucket.
	Width time.Duration
	// From is the table of shorter buckets that this one sums. Empty: it counts
	// interactions and opportunities.
	From string
	// Details are counts that only some tables have.
	Details bool
	// Threads bounds how many threads a recount has. Zero: as many as there are cores.
	Threads int
	// The version of a bucket is the sum of others: by bucket of Versions, the aggregate
	// Version.
	Versions, Version string
	// Settled holds the versions at which buckets were settled. Notes is the same for
	// inserts, which begin with Kind where there is one.
	Settled, Notes, Kind string
	// Sources are the tables, as SQL strings, whose rows expire: buckets of which rows may
	// be gone are frozen.
	Sources string
}

const rateGroup = `surface, model, variant, experiment, language, client,
    client_version, client_setting, view_kind, source, trigger`

const rollupNotes = "settled_rollups (kind, tenant, bucket, version, settled_at)"

// minuteRates are counts per minute and combination of dimensions.
func minuteRates() table {
	return table{
		Name: "rates", Start: "toStartOfMinute", Width: time.Minute, Group: rateGroup, Details: true,
		Versions: "bucket_touches", Version: "sum(touches)",
		Settled: "settled_buckets", Notes: "settled_buckets (tenant, bucket, version, settled_at)",
		Sources: "'interactions', 'opportunities', 'rates'",
	}
}

// userRates are counts per hour, user and arm of an experiment. Nobody waits for them:
// one thread recounts an hour.
func userRates() table {
	return table{
		Name: "user_rate_hours", Start: "toStartOfHour", Width: time.Hour, Group: "experiment, variant, user", Threads: 1,
		Versions: "bucket_touches", Version: "sum(touches)",
		Settled: settledRollups("user_rate_hours"), Notes: rollupNotes, Kind: "user_rate_hours",
		Sources: "'interactions', 'opportunities'",
	}
}

// rollups are the sums of minuteRates, each of the one before it.
func rollups() []table {
	return []table{
		{
			Name: "rate_hours", Start: "toStartOfHour", Width: time.Hour, Group: rateGroup, From: "rates",
			Versions: "settled_buckets", Version: "max(version)",
			Settled: settledRollups("rate_hours"), Notes: rollupNotes, Kind: "rate_hours",
			Sources: "'rates'",
		},
		{
			Name: "rate_days", Start: "toStartOfDay", Width: 24 * time.Hour, Group: rateGroup, From: "rate_hours",
			Versions: settledRollups("rate_hours"), Version: "max(version)",
			Settled: settledRollups("rate_days"), Notes: rollupNotes, Kind: "rate_days",
			Sources: "'rate_hours'",
		},
	}
}

// settledRollups are the notes of one kind.
func settledRollups(kind string) string {
	return "(SELECT tenant, bucket, version, settled_at FROM settled_rollups WHERE kind = '" + kind + "')"
}
