package registry

import (
	"cmp"
	"context"
	_ "embed" // the statement
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

// endOfTime is the last moment that a column of times holds, in Unix milliseconds:
// the end of the year 2299.
const endOfTime = 10_413_791_999_999

//go:embed compare.sql
var compareSQL string

// comparison is a valid CompareDefinitionsRequest.
type comparison struct {
	a, b         uint32
	fromMs, toMs int64
	filters      []filter
}

// filter keeps what has one of the values in a column.
type filter struct {
	Column string
	values []string
	// Values is the placeholder of the values.
	Values string
}

// newComparison returns the comparison that a request asks for, and what is wrong
// with it.
func newComparison(req *flywheelv1.CompareDefinitionsRequest) (comparison, rpc.Violations) {
	c := comparison{a: req.GetDefinitionA(), b: req.GetDefinitionB(), toMs: endOfTime}
	var wrong rpc.Violations
	if c.a == 0 {
		wrong.Add("definition_a", "missing: the version of a definition is needed")
	}
	if c.b == 0 {
		wrong.Add("definition_b", "missing: the version of a definition is needed")
	}
	if req.From != nil {
		c.fromMs = milliseconds(&wrong, "from", req.GetFrom())
	}
	if req.To != nil {
		c.toMs = milliseconds(&wrong, "to", req.GetTo())
		if c.toMs <= c.fromMs {
			wrong.Add("to", "not after from: the time range is empty")
		}
	}
	if len(req.GetFilters()) > maxFilters {
		wrong.Add("filters", "%d filters: at most %d are possible", len(req.GetFilters()), maxFilters)
		return c, wrong
	}
	for i, f := range req.GetFilters() {
		c.filters = append(c.filters, newFilter(&wrong, i, f))
	}
	return c, wrong
}

// milliseconds returns a time as its column holds it, rounded up.
func milliseconds(wrong *rpc.Violations, field string, t *timestamppb.Timestamp) int64 {
	if err := t.CheckValid(); err != nil {
		wrong.Add(field, "not a valid timestamp: %v", err)
	}
	return min(max(t.AsTime().Add(time.Millisecond-1).UnixMilli(), 0), endOfTime)
}

// newFilter returns a filter. Its column is one of a closed set: the columns of
// training_signals have the names of the dimensions.
func newFilter(wrong *rpc.Violations, i int, f *flywheelv1.Filter) filter {
	dimension, known := flywheelv1.Dimension_name[int32(f.GetDimension())]
	if !known || f.GetDimension() == flywheelv1.Dimension_DIMENSION_UNSPECIFIED {
		wrong.Add(fmt.Sprintf("filters[%d].dimension", i), "%d is not a dimension", f.GetDimension())
	}
	if n := len(f.GetValues()); n == 0 || n > maxFilterValues {
		wrong.Add(fmt.Sprintf("filters[%d].values", i), "%d values: 1 to %d are needed (an empty string stands for \"not set\")", n, maxFilterValues)
	}
	return filter{
		Column: strings.ToLower(strings.TrimPrefix(dimension, "DIMENSION_")),
		values: f.GetValues(),
		Values: fmt.Sprintf("{values_%d:Array(String)}", i),
	}
}

// pair is a row of the statement: the interactions of a model with a pair of labels.
type pair struct {
	model                            string
	labelA, labelB                   uint8
	interactions, settledA, settledB uint64
	// Sums of the rewards and of their products, in 1/10000 and squares of that.
	a, b, aa, bb, ab int64
}

// run returns up to maxPairs + 1 pairs, by model and labels.
func (c comparison) run(ctx context.Context, conn driver.Conn, tenant string) (found []pair, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("compare definitions: %w", err)
		}
	}()
	parsed, err := template.New("compare").Parse(compareSQL)
	if err != nil {
		return nil, err
	}
	var sql strings.Builder
	if err := parsed.Execute(&sql, c.filters); err != nil {
		return nil, err
	}
	args := []any{
		clickhouse.Named("tenant", tenant), clickhouse.Named("a", c.a), clickhouse.Named("b", c.b),
		clickhouse.Named("from_ms", c.fromMs), clickhouse.Named("to_ms", c.toMs), clickhouse.Named("max_rows", maxPairs+1),
	}
	for i, f := range c.filters {
		args = append(args, clickhouse.Named(fmt.Sprintf("values_%d", i), f.values))
	}
	rows, err := conn.Query(ctx, sql.String(), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p pair
		if err := rows.Scan(&p.model, &p.labelA, &p.labelB, &p.interactions, &p.settledA, &p.settledB, &p.a, &p.b, &p.aa, &p.bb, &p.ab); err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, rows.Err()
}

// compared returns what pairs, ordered by model and labels, add up to.
func compared(found []pair) *flywheelv1.CompareDefinitionsResponse {
	resp := &flywheelv1.CompareDefinitionsResponse{Overall: sum(found)}
	for len(found) > 0 {
		n := slices.IndexFunc(found, func(p pair) bool { return p.model != found[0].model })
		if n < 0 {
			n = len(found)
		}
		ofModel := sum(found[:n])
		ofModel.Model = found[0].model
		resp.Models = append(resp.Models, ofModel)
		found = found[n:]
	}
	return resp
}

func sum(pairs []pair) *flywheelv1.DefinitionComparison {
	var s pair
	labels := map[[2]uint8]uint64{}
	for _, p := range pairs {
		labels[[2]uint8{p.labelA, p.labelB}] += p.interactions
		s.interactions += p.interactions
		s.settledA += p.settledA
		s.settledB += p.settledB
		s.a, s.b, s.aa, s.bb, s.ab = s.a+p.a, s.b+p.b, s.aa+p.aa, s.bb+p.bb, s.ab+p.ab
	}
	c := &flywheelv1.DefinitionComparison{Interactions: s.interactions, SettledA: s.settledA, SettledB: s.settledB}
	byLabels := func(x, y [2]uint8) int { return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1])) }
	for _, label := range slices.SortedFunc(maps.Keys(labels), byLabels) {
		c.Labels = append(c.Labels, &flywheelv1.LabelPair{
			LabelA: flywheelv1.Outcome(label[0]), LabelB: flywheelv1.Outcome(label[1]), Interactions: labels[label],
		})
	}
	if s.interactions == 0 {
		return c
	}
	all := float64(s.interactions) * 10_000
	c.MeanRewardA, c.MeanRewardB, c.MeanDifference = float64(s.a)/all, float64(s.b)/all, float64(s.b-s.a)/all
	ofA, ofB := covariance(s.interactions, s.aa, s.a, s.a), covariance(s.interactions, s.bb, s.b, s.b)
	if ofA > 0 && ofB > 0 {
		r := covariance(s.interactions, s.ab, s.a, s.b) / math.Sqrt(ofA*ofB)
		c.Correlation = new(max(min(r, 1), -1))
	}
	return c
}

// covariance returns n² times the covariance of n pairs with the given sums of products
// and of values. Only the last step rounds: where there is no variance, it is 0.
func covariance(n uint64, xy, x, y int64) float64 {
	exact := new(big.Int).Mul(new(big.Int).SetUint64(n), big.NewInt(xy))
	exact.Sub(exact, new(big.Int).Mul(big.NewInt(x), big.NewInt(y)))
	rounded, _ := new(big.Float).SetInt(exact).Float64()
	return rounded
}
