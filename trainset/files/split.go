package files

import (
	"context"
	"errors"
	"fmt"
)

// split is a stream of rows that is being written to shards.
type split struct {
	w     *Writer
	name  string
	skip  int64  // rows to come that finished shards have
	after string // the cursor of the batch before the one that is being written
	since int64  // rows written since that cursor
	sizes []int64
	shard *shard
}

func newSplit(w *Writer, name string) *split {
	at := w.state.Splits[name]
	return &split{w: w, name: name, after: at.Cursor, skip: at.Skip}
}

func (s *split) write(ctx context.Context, b *Batch) error {
	if s.w.state.Splits[s.name].Done {
		return nil
	}
	if err := b.check(s.w.cfg.Schema); err != nil {
		return err
	}
	s.measure(b)
	skipped := int(min(s.skip, int64(b.Rows)))
	s.skip -= int64(skipped)
	s.since += int64(skipped)
	for row := skipped; row < b.Rows; {
		end, full := s.cut(row, b.Rows)
		if err := s.add(ctx, b, row, end); err != nil {
			return err
		}
		s.since += int64(end - row)
		row = end
		if full {
			if err := s.complete(ctx, row == b.Rows, b.Cursor); err != nil {
				return err
			}
		}
	}
	if b.Cursor != "" {
		s.after, s.since = b.Cursor, 0
	}
	return nil
}

// measure computes the sizes of a batch's rows.
func (s *split) measure(b *Batch) {
	if cap(s.sizes) < b.Rows {
		s.sizes = make([]int64, b.Rows)
	}
	s.sizes = s.sizes[:b.Rows]
	clear(s.sizes)
	for i := range s.w.cfg.Schema {
		b.Columns[i].addSizes(&s.w.cfg.Schema[i], s.sizes)
	}
}

// cut says up to which row the batch goes into the open shard, and whether the shard is
// full then.
func (s *split) cut(row, rows int) (end int, full bool) {
	var held int64
	if s.shard != nil {
		held = s.shard.file.NumBytes
	}
	for ; row < rows; row++ {
		if held += s.sizes[row]; held >= s.w.cfg.ShardBytes {
			return row + 1, true
		}
	}
	return rows, false
}

// next is the path of the next shard.
func (s *split) next() string {
	return fmt.Sprintf("data/%s-%05d%s", s.name, s.w.state.count(s.name), s.w.cfg.extension())
}

func (s *split) add(ctx context.Context, b *Batch, from, to int) error {
	if s.shard == nil {
		shard, err := newShard(ctx, s.w.sink, &s.w.cfg, s.name, s.next())
		if err != nil {
			return err
		}
		s.shard = shard
	}
	return s.shard.write(b, s.sizes[from:to], from, to)
}

// complete ends the open shard and notes where to continue: after the batch with the
// given cursor when all of it is written, else after some rows of it.
func (s *split) complete(ctx context.Context, whole bool, cursor string) error {
	at := position{Cursor: s.after, Skip: s.since}
	if whole && cursor != "" {
		at = position{Cursor: cursor}
	}
	return s.commit(ctx, at)
}

func (s *split) commit(ctx context.Context, at position) error {
	if s.shard != nil {
		shard := s.shard
		s.shard = nil
		if err := shard.commit(); err != nil {
			return fmt.Errorf("shard %s: %w", shard.file.Path, err)
		}
		s.w.state.Files = append(s.w.state.Files, shard.file)
	}
	s.w.state.Splits[s.name] = at
	return s.w.state.save(ctx, s.w.sink)
}

func (s *split) end(ctx context.Context) error {
	if s.w.state.Splits[s.name].Done {
		return nil
	}
	if s.skip > 0 {
		return fmt.Errorf("%d rows that were written before did not come again: the rows are not the same", s.skip)
	}
	return s.commit(ctx, position{Cursor: s.after, Done: true})
}

// abort gives the open shard up.
func (s *split) abort() error {
	if s.shard == nil {
		return nil
	}
	err := s.shard.output.Abort()
	s.shard = nil
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
