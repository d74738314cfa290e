package feedback

import (
	"context"
	_ "embed" // the statement
	"errors"
	"fmt"
	"math"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/yirifi/flywheel/feedback/stats"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

//go:embed compare.sql
var compareSQL string

// metric is what arms are compared by.
type metric struct {
	metric flywheelv1.Metric
	// better is the sign of a difference that is an improvement.
	better float64
}

// metrics returns the metrics in the order of compare.sql.
func metrics() []metric {
	return []metric{
		{flywheelv1.Metric_METRIC_ACCEPTANCE_RATE, 1},
		{flywheelv1.Metric_METRIC_HIDE_RATE, -1},
		{flywheelv1.Metric_METRIC_IGNORED_RATE, -1},
		{flywheelv1.Metric_METRIC_ACCEPTED_CHARS_PER_SHOWN, 1},
		{flywheelv1.Metric_METRIC_ACCEPTED_CHARS_PER_OPPORTUNITY, 1},
		{flywheelv1.Metric_METRIC_RETAINED_RATIO_30S, 1},
	}
}

// armUsers is what the users of an arm add up to.
type armUsers struct {
	users uint64
	// ratios holds one element per metric; none when there are no users.
	ratios []stats.Ratio
}

func (a armUsers) ratio(i int) stats.Ratio {
	if i >= len(a.ratios) {
		return stats.Ratio{}
	}
	return a.ratios[i]
}

// CompareVariants implements [flywheelv1.FeedbackServiceServer].
func (f *Feedback) CompareVariants(ctx context.Context, req *flywheelv1.CompareVariantsRequest) (*flywheelv1.CompareVariantsResponse, error) {
	span := query{to: math.MaxUint32}
	wrong := span.span(req.GetFrom(), req.GetTo())
	if req.GetCandidate() == req.GetBaseline() {
		wrong.Add("candidate", "it is the baseline: two variants are needed")
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	tenant, err := rpc.Tenant(ctx)
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, f.cfg.QueryTimeout)
	defer cancel()
	arms, err := f.arms(bounded, tenant, span, req)
	if err != nil {
		return nil, f.failed(ctx, bounded, err)
	}
	baseline, candidate := arms["baseline"], arms["candidate"]
	resp := &flywheelv1.CompareVariantsResponse{
		BaselineUsers: baseline.users, CandidateUsers: candidate.users, UsersInBoth: arms["both"].users,
	}
	for i, m := range metrics() {
		resp.Metrics = append(resp.Metrics, m.compare(baseline.ratio(i), candidate.ratio(i)))
	}
	return resp, nil
}

// arms reads what the users of each arm add up to.
func (f *Feedback) arms(ctx context.Context, tenant string, span query, req *flywheelv1.CompareVariantsRequest) (arms map[string]armUsers, err error) {
	rows, err := f.db.Conn().Query(ctx, compareSQL,
		clickhouse.Named("tenant", tenant),
		clickhouse.Named("start", span.from/hourSeconds*hourSeconds),
		clickhouse.Named("end", wholeHour(span.to)),
		clickhouse.Named("any_experiment", req.Experiment == nil),
		clickhouse.Named("experiment", req.GetExperiment()),
		clickhouse.Named("baseline", req.GetBaseline()),
		clickhouse.Named("candidate", req.GetCandidate()),
	)
	if err != nil {
		return nil, fmt.Errorf("query users: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	arms = map[string]armUsers{}
	for rows.Next() {
		var name string
		var users uint64
		var x, y, xx, xy, yy []float64
		if err := rows.Scan(&name, &users, &x, &y, &xx, &xy, &yy); err != nil {
			return nil, fmt.Errorf("read users: %w", err)
		}
		arm := armUsers{users: users}
		for i := range x {
			arm.ratios = append(arm.ratios, stats.Ratio{Units: users, X: x[i], Y: y[i], XX: xx[i], XY: xy[i], YY: yy[i]})
		}
		arms[name] = arm
	}
	return arms, rows.Err()
}

// wholeHour rounds a time up to whole hours, as far as a column of times goes.
func wholeHour(seconds uint32) uint32 {
	if seconds > math.MaxUint32-hourSeconds {
		return math.MaxUint32
	}
	return (seconds + hourSeconds - 1) / hourSeconds * hourSeconds
}

func (m metric) compare(baseline, candidate stats.Ratio) *flywheelv1.MetricComparison {
	difference, low, high, ok := stats.Difference(baseline, candidate)
	compared := &flywheelv1.MetricComparison{
		Metric: m.metric, Baseline: metricValue(baseline), Candidate: metricValue(candidate),
		Difference: difference, Verdict: flywheelv1.Verdict_VERDICT_NO_DIFFERENCE_SHOWN,
	}
	if !ok {
		return compared
	}
	compared.Low, compared.High = &low, &high
	switch {
	case min(low*m.better, high*m.better) > 0:
		compared.Verdict = flywheelv1.Verdict_VERDICT_BETTER
	case max(low*m.better, high*m.better) < 0:
		compared.Verdict = flywheelv1.Verdict_VERDICT_WORSE
	}
	return compared
}

func metricValue(r stats.Ratio) *flywheelv1.MetricValue {
	return &flywheelv1.MetricValue{Numerator: uint64(r.X), Denominator: uint64(r.Y), Value: r.Value()}
}
