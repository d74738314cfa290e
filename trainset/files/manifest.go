package files

import (
	"encoding/json"
	"time"
)

// Manifest is what [ManifestFile] holds: everything about a training set that is needed
// to check it, and to make it again.
type Manifest struct {
	// CreatedAt is the watermark, not the wall clock, so that the same set is the
	// same bytes whenever it is made.
	CreatedAt     time.Time       `json:"created_at"`
	TrainingSetID string          `json:"training_set_id,omitempty"`
	Watermark     time.Time       `json:"watermark"`
	Version       string          `json:"flywheel_version"`
	Definition    int             `json:"definition"`
	Request       json.RawMessage `json:"request"`
	Fingerprint   string          `json:"fingerprint"`
	Format        Format          `json:"format"`
	Compression   Compression     `json:"compression"`
	Encoder       string          `json:"encoder,omitempty"`
	Schema        Schema          `json:"schema"`
	// Splits are in the order of [Config]; one without rows has no shards.
	Splits []SplitCounts `json:"splits"`
	Total  SplitCounts   `json:"total"`
	// Quality are the caller's counters.
	Quality map[string]int64 `json:"quality"`
	// Files are the shards, by split and number.
	Files []Shard `json:"files"`
}

// SplitCounts are the sums over a split's shards. The fields mean what those of [Shard]
// mean.
type SplitCounts struct {
	Split    string           `json:"split,omitempty"`
	Shards   int64            `json:"shards"`
	Rows     int64            `json:"rows"`
	Bytes    int64            `json:"bytes"`
	NumBytes int64            `json:"num_bytes"`
	Labels   map[string]int64 `json:"labels,omitempty"`
	Flaws
}

func (c *SplitCounts) add(s *Shard) {
	c.Shards++
	c.Rows += s.Rows
	c.Bytes += s.Bytes
	c.NumBytes += s.NumBytes
	c.Flaws.add(s.Flaws)
	for label, n := range s.Labels {
		if c.Labels == nil {
			c.Labels = map[string]int64{}
		}
		c.Labels[label] += n
	}
}

func newManifest(cfg *Config, s *state, quality map[string]int64) *Manifest {
	m := &Manifest{
		CreatedAt: cfg.Watermark.UTC(), TrainingSetID: cfg.TrainingSetID, Watermark: cfg.Watermark.UTC(), Version: cfg.Version,
		Definition: cfg.Definition, Request: cfg.Request, Fingerprint: s.Fingerprint,
		Format: cfg.Format, Compression: cfg.Compression, Encoder: cfg.Encoder, Schema: cfg.Schema, Quality: quality,
	}
	for _, name := range cfg.Splits {
		counts := SplitCounts{Split: name}
		for i := range s.Files {
			if s.Files[i].Split == name {
				counts.add(&s.Files[i])
				m.Total.add(&s.Files[i])
				m.Files = append(m.Files, s.Files[i])
			}
		}
		m.Splits = append(m.Splits, counts)
	}
	return m
}
