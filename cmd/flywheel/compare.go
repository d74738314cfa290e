package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

type compareCmd struct {
	Baseline   string  `required:"" placeholder:"VARIANT" help:"Variant that is compared with."`
	Candidate  string  `required:"" placeholder:"VARIANT" help:"Variant that is judged."`
	Experiment *string `help:"Experiment whose variants they are. Unset: any."`
	timeRange
	Format string `enum:"table,json" default:"table" help:"Form of the output (${enum})."`
	feedbackSettings
}

// Run shows both variants side by side.
func (c *compareCmd) Run(ctx context.Context, env environment) error {
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.CompareVariantsResponse, error) {
		req := &flywheelv1.CompareVariantsRequest{Baseline: c.Baseline, Candidate: c.Candidate, Experiment: c.Experiment}
		req.From, req.To = c.window().stamps()
		return flywheelv1.NewFeedbackServiceClient(conn).CompareVariants(ctx, req)
	})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(env.stdout, resp)
	}
	if resp.GetBaselineUsers() == 0 || resp.GetCandidateUsers() == 0 {
		return fmt.Errorf("%d users of %s and %d of %s in this time range: both are needed (see --since, --tenant and --experiment; new events take a few seconds)",
			resp.GetBaselineUsers(), c.Baseline, resp.GetCandidateUsers(), c.Candidate)
	}
	return c.writeTable(env.stdout, resp)
}

func (c *compareCmd) writeTable(w io.Writer, resp *flywheelv1.CompareVariantsResponse) error {
	header := []string{"METRIC", strings.ToUpper(c.Baseline), strings.ToUpper(c.Candidate), "DIFFERENCE", "95_%_INTERVAL", "VERDICT"}
	var rows [][]string
	for _, m := range resp.GetMetrics() {
		format := metricFormat(m.GetMetric())
		between := ""
		if m.Low != nil && m.High != nil {
			between = fmt.Sprintf("%s to %s", format(m.GetLow(), true), format(m.GetHigh(), true))
		}
		rows = append(rows, []string{
			enumText(m.GetMetric().String(), "METRIC_"),
			format(m.GetBaseline().GetValue(), false), format(m.GetCandidate().GetValue(), false),
			format(m.GetDifference(), true), between,
			strings.ReplaceAll(enumText(m.GetVerdict().String(), "VERDICT_"), "_", " "),
		})
	}
	_, err := fmt.Fprintf(w, "%d users of %s, %d of %s; a user is the unit.\n",
		resp.GetBaselineUsers(), c.Baseline, resp.GetCandidateUsers(), c.Candidate)
	err = errors.Join(err, writeTable(w, header, rows))
	if both := resp.GetUsersInBoth(); both > 0 {
		_, warned := fmt.Fprintf(w, "%d users met both and are left out: the experiment did not deal by user.\n", both)
		err = errors.Join(err, warned)
	}
	return err
}

func enumText(name, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(name, prefix))
}

// metricFormat returns how a metric's values are written: shares in percent, their
// differences in percentage points.
func metricFormat(m flywheelv1.Metric) func(v float64, signed bool) string {
	scale, unit, unitOfDifference := 100.0, "%", " pp"
	switch m {
	case flywheelv1.Metric_METRIC_ACCEPTED_CHARS_PER_SHOWN, flywheelv1.Metric_METRIC_ACCEPTED_CHARS_PER_OPPORTUNITY:
		scale, unit, unitOfDifference = 1, "", ""
	default:
	}
	return func(v float64, signed bool) string {
		if signed {
			return fmt.Sprintf("%+.2f%s", scale*v, unitOfDifference)
		}
		return fmt.Sprintf("%.2f%s", scale*v, unit)
	}
}
