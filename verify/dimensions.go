package verify

import "strings"

// dimensionNames are the dimensions that rates are counted by; armNames those of
// user rates.
var (
	dimensionNames = []string{
		"surface", "model", "variant", "experiment", "language", "client",
		"client_version", "client_setting", "view_kind", "source", "trigger",
	}
	armNames = []string{"experiment", "variant", "user"}
)

const (
	variantAt    = 2
	experimentAt = 3
)

// dimensions is a combination of dimensions. There is one of each in a chunk.
type dimensions struct {
	// key is all values, as in a row.
	key    string
	values []string
	// empty: no event has set any yet.
	empty bool
}

// combinations are the dimensions that were seen.
type combinations map[string]*dimensions

func (c combinations) of(key string) *dimensions {
	if d := c[key]; d != nil {
		return d
	}
	d := &dimensions{key: strings.Clone(key)}
	d.values = split(d.key)
	d.empty = strings.Trim(d.key, "\x00") == ""
	c[d.key] = d
	return d
}

// merge returns the greater value of each dimension, as rows of a table merge.
func (c combinations) merge(a, b *dimensions) *dimensions {
	if a == b || b.empty {
		return a
	}
	if a.empty {
		return b
	}
	values := make([]string, len(a.values))
	for i := range values {
		values[i] = max(a.values[i], b.values[i])
	}
	return c.of(join(values...))
}

// arm is the key of a user's counts.
func (d *dimensions) arm(user string) string {
	return join(d.values[experimentAt], d.values[variantAt], user)
}

// describe names the values of a key that are not empty.
func describe(names []string, key string) string {
	var parts []string
	for i, value := range split(key) {
		if value != "" && i < len(names) {
			parts = append(parts, names[i]+"="+value)
		}
	}
	return strings.Join(parts, " ")
}
