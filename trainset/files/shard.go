package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// Shard is a finished file of rows.
type Shard struct {
	Path  string `json:"path"`
	Split string `json:"split"`
	Rows  int64  `json:"rows"`
	// Bytes is the size of the file.
	Bytes int64 `json:"bytes"`
	// NumBytes is the size of the values in memory; see [Config].
	NumBytes int64  `json:"num_bytes"`
	SHA256   string `json:"sha256"`
	// Labels is how many rows have each of the labels that batches gave.
	Labels map[string]int64 `json:"labels,omitempty"`
	Flaws
}

// shard is a file of rows under construction.
type shard struct {
	file    Shard
	encoder encoder
	output  File
	hash    hash.Hash
}

func newShard(ctx context.Context, sink Sink, cfg *Config, split, path string) (*shard, error) {
	output, err := sink.Create(ctx, path)
	if err != nil {
		return nil, err
	}
	s := newOutput(path, split, output)
	if s.encoder, err = newEncoder(cfg, s); err != nil {
		_ = output.Abort() // the first error says why
		return nil, err
	}
	return s, nil
}

func newOutput(path, split string, output File) *shard {
	return &shard{file: Shard{Path: path, Split: split}, output: output, hash: sha256.New()}
}

// Write takes what the encoder writes.
func (s *shard) Write(p []byte) (int, error) {
	n, err := s.output.Write(p)
	s.hash.Write(p[:n])
	s.file.Bytes += int64(n)
	return n, err
}

func (s *shard) write(b *Batch, sizes []int64, from, to int) error {
	s.file.Rows += int64(to - from)
	for _, size := range sizes {
		s.file.NumBytes += size
	}
	s.count(b.Labels, from, to)
	return s.encoder.write(b, sizes, from, to)
}

// count adds the labels of some rows.
func (s *shard) count(labels []string, from, to int) {
	if labels == nil {
		return
	}
	if s.file.Labels == nil {
		s.file.Labels = map[string]int64{}
	}
	for _, label := range labels[from:to] {
		s.file.Labels[label]++
	}
}

func (s *shard) commit() error {
	var err error
	if s.file.Flaws, err = s.encoder.finish(); err != nil {
		_ = s.output.Abort() // the first error says why
		return err
	}
	s.file.SHA256 = hex.EncodeToString(s.hash.Sum(nil))
	return s.output.Commit()
}
