package feedback

import (
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

const (
	// maxFilters and maxFilterValues keep a statement to a sensible size.
	maxFilters      = 32
	maxFilterValues = 1_000
	hourSeconds     = 3600
	daySeconds      = 24 * hourSeconds
	// anyWidth is the width of a bucket in which all times are.
	anyWidth = math.MaxUint32
	// maxWidth is the widest time bucket.
	maxWidth = 36_500 * 24 * time.Hour
)

// query is a valid request.
type query struct {
	// from and to are the time range in whole minutes as Unix seconds, to exclusive.
	// A column of times ends at math.MaxUint32.
	from, to uint32
	// bounded is set when the request names both ends.
	bounded bool
	groupBy []string
	filters []filter
	// width is the width of a time bucket in seconds, anyWidth unless the request asks
	// for buckets.
	width uint32
}

// key tells the queries of tenants apart: two have the same only if they are the same.
func (q query) key(tenant string) string { return fmt.Sprintf("%q %#v", tenant, q) }

// filter keeps what has one of the values in a column.
type filter struct {
	column string
	values []string
}

// ratesRequest is what both requests have in common.
type ratesRequest interface {
	GetFrom() *timestamppb.Timestamp
	GetTo() *timestamppb.Timestamp
	GetGroupBy() []flywheelv1.Dimension
	GetFilters() []*flywheelv1.Filter
}

// newQuery returns the query that a request asks for, without time buckets, and
// what is wrong with it.
func newQuery(req ratesRequest) (query, violations) {
	q := query{to: math.MaxUint32, width: anyWidth}
	wrong := q.span(req.GetFrom(), req.GetTo())
	wrong = append(wrong, q.group(req.GetGroupBy())...)
	wrong = append(wrong, q.filter(req.GetFilters())...)
	return q, wrong
}

// span sets the time range.
func (q *query) span(from, to *timestamppb.Timestamp) (wrong violations) {
	for _, end := range []struct {
		field string
		stamp *timestamppb.Timestamp
	}{{"from", from}, {"to", to}} {
		if end.stamp != nil && !end.stamp.IsValid() {
			wrong = append(wrong, violation(end.field, "not a valid timestamp: %v", end.stamp.CheckValid()))
		}
	}
	both := from != nil && to != nil
	switch {
	case len(wrong) > 0:
		return wrong
	case both && !from.AsTime().Before(to.AsTime()):
		return violations{violation("to", "not after from: the time range is empty")}
	}
	q.bounded = both
	if from != nil {
		q.from = seconds(from.AsTime().Truncate(time.Minute))
	}
	if to != nil {
		q.to = seconds(to.AsTime().Add(time.Minute - time.Nanosecond).Truncate(time.Minute))
	}
	return nil
}

// seconds returns a time in the range that columns of times have.
func seconds(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), math.MaxUint32))
}

// group sets what to group by.
func (q *query) group(dimensions []flywheelv1.Dimension) (wrong violations) {
	for i, dimension := range dimensions {
		field := fmt.Sprintf("group_by[%d]", i)
		name, known := column(dimension)
		switch {
		case !known:
			wrong = append(wrong, unknownDimension(field, dimension))
		case slices.Contains(q.groupBy, name):
			wrong = append(wrong, violation(field, "%s is there twice", dimension))
		default:
			q.groupBy = append(q.groupBy, name)
		}
	}
	return wrong
}

// filter sets the conditions.
func (q *query) filter(filters []*flywheelv1.Filter) (wrong violations) {
	if len(filters) > maxFilters {
		return violations{violation("filters", "%d filters: at most %d are possible", len(filters), maxFilters)}
	}
	for i, f := range filters {
		name, known := column(f.GetDimension())
		if !known {
			wrong = append(wrong, unknownDimension(fmt.Sprintf("filters[%d].dimension", i), f.GetDimension()))
		}
		if n := len(f.GetValues()); n == 0 || n > maxFilterValues {
			wrong = append(wrong, violation(fmt.Sprintf("filters[%d].values", i),
				"%d values: 1 to %d are needed (an empty string stands for \"not set\")", n, maxFilterValues))
		}
		q.filters = append(q.filters, filter{column: name, values: f.GetValues()})
	}
	return wrong
}

// divide sets the width of time buckets.
func (q *query) divide(width *durationpb.Duration, maxBuckets int) violations {
	const field = "bucket_width"
	d := width.AsDuration()
	switch {
	case !width.IsValid():
		return violations{violation(field, "whole minutes are needed, for example 3600 s")}
	case d <= 0 || d%time.Minute != 0:
		return violations{violation(field, "%s: whole minutes are needed", d)}
	case d > maxWidth:
		return violations{violation(field, "%s: at most %s is possible", d, maxWidth)}
	}
	q.width = uint32(d / time.Second)
	if !q.bounded || q.to <= q.from {
		return nil
	}
	if buckets := (q.to-1)/q.width - q.from/q.width + 1; int(buckets) > maxBuckets {
		return violations{violation(field, "the time range has %d buckets of %s: at most %d are possible", buckets, d, maxBuckets)}
	}
	return nil
}

func unknownDimension(field string, d flywheelv1.Dimension) *fieldViolation {
	return violation(field, "%d is not a dimension", d)
}
