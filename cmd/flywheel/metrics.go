package main

import (
	"strings"
	"time"

	"github.com/yirifi/flywheel/collector"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/telemetry"
	"github.com/yirifi/flywheel/processor"
)

// collectorMetrics are what a collector counts.
func collectorMetrics(c *collector.Collector) telemetry.Source {
	var (
		batches  = telemetry.Counter("collector_batches_total", "Batches that were answered, the refused ones included.")
		refused  = telemetry.Counter("collector_batches_refused_total", "Batches that were refused as a whole.", "reason")
		accepted = telemetry.Counter("collector_events_accepted_total", "Events that are in the log and whose clients were told so.")
		rejected = telemetry.Counter("collector_events_rejected_total", "Events that were rejected one by one.", "reason")
		groups   = telemetry.Counter("collector_groups_published_total", "Groups of batches that the log confirmed; each is one record.", "lane")
		failed   = telemetry.Counter("collector_groups_failed_total", "Groups of batches that the log refused or did not confirm.", "lane")
		bytes    = telemetry.Counter("collector_published_bytes_total", "Size of the published groups.", "lane")
		waiting  = telemetry.Gauge("collector_waiting_bytes", "Memory of requests and groups that wait for the log.")
		limit    = telemetry.Gauge("collector_waiting_limit_bytes", "Waiting bytes at which the collector refuses.")
		streams  = telemetry.Gauge("collector_streams", "Calls of CollectStream that are open.")
	)
	return telemetry.NewSource(func(emit telemetry.Emit) {
		s := c.Stats()
		emit(batches, float64(s.Batches))
		emit(accepted, float64(s.Accepted))
		for reason, n := range s.RefusedFor {
			emit(refused, float64(n), strings.ToLower(reason))
		}
		for number := range flywheelv1.RejectReason_name {
			reason := flywheelv1.RejectReason(number)
			emit(rejected, float64(s.Rejected[reason]), strings.ToLower(strings.TrimPrefix(reason.String(), "REJECT_REASON_")))
		}
		for _, lane := range eventlog.Lanes() {
			l := s.Lanes[lane]
			emit(groups, float64(l.Groups), lane.String())
			emit(failed, float64(l.Failed), lane.String())
			emit(bytes, float64(l.Bytes), lane.String())
		}
		emit(waiting, float64(s.WaitingBytes))
		emit(limit, float64(s.WaitingLimit))
		emit(streams, float64(s.Streams))
	}, batches, refused, accepted, rejected, groups, failed, bytes, waiting, limit, streams)
}

// processorMetrics are what a processor counts.
func processorMetrics(p *processor.Processor) telemetry.Source {
	var (
		records     = telemetry.Counter("processor_records_total", "Records read from the log.", "lane")
		redelivered = telemetry.Counter("processor_records_redelivered_total", "Records read that had been delivered before.", "lane")
		events      = telemetry.Counter("processor_events_total", "Events read from the log, repeated and dead-lettered ones included.", "lane")
		merged      = telemetry.Counter("processor_events_merged_total", "Events that added no row, because earlier ones of the same batch had begun all of theirs.", "lane")
		rows        = telemetry.Counter("processor_rows_stored_total", "Rows that ClickHouse confirmed, before it merges those of one key.", "table")
		flushes     = telemetry.Counter("processor_flushes_total", "Batches that were stored and acknowledged.")
		letters     = telemetry.Counter("processor_events_dead_lettered_total", "Events that cannot be stored and were set aside.")
		retries     = telemetry.Counter("processor_retries_total", "Attempts to store that followed a failed one.")
		inHand      = telemetry.Gauge("processor_in_hand_records", "Records that are read and not yet stored.", "lane")
		bytesInHand = telemetry.Gauge("processor_in_hand_bytes", "Size of the records that are read and not yet stored.", "lane")
	)
	return telemetry.NewSource(func(emit telemetry.Emit) {
		s := p.Stats()
		for _, lane := range eventlog.Lanes() {
			l, name := s.Lanes[lane], lane.String()
			emit(records, float64(l.Records), name)
			emit(redelivered, float64(l.Redelivered), name)
			emit(events, float64(l.Events), name)
			emit(merged, float64(l.Merged), name)
			emit(inHand, float64(l.RecordsInHand), name)
			emit(bytesInHand, float64(l.BytesInHand), name)
		}
		for table, n := range s.RowsOf {
			emit(rows, float64(n), table)
		}
		emit(flushes, float64(s.Flushes))
		emit(letters, float64(s.DeadLettered))
		emit(retries, float64(s.Retries))
	}, records, redelivered, events, merged, rows, flushes, letters, retries, inHand, bytesInHand)
}

// settlerMetrics are how far a settler is.
func settlerMetrics(s *processor.Settler) telemetry.Source {
	var (
		settled = telemetry.Counter("settler_buckets_settled_total", "Buckets that were recounted: minutes of rates, hours of users' rates.", "table")
		waiting = telemetry.Gauge("settler_buckets_waiting", "Buckets that the last look left for the next one.", "table")
		lag     = telemetry.Gauge("settler_lag_seconds", "Time since the last look that left nothing: no touched bucket waits for longer.", "table")
	)
	return telemetry.NewSource(func(emit telemetry.Emit) {
		for _, t := range s.Stats() {
			emit(settled, float64(t.Settled), t.Table)
			emit(waiting, float64(t.Waiting), t.Table)
			emit(lag, time.Since(t.UpToDate).Seconds(), t.Table)
		}
	}, settled, waiting, lag)
}
