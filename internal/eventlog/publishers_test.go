package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// publishers publish different records until they are stopped, each with the log that
// it is started with.
type publishers struct {
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu           sync.Mutex
	acknowledged []string
	last         error // nil after a success
}

func newPublishers(t *testing.T) *publishers {
	p := &publishers{t: t}
	p.ctx, p.cancel = context.WithCancel(t.Context())
	t.Cleanup(p.stop)
	return p
}

// pace is the pause of a publisher between records: it must not fill the disk itself.
const pace = 20 * time.Millisecond

// start starts one that publishes records of that size.
func (p *publishers) start(name string, log *Log, lane Lane, size int) {
	p.group.Go(func() {
		for i := 0; p.ctx.Err() == nil; i++ {
			record := fmt.Sprintf("%s-%d ", name, i)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), 10*time.Second)
			err := log.Publish(ctx, lane, []byte(record+strings.Repeat("x", size-len(record))))
			cancel()
			p.note(record, err)
			select {
			case <-p.ctx.Done():
			case <-time.After(pace):
			}
		}
	})
}

func (p *publishers) note(record string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = err
	if err == nil {
		p.acknowledged = append(p.acknowledged, record)
	} else if !errors.Is(err, ErrFull) && !errors.Is(err, ErrUnavailable) {
		p.t.Errorf("%s: %v, which nobody would try again", record, err)
	}
}

// waitAcknowledged returns when so many more are acknowledged.
func (p *publishers) waitAcknowledged(more int) {
	p.t.Helper()
	n := p.count() + more
	waitFor(p.t, func() bool { return p.count() >= n })
}

func (p *publishers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.acknowledged)
}

// waitRefused returns when the last record was refused with an error that has the text.
func (p *publishers) waitRefused(text string) {
	p.t.Helper()
	var last string
	defer func() {
		if p.t.Failed() {
			p.t.Logf("wanted %q, the last answer is %q", text, last)
		}
	}()
	waitFor(p.t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		last = fmt.Sprint(p.last)
		return errors.Is(p.last, ErrFull) && strings.Contains(last, text)
	})
}

func (p *publishers) stop() {
	p.cancel()
	p.group.Wait()
}

// storedRecords returns how often each record of a lane is in the log, without its padding.
func storedRecords(t *testing.T, log *Log, lane Lane) map[string]int {
	t.Helper()
	ranges, err := log.Ranges(t.Context(), lane, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]int{}
	for _, r := range ranges {
		for m, err := range log.Read(t.Context(), r) {
			if err != nil {
				t.Fatal(err)
			}
			name, padding, _ := bytes.Cut(m.Data(), []byte(" "))
			if len(bytes.Trim(padding, "x")) > 0 {
				t.Errorf("record %d is damaged", m.Sequence())
			}
			records[string(name)+" "]++
		}
	}
	return records
}

// wantAcknowledged checks that every acknowledged record is there.
func (p *publishers) wantAcknowledged(records map[string]int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	missing := 0
	for _, record := range p.acknowledged {
		if records[record] == 0 {
			missing++
		}
	}
	if missing > 0 || len(p.acknowledged) == 0 {
		p.t.Errorf("%d of %d acknowledged records are missing", missing, len(p.acknowledged))
	}
}
