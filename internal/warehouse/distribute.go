package warehouse

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// shardKeys are the columns that decide on which shard of a cluster a row is. They are
// part of the table's sorting key, so that rows that merge are on one shard; a minute's
// rates are on one shard, so that a settlement of it is stored whole or not at all.
func shardKeys() map[string]string {
	return map[string]string{
		"schema_migrations": "version",
		"interactions":      "interaction_id",
		"opportunities":     "opportunity_id",
		"content":           "id",
		"edits":             "session_id",
		"steps":             "session_id",
		"bucket_touches":    "tenant, bucket",
		"settled_buckets":   "tenant, bucket",
		"settled_rollups":   "tenant, bucket",
		"rates":             "tenant, bucket",
		"rate_hours":        "tenant, bucket",
		"rate_days":         "tenant, bucket",
		"user_rate_hours":   "tenant, bucket",
		"definitions":       "definition",
		"ages":              "name",
		"models":            "tenant, model",
		"training_sets":     "tenant, training_set_id",
		"evaluations":       "tenant, model",
	}
}

// localSuffix ends the name of the table that holds a shard's rows.
const localSuffix = "_local"

// The forms of statements that can be distributed, after their comment.
var (
	createTable = regexp.MustCompile(`(?s)^CREATE TABLE (?:IF NOT EXISTS )?(\w+)\s+(\(.*\)|AS (\w+))\s+ENGINE = (\w*MergeTree)(?:\((\w+)\))?\s+((?:PARTITION|ORDER) BY\s.*)$`)
	orderBy     = regexp.MustCompile(`(?:^|\s)ORDER BY (?:\(([\w, ]+)\)|(\w+))$`)
	addColumns  = regexp.MustCompile(`(?s)^ALTER TABLE (\w+)(\s+ADD COLUMN .*)$`)
	addColumn   = regexp.MustCompile(`\bADD COLUMN (?:IF NOT EXISTS )?`)
	settings    = regexp.MustCompile(`(?s)^ALTER TABLE (\w+)(\s+MODIFY SETTING \w+ = [\w.]+(?:,\s*\w+ = [\w.]+)*)$`)
	otherChange = regexp.MustCompile(`\b(?:DROP|MODIFY|RENAME|COMMENT|CLEAR|DELETE|UPDATE|MATERIALIZE|ADD (?:INDEX|PROJECTION|CONSTRAINT|STATISTICS))\b`)
	createView  = regexp.MustCompile(`(?s)^CREATE (?:OR REPLACE )?VIEW (\w+)(\s+AS\s.*)$`)
	insertInto  = regexp.MustCompile(`(?s)^INSERT INTO \w+\s`)
)

// step is a statement for a cluster. Everywhere: it is to be run on every server, or, with
// Keeper, it says so itself.
type step struct {
	sql        string
	everywhere bool
}

// distribute takes a statement that makes or changes tables of one server apart into those
// that do the same on a cluster, again and again if need be: a table becomes NAME_local on every shard, and NAME over
// all of them, by keys, the columns that say on which shard a row is. Statements of other
// forms than those of the migrations are errors.
func (c *cluster) distribute(statement string, keys map[string]string) ([]step, error) {
	sql := withoutComment(statement)
	if m := createTable.FindStringSubmatch(sql); m != nil {
		return c.distributeTable(m, keys)
	}
	if m := addColumns.FindStringSubmatch(sql); m != nil && !otherChange.MatchString(m[2]) {
		columns := addColumn.ReplaceAllLiteralString(m[2], "ADD COLUMN IF NOT EXISTS ")
		return []step{
			{"ALTER TABLE " + m[1] + localSuffix + c.onCluster() + columns, true},
			{"ALTER TABLE " + m[1] + c.onCluster() + columns, true},
		}, nil
	}
	if m := settings.FindStringSubmatch(sql); m != nil {
		return []step{{"ALTER TABLE " + m[1] + localSuffix + c.onCluster() + m[2], true}}, nil
	}
	if m := createView.FindStringSubmatch(sql); m != nil {
		return []step{{"CREATE OR REPLACE VIEW " + m[1] + c.onCluster() + m[2], true}}, nil
	}
	if insertInto.MatchString(sql) {
		return []step{{sql, false}}, nil
	}
	first, _, _ := strings.Cut(sql, "\n")
	return nil, fmt.Errorf("distribute %q: only CREATE TABLE with a MergeTree engine, ALTER TABLE with ADD COLUMN or MODIFY SETTING, CREATE VIEW and INSERT are possible", first)
}

// distributeTable makes the two tables of one. m is what createTable matched.
func (c *cluster) distributeTable(m []string, keys map[string]string) ([]step, error) {
	name, columns, like, engine, version, rest := m[1], m[2], m[3], m[4], m[5], strings.TrimSpace(m[6])
	key := keys[name]
	if err := checkShardKey(key, rest); err != nil {
		return nil, fmt.Errorf("distribute table %s: %w", name, err)
	}
	switch engine {
	case "MergeTree", "AggregatingMergeTree", "ReplacingMergeTree":
	default:
		return nil, fmt.Errorf("distribute table %s: engine %s is not known", name, engine)
	}
	if like != "" {
		columns = "AS " + like + localSuffix
	}
	if c.keeper {
		engine = "Replicated" + engine + "(" + strings.Join(append([]string{replicaPath, replicaName}, present(version)...), ", ") + ")"
	} else if version != "" {
		engine += "(" + version + ")"
	}
	local := name + localSuffix
	return []step{
		{fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s\n%s\nENGINE = %s\n%s", local, c.onCluster(), columns, engine, rest), true},
		{fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s\nENGINE = Distributed(%s, %s, %s, cityHash64(%s))\nCOMMENT %s",
			name, c.onCluster(), local, literal(c.name), literal(c.database), literal(local), key, literal(c.layout())), true},
	}, nil
}

// Where the servers of a shard agree about a table in Keeper, by the macros of each. The
// path does not depend on the table's UUID, so that a server that joins later finds it.
const (
	replicaPath = "'/clickhouse/tables/{shard}/{database}/{table}'"
	replicaName = "'{replica}'"
)

// checkShardKey refuses a key that could divide the rows of one sorting key, which merge.
func checkShardKey(key, rest string) error {
	m := orderBy.FindStringSubmatch(rest)
	if m == nil {
		return fmt.Errorf("its definition does not end with ORDER BY and columns")
	}
	if key == "" {
		return fmt.Errorf("it is not said which columns decide about the shard of a row (shardKeys)")
	}
	sorted := strings.Split(cmp.Or(m[1], m[2]), ", ")
	for column := range strings.SplitSeq(key, ", ") {
		if !slices.Contains(sorted, column) {
			return fmt.Errorf("column %s decides about the shard of a row and is not in ORDER BY: rows that merge would be apart", column)
		}
	}
	return nil
}

// withoutComment is a statement without the comment before it and the space around it.
func withoutComment(statement string) string {
	sql := strings.TrimSpace(statement)
	for strings.HasPrefix(sql, "--") {
		_, after, _ := strings.Cut(sql, "\n")
		sql = strings.TrimSpace(after)
	}
	return sql
}

// present is a list of s, or an empty one when s is empty.
func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// literal is a string in SQL.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
