package flywheel

import (
	"log/slog"
	"time"
)

const (
	// warnInterval is how often the same warning is given at most.
	warnInterval = time.Minute
	// maxWarnings is how many kinds of warning are told apart.
	maxWarnings = 64
)

// warnings logs each kind of warning at most once in a while, so that an agent's log
// does not fill up. One goroutine uses it.
type warnings struct {
	log  *slog.Logger
	next map[string]time.Time
}

func newWarnings(log *slog.Logger) warnings {
	return warnings{log: log, next: map[string]time.Time{}}
}

// due says whether a kind of warning may be given again.
func (w *warnings) due(kind string, now time.Time) bool {
	next, known := w.next[kind]
	if known && now.Before(next) || !known && len(w.next) == maxWarnings {
		return false
	}
	w.next[kind] = now.Add(warnInterval)
	return true
}

// waiting warns that events cannot be delivered now.
func (w *warnings) waiting(err error, queued int) {
	if w.due("waiting", time.Now()) {
		w.log.Warn("events wait for the collector", slog.Any("error", err), slog.Int("queued", queued))
	}
}

// dropped warns that events were dropped, and says whether it did.
func (w *warnings) dropped(now time.Time, events uint64) bool {
	if !w.due("dropped", now) {
		return false
	}
	w.log.Warn("events were dropped: the queue is full", slog.Uint64("events", events))
	return true
}

// rejected warns that the collector refuses events for good.
func (w *warnings) rejected(reason, field, message string) {
	if w.due("rejected "+reason+" "+field, time.Now()) {
		w.log.Warn("the collector rejects events", slog.String("reason", reason),
			slog.String("field", field), slog.String("message", message))
	}
}
