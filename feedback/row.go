package feedback

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yirifi/flywheel/feedback/stats"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// delays returns the delays, in seconds, at which retention is measured, in the
// order of the columns' elements.
func delays() [7]uint32 { return [...]uint32{0, 5, 30, 120, 300, 600, 900} }

// fourGramScale is how much a four-gram survival of 1 counts in the sums.
const fourGramScale = 10_000

// ratesAt returns the rates of a group in its time bucket.
func (c *counted) ratesAt() *flywheelv1.RatesRow {
	row := c.rates()
	row.Bucket = timestamppb.New(c.start)
	return row
}

// rates returns the rates of a group.
func (c *counted) rates() *flywheelv1.RatesRow {
	return &flywheelv1.RatesRow{
		Group:                  c.group,
		Counts:                 c.counts(),
		ShownRate:              rate(c.shown, c.opportunities),
		AcceptanceRate:         rate(c.accepted+c.partiallyAccepted+c.acceptedModified, c.shown),
		FullAcceptanceRate:     rate(c.accepted, c.shown),
		PartialAcceptanceRate:  rate(c.partiallyAccepted, c.shown),
		ModifiedAcceptanceRate: rate(c.acceptedModified, c.shown),
		HideRate:               rate(c.rejected, c.shown),
		IgnoredRate:            rate(c.ignored, c.shown),
		SupersededRate:         rate(c.superseded, c.shown),
		ReadRate:               rate(c.read, c.shown),
		ThumbsUpRate:           rate(c.thumbsUp, c.thumbsUp+c.thumbsDown),
		Retention:              c.retention(),
		Latency:                quantiles(c.latency),
	}
}

func (c *counted) counts() *flywheelv1.Counts {
	counts := &flywheelv1.Counts{
		Opportunities:     c.opportunities,
		NotProduced:       c.notProduced,
		Shown:             c.shown,
		NotShown:          c.notShown,
		Read:              c.read,
		Accepted:          c.accepted,
		PartiallyAccepted: c.partiallyAccepted,
		AcceptedModified:  c.acceptedModified,
		AutoAccepted:      c.autoAccepted,
		Rejected:          c.rejected,
		Ignored:           c.ignored,
		Superseded:        c.superseded,
		Cancelled:         c.cancelled,
		Undecided:         c.undecided,
		ThumbsUp:          c.thumbsUp,
		ThumbsDown:        c.thumbsDown,
		ShownChars:        c.shownChars,
		AcceptedChars:     c.acceptChars,
	}
	for i, count := range c.taskResults {
		if count > 0 {
			counts.TaskResults = append(counts.TaskResults, &flywheelv1.TaskResultCount{
				Result: flywheelv1.TaskResult(i + 1),
				Count:  count,
			})
		}
	}
	return counts
}

func rate(numerator, denominator uint64) *flywheelv1.Rate {
	low, high := stats.Wilson(numerator, denominator)
	return &flywheelv1.Rate{
		Numerator:   numerator,
		Denominator: denominator,
		Value:       stats.Proportion(numerator, denominator),
		Low:         low,
		High:        high,
	}
}

func (c *counted) retention() []*flywheelv1.RetentionRate {
	var entries []*flywheelv1.RetentionRate
	for i, delay := range delays() {
		grams := c.fourGramCount[i]
		entries = append(entries, &flywheelv1.RetentionRate{
			DelayS:               delay,
			Interactions:         c.retentionCount[i],
			RetainedChars:        c.retained[i],
			BaseChars:            c.base[i],
			RetainedRatio:        stats.Proportion(c.retained[i], c.base[i]),
			MeanFourGram:         stats.Proportion(c.fourGramSum[i], grams) / fourGramScale,
			FourGramInteractions: grams,
		})
	}
	return entries
}

func quantiles(latency stats.Histogram) *flywheelv1.LatencyQuantiles {
	count := latency.Count()
	if count == 0 {
		return nil
	}
	return &flywheelv1.LatencyQuantiles{
		Count: count,
		P50Us: latency.Quantile(0.5),
		P90Us: latency.Quantile(0.9),
		P99Us: latency.Quantile(0.99),
	}
}

// settledAt returns when the newest minute in the rows was settled, or nil when
// there are none.
func settledAt(rows []*counted) *timestamppb.Timestamp {
	var newest, at time.Time
	for _, row := range rows {
		order := row.newest.Compare(newest)
		if order > 0 || order == 0 && row.settledAt.After(at) {
			newest, at = row.newest, row.settledAt
		}
	}
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}
