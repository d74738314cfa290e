package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
)

// statusTimeout bounds how long the log may take to say how it is.
const statusTimeout = 5 * time.Second

// WatchLog registers the metrics of the event log, which is asked each time somebody
// reads them, and makes it a dependency. While it does not answer, its metrics have no
// values.
func (t *Telemetry) WatchLog(log *eventlog.Log, logger *slog.Logger) {
	t.Needs("log", log.Health)
	var (
		records = Gauge("log_stream_records", "Records that a stream of the log holds, processed ones included.", "stream")
		bytes   = Gauge("log_stream_bytes", "Size of a stream of the log.", "stream")
		limit   = Gauge("log_stream_limit_bytes", "Size at which a stream of the log refuses.", "stream")
		lag     = Gauge("log_lag_records", "Records that processors have not acknowledged.", "lane")
		seconds = Gauge("log_lag_seconds", "Age of the oldest record that processors have not acknowledged, 0 without any.", "lane")
		letters = Gauge("log_dead_letters", "Dead letters that the log holds.")
	)
	t.Register(NewSource(func(emit Emit) {
		ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
		defer cancel()
		status, err := log.Status(ctx)
		if err != nil {
			logger.WarnContext(ctx, "cannot read the state of the event log for metrics", slog.Any("error", err))
			return
		}
		for _, s := range status.Streams {
			name := strings.ToLower(strings.TrimPrefix(s.Name, "FLYWHEEL_"))
			emit(records, float64(s.Records), name)
			emit(bytes, float64(s.Bytes), name)
			emit(limit, float64(s.Limits.MaxBytes), name)
			if !s.Consumed {
				emit(letters, float64(s.Records))
				continue
			}
			emit(lag, float64(s.Unprocessed), name)
			emit(seconds, age(s.Oldest, status.Clock), name)
		}
	}, records, bytes, limit, lag, seconds, letters))
}

// age is how old something is by the clock that dated it, in seconds.
func age(since, now time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(now.Sub(since).Seconds(), 0)
}
