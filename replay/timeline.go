package replay

import (
	"container/heap"
	"time"
)

// timeline is the virtual clock of a session and what is due on it.
type timeline struct {
	now     time.Time
	pending queue
	added   int
}

// read returns the time.
func (t *timeline) read() time.Time { return t.now }

// at plans an action. Actions run in the order of their time; equals in the order
// in which they were planned.
func (t *timeline) at(due time.Time, run func()) {
	t.added++
	heap.Push(&t.pending, action{due: due, order: t.added, run: run})
}

// advance lets time pass, running what falls due with the clock at its time.
func (t *timeline) advance(d time.Duration) {
	until := t.now.Add(d)
	for len(t.pending) > 0 && !t.pending[0].due.After(until) {
		t.runNext()
	}
	t.now = until
}

// drain runs all that is planned.
func (t *timeline) drain() {
	for len(t.pending) > 0 {
		t.runNext()
	}
}

func (t *timeline) runNext() {
	next := heap.Pop(&t.pending).(action)
	if next.due.After(t.now) {
		t.now = next.due
	}
	next.run()
}

type action struct {
	due   time.Time
	order int
	run   func()
}

// queue is a heap of actions, the earliest first.
type queue []action

// Len implements [heap.Interface].
func (q queue) Len() int { return len(q) }

// Less implements [heap.Interface].
func (q queue) Less(i, j int) bool {
	if !q[i].due.Equal(q[j].due) {
		return q[i].due.Before(q[j].due)
	}
	return q[i].order < q[j].order
}

// Swap implements [heap.Interface].
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *queue) Push(x any) { *q = append(*q, x.(action)) }

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	last := len(*q) - 1
	next := (*q)[last]
	(*q)[last] = action{}
	*q = (*q)[:last]
	return next
}
