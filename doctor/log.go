package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
)

const (
	fillWarning = 0.7
	fillWrong   = 0.9
	// soonFull and veryFull are how far ahead a lane that fills up is told.
	soonFull, verySoonFull = 6 * time.Hour, 30 * time.Minute
	// batchRhythm is how long records wait while processors keep up, at most: two looks
	// between two batches say nothing of a backlog.
	batchRhythm          = 5 * time.Second
	lagWarning, lagWrong = time.Minute, 10 * time.Minute
	// ageWarning and ageWrong are parts of a stream's age limit.
	ageWarning, ageWrong = 0.25, 0.75
)

// findings are those of the checks of the log.
func (l *Log) findings() []Finding {
	if l.Err != "" {
		return []Finding{{
			Check: "reachable", Where: "event log", Level: Wrong, Says: l.Err,
			Do: "start the log, or give its URL with --nats-url: until it is back collectors refuse events, and clients hold them",
		}}
	}
	found := []Finding{{Check: "reachable", Where: "event log", Level: OK, Says: "NATS " + l.After.ServerVersion + " answers"}}
	found = append(found, l.durable()...)
	found = append(found, clock("event log", l.After.Clock, l.After.Asked, l.After.RoundTrip))
	for i, s := range l.After.Streams {
		if !s.Consumed {
			found = append(found, fill(s), deadLetters(s))
			continue
		}
		found = append(found, fill(s), lag(s, l.After.Clock), expiry(s, l.After.Clock))
		if i < len(l.Before.Streams) {
			found = append(found, filling(l.Before.Streams[i], s, l.Interval, l.After.Clock))
		}
	}
	return found
}

// durable says whether a confirmed record survives a power cut.
func (l *Log) durable() []Finding {
	f := Finding{Check: "durability", Where: "event log", Level: OK}
	replicas, missing := replicasOf(l.After.Streams)
	switch {
	case l.Monitor != nil && l.Monitor.Err != "":
		f.Level, f.Says = Warning, "the monitoring address does not answer: "+l.Monitor.Err
		f.Do = "give the address of http_port of the NATS server with --nats-monitor"
	case l.After.SyncsAlways || l.Monitor != nil && l.Monitor.SyncAlways:
		f.Says = fmt.Sprintf("every record is synced to disk before it is acknowledged; copies: %d", replicas)
	case replicas > 1 && l.Monitor != nil:
		f.Says = fmt.Sprintf("%d copies, not synced at once: safe as long as the servers do not lose power together", replicas)
	case l.Monitor != nil:
		f.Level, f.Says = Wrong, "one copy that is not synced at once: a power cut loses acknowledged events"
		f.Do = `set "sync_interval: always" in the jetstream block of the NATS server, or run three servers and --log-replicas 3`
	case replicas > 1:
		f.Says = fmt.Sprintf("%d copies; whether each is synced at once is not known", replicas)
	default:
		f.Level, f.Says = Warning, "one copy, and whether it is synced at once is not known"
		f.Do = `give --nats-monitor to find out; "sync_interval: always" must be set in the jetstream block of the NATS server`
	}
	found := []Finding{f}
	if len(missing) > 0 {
		found = append(found, Finding{
			Check: "replicas", Where: "event log", Level: Wrong, Says: "copies are missing or behind: " + list(missing),
			Do: "bring these NATS servers back: with one more gone, nothing is stored",
		})
	}
	if l.Monitor != nil && l.Monitor.SlowConsumers > 0 {
		found = append(found, Finding{
			Check: "replicas", Where: "event log", Level: Warning,
			Says: fmt.Sprintf("%d connections were cut because they did not keep up", l.Monitor.SlowConsumers),
			Do:   "look at the network between the NATS server and the collectors and processors",
		})
	}
	return found
}

// replicasOf is the smallest number of copies of the streams that carry events, and the
// streams' copies that are not there.
func replicasOf(streams []eventlog.StreamStatus) (least int, missing []string) {
	for _, s := range streams {
		if s.Consumed && (least == 0 || s.Replicas < least) {
			least = s.Replicas
		}
		for _, peer := range s.Missing {
			missing = append(missing, s.Name+" on "+peer)
		}
	}
	return least, missing
}

// where is a stream as users know it: FLYWHEEL_OUTCOME is the outcome lane.
func where(s eventlog.StreamStatus) string {
	name := strings.ToLower(strings.TrimPrefix(s.Name, "FLYWHEEL_"))
	if !s.Consumed {
		return "dead letters"
	}
	return strings.ReplaceAll(name, "_", " ") + " lane"
}

// fill says how much room a stream has.
func fill(s eventlog.StreamStatus) Finding {
	if s.Limits.MaxBytes <= 0 {
		return Finding{Check: "fill", Where: where(s), Level: Warning, Says: "has no size limit", Do: "set --log-max-*: an unlimited stream fills the disk"}
	}
	full := ratio(float64(s.Bytes), float64(s.Limits.MaxBytes))
	f := Finding{Check: "fill", Where: where(s), Level: grade(full, fillWarning, fillWrong)}
	f.Says = fmt.Sprintf("%s of %s, %s full", sizeText(s.Bytes), sizeText(uint64(s.Limits.MaxBytes)), percent(full)) //nolint:gosec // above 0
	if !s.Consumed {
		return f.advise("replay or purge dead letters ('flywheel deadletter'): when this is full, records whose events cannot be stored stay in their lane")
	}
	return f.advise("see whether processors and ClickHouse run and keep up; more room: --log-max-outcome, --log-max-trace. A full lane refuses events")
}

// filling says when a lane will be full if it goes on as between the two looks.
func filling(before, now eventlog.StreamStatus, took time.Duration, clock time.Time) Finding {
	f := Finding{Check: "backlog", Where: where(now), Level: OK, Says: "processors keep up with what arrives"}
	grown := float64(now.Unprocessed) - float64(before.Unprocessed)
	each := ratio(float64(now.Bytes), float64(now.Records))
	perSecond := ratio(grown*each, took.Seconds())
	if perSecond <= 0 || now.Limits.MaxBytes <= 0 || age(now, clock) < batchRhythm {
		return f
	}
	room := max(float64(now.Limits.MaxBytes)-float64(now.Unprocessed)*each, 0)
	seconds := room / perSecond
	if seconds >= soonFull.Seconds() {
		return f
	}
	left := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	f.Level = Warning
	if left < verySoonFull {
		f.Level = Wrong
	}
	f.Says = fmt.Sprintf("grows by %s/s more than is processed: full in %v", sizeText(uint64(perSecond)), left)
	return f.advise("see 'flywheel doctor' under Capacity for what holds the processors up; a peak that ends before then needs nothing")
}

// lag says how far processors are behind.
func lag(s eventlog.StreamStatus, now time.Time) Finding {
	f := Finding{Check: "lag", Where: where(s), Level: OK, Says: "nothing waits"}
	if s.Unprocessed == 0 {
		return f
	}
	f.Level = grade(age(s, now), lagWarning, lagWrong)
	f.Says = fmt.Sprintf("%d records wait, the oldest for %v", s.Unprocessed, age(s, now).Round(time.Millisecond))
	return f.advise("see whether a processor runs and what it logs: it gives records back when ClickHouse does not take them")
}

// age is how long the oldest record that is not processed waits.
func age(s eventlog.StreamStatus, now time.Time) time.Duration {
	if s.Oldest.IsZero() {
		return 0
	}
	return max(now.Sub(s.Oldest), 0)
}

// expiry says whether the log is about to drop what has not been processed.
func expiry(s eventlog.StreamStatus, now time.Time) Finding {
	f := Finding{Check: "expiry", Where: where(s), Level: OK, Says: fmt.Sprintf("keeps records for %v", s.Limits.MaxAge)}
	if s.Limits.MaxAge <= 0 || s.Oldest.IsZero() {
		return f
	}
	waits := age(s, now)
	f.Level = grade(waits.Seconds()/s.Limits.MaxAge.Seconds(), ageWarning, ageWrong)
	if f.Level != OK {
		f.Says = fmt.Sprintf("the oldest record that is not processed is %v old and is dropped at %v", waits.Round(time.Second), s.Limits.MaxAge)
	}
	return f.advise("bring the processors back, or raise --log-max-age before: what is dropped is lost")
}

func deadLetters(s eventlog.StreamStatus) Finding {
	f := Finding{Check: "deadletter", Where: "dead letters", Level: OK, Says: "none"}
	if s.Records > 0 {
		f.Level = Warning
		f.Says = fmt.Sprintf("%d events or groups of events could not be stored", s.Records)
	}
	return f.advise("flywheel deadletter list --by reason; mend the cause, then flywheel deadletter replay")
}
