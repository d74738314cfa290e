package files

import (
	"context"
	"fmt"
	"io"
)

// Encoded is a shard that somebody else encodes, in the format and compression of the
// [Config].
type Encoded struct {
	// Rows, NumBytes and Labels are what [Shard] says of it.
	Rows, NumBytes int64
	Labels         map[string]int64
	// Cursor is the caller's name for the position after it.
	Cursor string
	// Encode writes the file.
	Encode func(io.Writer) error
}

// Copy adds a shard to a split. A split is either copied or written.
func (w *Writer) Copy(ctx context.Context, name string, e Encoded) error {
	return w.do(ctx, name, func(s *split) error { return s.copy(ctx, e) })
}

func (s *split) copy(ctx context.Context, e Encoded) error {
	path := s.next()
	output, err := s.w.sink.Create(ctx, path)
	if err != nil {
		return err
	}
	shard := newOutput(path, s.name, output)
	shard.file.Rows, shard.file.NumBytes, shard.file.Labels = e.Rows, e.NumBytes, e.Labels
	shard.encoder = encoded{}
	if err := e.Encode(shard); err != nil {
		_ = output.Abort() // the first error says why
		return fmt.Errorf("shard %s: %w", path, err)
	}
	s.shard, s.after = shard, e.Cursor
	return s.commit(ctx, position{Cursor: e.Cursor})
}

// encoded stands for the encoder of what is encoded already.
type encoded struct{}

func (encoded) write(*Batch, []int64, int, int) error { return nil }
func (encoded) finish() (Flaws, error)                { return Flaws{}, nil }
