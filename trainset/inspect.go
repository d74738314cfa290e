package trainset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tiktoken-go/tokenizer"

	"github.com/yirifi/flywheel/trainset/near"
)

// flawBatch is after how many rows those that are left out are noted.
const flawBatch = 10_000

// encodingOf returns the tokenizer of a name.
func encodingOf(name string) (tokenizer.Codec, error) {
	if name == "" {
		name = string(tokenizer.O200kBase)
	}
	codec, err := tokenizer.Get(tokenizer.Encoding(name))
	if err != nil {
		return nil, fmt.Errorf("%q: %s and %s are possible", name, tokenizer.O200kBase, tokenizer.Cl100kBase)
	}
	return codec, nil
}

// inspector judges rows one after the other, the earliest first.
type inspector struct {
	codec     tokenizer.Codec
	maxTokens int
	evals     *near.Passages
	hashes    *near.Index
}

// newInspector returns nil when there is nothing to judge.
func (p *plan) newInspector() (*inspector, error) {
	q := p.request.GetQuality()
	if q.GetMaxTokens() == 0 && len(q.GetDecontaminate()) == 0 && q.GetNearDuplicateBits() == 0 {
		return nil, nil
	}
	i := &inspector{maxTokens: int(q.GetMaxTokens())}
	if i.maxTokens > 0 {
		codec, err := encodingOf(q.GetEncoding())
		if err != nil {
			return nil, err
		}
		i.codec = codec
	}
	if len(q.GetDecontaminate()) > 0 {
		i.evals = near.NewPassages(q.GetDecontaminate())
	}
	if bits := q.GetNearDuplicateBits(); bits > 0 {
		i.hashes = near.NewIndex(int(bits))
	}
	return i, nil
}

// readsTexts reports whether the rows' texts are needed, and not only their hashes.
func (i *inspector) readsTexts() bool { return i.codec != nil || i.evals != nil }

// judge returns why a row is left out, or nothing.
func (i *inspector) judge(texts []string, counts bool, hash uint64) (string, error) {
	if i.evals != nil && i.evals.In(texts...) {
		return flawContaminated, nil
	}
	if i.codec != nil {
		tokens := 0
		for _, text := range texts {
			n, err := i.codec.Count(text)
			if err != nil {
				return "", fmt.Errorf("count tokens: %w", err)
			}
			if tokens += n; tokens > i.maxTokens {
				return flawTooLong, nil
			}
		}
	}
	if i.hashes != nil && counts && !i.hashes.Add(hash) {
		return flawNearDuplicate, nil
	}
	return "", nil
}

// inspect leaves out rows by what only a look at each of them in turn shows: too many
// tokens, text of evaluations, and text that is nearly that of an earlier row.
func (j *job) inspect(ctx context.Context) (err error) {
	i, err := j.plan.newInspector()
	if i == nil || err != nil {
		return err
	}
	texts := "[]::Array(String)"
	if i.readsTexts() {
		texts = "[" + strings.Join(j.plan.format.texts, ", ") + "]"
	}
	var all uint64
	if err := j.db.Conn().QueryRow(ctx, "SELECT count() FROM "+j.candidates()+" WHERE "+j.good()).Scan(&all); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	rows, err := j.db.Conn().Query(ctx, "SELECT row_id, row_comparable, row_simhash, "+texts+" FROM "+j.candidates()+" WHERE "+j.good()+" ORDER BY row_at, row_id")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	began, done := time.Now(), uint64(0)
	var out flawed
	for rows.Next() {
		var id uuid.UUID
		var counts bool
		var hash uint64
		var texts []string
		if err := rows.Scan(&id, &counts, &hash, &texts); err != nil {
			return err
		}
		flaw, err := i.judge(texts, counts, hash)
		if err != nil {
			return err
		}
		if flaw != "" {
			out.add(id, flaw)
		}
		if done++; done%flawBatch == 0 {
			// What is being read is a snapshot, which does not change.
			if err := out.store(ctx, j); err != nil {
				return err
			}
			j.progress(began, done, all)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return out.store(ctx, j)
}

// flawed are rows that are left out.
type flawed struct {
	ids   []uuid.UUID
	flaws []string
}

func (f *flawed) add(id uuid.UUID, flaw string) {
	f.ids, f.flaws = append(f.ids, id), append(f.flaws, flaw)
}

// store notes them.
func (f *flawed) store(ctx context.Context, j *job) (err error) {
	if len(f.ids) == 0 {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("leave out rows: %w", err)
		}
	}()
	batch, err := j.db.Conn().PrepareBatch(ctx, "INSERT INTO "+j.flaws())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	if err := errors.Join(batch.Column(0).Append(f.ids), batch.Column(1).Append(f.flaws)); err != nil {
		return err
	}
	f.ids, f.flaws = nil, nil
	return batch.Send()
}
