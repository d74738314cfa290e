package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// setAside stores n dead letters whose bytes say which one they are.
func setAside(t *testing.T, log *Log, n int) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(256)
	for i := range n {
		group.Go(func() error {
			return log.DeadLetter(ctx, DeadLetter{Lane: Outcome, Sequence: 1, Tenant: "acme", Reason: "odd", Table: "steps", Batch: fmt.Append(nil, i)})
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func numbersOf(t *testing.T, log *Log) (numbers []uint64) {
	t.Helper()
	for letter, err := range log.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, letter.Number)
	}
	return numbers
}

// TestReadDeadLettersWithHoles removes letters at the start, in the middle and at the
// end: what is left is read, with the numbers it had, without waiting for the rest.
func TestReadDeadLettersWithHoles(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	if got := numbersOf(t, log); len(got) != 0 {
		t.Errorf("letters %v in an empty log", got)
	}
	setAside(t, log, 10)
	for _, number := range []uint64{1, 2, 5, 9, 10, 10, 77} {
		if err := log.RemoveDeadLetter(t.Context(), number); err != nil {
			t.Errorf("remove %d: %v", number, err)
		}
	}
	if got := numbersOf(t, log); !slices.Equal(got, []uint64{3, 4, 6, 7, 8}) {
		t.Errorf("letters %v", got)
	}
	if letter, err := log.DeadLetterAt(t.Context(), 4); err != nil || letter.Number != 4 || letter.Table != "steps" {
		t.Errorf("letter 4: %+v, %v", letter, err)
	}
	for _, number := range []uint64{0, 5, 10, 77} {
		if _, err := log.DeadLetterAt(t.Context(), number); !errors.Is(err, ErrNoDeadLetter) {
			t.Errorf("letter %d: %v", number, err)
		}
	}
	for _, number := range []uint64{3, 4, 6, 7, 8} {
		if err := log.RemoveDeadLetter(t.Context(), number); err != nil {
			t.Error(err)
		}
	}
	if got := numbersOf(t, log); len(got) != 0 {
		t.Errorf("letters %v are left", got)
	}
}

// TestReadDeadLettersThatGo removes the letters behind the one that is read, while it
// is read.
func TestReadDeadLettersThatGo(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	log := open(t, cfg)
	setAside(t, log, 5)
	for letter, err := range log.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if letter.Number == 1 {
			for number := range uint64(5) {
				if err := log.RemoveDeadLetter(t.Context(), number+1); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	setAside(t, log, 1)
	for _, err := range log.DeadLetters(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after the context: %v", err)
		}
	}
}

// TestRequeue puts a letter back: its lane has a record around its very bytes, and the
// letter is gone. One that no lane can take stays.
func TestRequeue(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	setAside(t, log, 2)
	first, err := log.DeadLetterAt(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Requeue(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if got, want := next(t, consume(t, log, Outcome)).Data(), append([]byte{1<<3 | 2, byte(len(first.Batch))}, first.Batch...); !bytes.Equal(got, want) {
		t.Errorf("record %q, want %q", got, want)
	}
	second, err := log.DeadLetterAt(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	second.Batch = make([]byte, log.MaxRecordBytes())
	if err := log.Requeue(t.Context(), second); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a letter that is too large: %v", err)
	}
	if got := numbersOf(t, log); !slices.Equal(got, []uint64{2}) {
		t.Errorf("letters %v are left", got)
	}
}

// TestManyDeadLetters reads many letters much faster than one request for each.
func TestManyDeadLetters(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	const n = 20_000
	setAside(t, log, n)
	begin := time.Now()
	if got := len(numbersOf(t, log)); got != n {
		t.Errorf("%d letters, want %d", got, n)
	}
	t.Logf("%d letters read in %v", n, time.Since(begin))
}
