package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

const (
	queryTimeout  = 30 * time.Second
	watchInterval = 2 * time.Second
	// maxAnswer holds the largest answer of the feedback service.
	maxAnswer   = 128 << 20
	clearScreen = "\x1b[H\x1b[2J"
)

// feedbackSettings say where the feedback service is and who asks.
type feedbackSettings struct {
	Feedback    string `placeholder:"ADDRESS" help:"Address of the feedback service. Unset: where the 'flywheel up' of --data-dir listens, else 127.0.0.1:7411."`
	FeedbackTLS bool   `name:"feedback-tls" help:"Use TLS to the feedback service."`
	DataDir     string `type:"path" default:"${dataDir}" help:"Data folder of a running 'flywheel up'."`
	Tenant      string `default:"default" help:"Tenant whose data it is."`
}

// running is where the "up" of the data folder listens; by default where any does.
func (s feedbackSettings) running() addresses { return readAddresses(s.DataDir) }

func (s feedbackSettings) address() string { return s.running().or(s.Feedback, addresses.feedback) }

func (s feedbackSettings) dial() (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if s.FeedbackTLS {
		transport = credentials.NewTLS(nil)
	}
	conn, err := grpc.NewClient(s.address(), grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, fmt.Errorf("connect to feedback service at %s: %w", s.address(), err)
	}
	return conn, nil
}

// call adds the tenant and a time limit to a query's context.
func (s feedbackSettings) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, s.Tenant), queryTimeout)
}

type ratesCmd struct {
	feedbackSettings
	GroupBy    []string     `default:"model" placeholder:"DIMENSION" help:"Dimensions to group by, comma separated: ${dimensions}. 'none' for one row over everything."`
	Filter     []string     `sep:"none" placeholder:"DIMENSION=VALUE|VALUE" help:"Keep only these values of a dimension. Can be repeated."`
	ModelStage []modelStage `placeholder:"STAGE" help:"Keep only models that are registered at these stages, comma separated: ${stages}."`
	timeRange
	Every  time.Duration `placeholder:"WIDTH" help:"One row per time bucket of this width, whole minutes."`
	Format string        `enum:"table,json,csv" default:"table" help:"Form of the output (${enum})."`
	Watch  bool          `help:"Show the rates again and again until Ctrl-C."`
}

// timeRange says which interactions to look at, by their start.
type timeRange struct {
	Since time.Duration `default:"168h" help:"How far back to look."`
	From  time.Time     `placeholder:"TIME" help:"Start (RFC 3339), instead of --since."`
	To    time.Time     `placeholder:"TIME" help:"End (RFC 3339). Unset: now."`
}

// window is the time range as of now.
func (r timeRange) window() window {
	w := window{from: r.From, to: r.To}
	if w.from.IsZero() {
		w.from = time.Now().Add(-r.Since)
	}
	return w
}

// Run shows the rates once, or again and again.
func (c *ratesCmd) Run(ctx context.Context, env environment) error {
	query, err := c.query()
	if err != nil {
		return usageError{err}
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if !c.Watch {
		return c.show(ctx, conn, query, env.stdout, "")
	}
	for ctx.Err() == nil {
		if err := c.show(ctx, conn, query, env.stdout, clearScreen); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchInterval):
		}
	}
	return nil
}

func (c *ratesCmd) show(ctx context.Context, conn *grpc.ClientConn, query *ratesQuery, w io.Writer, before string) error {
	found, err := query.ask(ctx, c.feedbackSettings, flywheelv1.NewFeedbackServiceClient(conn), c.window())
	if err != nil {
		return err
	}
	if c.Format == "table" {
		if found.evaluations, err = newestEvaluations(ctx, c.feedbackSettings, conn, found.models); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, before); err != nil {
		return fmt.Errorf("write rates: %w", err)
	}
	return writeRates(w, c.Format, query, found)
}

func (c *ratesCmd) query() (*ratesQuery, error) {
	if c.Watch && c.Format != "table" {
		return nil, errors.New("--watch redraws a table: it cannot be combined with --format " + c.Format)
	}
	if c.Every%time.Minute != 0 || c.Every < 0 {
		return nil, fmt.Errorf("--every %s: whole minutes are needed", c.Every)
	}
	filters, err := parseFilters(c.Filter)
	if err != nil {
		return nil, err
	}
	query := &ratesQuery{filters: filters, stages: stages(c.ModelStage), every: c.Every}
	for _, name := range c.GroupBy {
		if name == "none" && len(c.GroupBy) == 1 {
			break
		}
		dimension, err := parseDimension(name)
		if err != nil {
			return nil, fmt.Errorf("--group-by: %w", err)
		}
		query.groupBy = append(query.groupBy, dimension)
		query.names = append(query.names, name)
	}
	return query, nil
}

// parseFilters parses the values of --filter.
func parseFilters(texts []string) ([]*flywheelv1.Filter, error) {
	var filters []*flywheelv1.Filter
	for _, text := range texts {
		name, values, found := strings.Cut(text, "=")
		if !found {
			return nil, fmt.Errorf("--filter %q: DIMENSION=VALUE is needed", text)
		}
		dimension, err := parseDimension(name)
		if err != nil {
			return nil, fmt.Errorf("--filter: %w", err)
		}
		filters = append(filters, &flywheelv1.Filter{Dimension: dimension, Values: strings.Split(values, "|")})
	}
	return filters, nil
}

// window is a time range; a zero to means no end.
type window struct{ from, to time.Time }

func (w window) stamps() (from, to *timestamppb.Timestamp) {
	if !w.from.IsZero() {
		from = timestamppb.New(w.from)
	}
	if !w.to.IsZero() {
		to = timestamppb.New(w.to)
	}
	return from, to
}

// ratesQuery is what to ask the feedback service.
type ratesQuery struct {
	groupBy []flywheelv1.Dimension
	names   []string
	filters []*flywheelv1.Filter
	stages  []flywheelv1.ModelStage
	every   time.Duration
}

// foundRates are rows, those of their models that are registered and, for a table, the
// newest evaluations of these.
type foundRates struct {
	rows        []*flywheelv1.RatesRow
	models      map[string]*flywheelv1.Model
	evaluations map[string]*flywheelv1.Evaluation
}

// ask gets the rates of a time range.
func (q *ratesQuery) ask(ctx context.Context, s feedbackSettings, client flywheelv1.FeedbackServiceClient, w window) (foundRates, error) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	from, to := w.stamps()
	if q.every == 0 {
		resp, err := client.GetRates(ctx, &flywheelv1.GetRatesRequest{
			From: from, To: to, GroupBy: q.groupBy, Filters: q.filters, ModelStages: q.stages,
		})
		return foundRates{rows: resp.GetRows(), models: resp.GetModels()}, askError(s, err)
	}
	resp, err := client.GetRatesOverTime(ctx, &flywheelv1.GetRatesOverTimeRequest{
		From: from, To: to, GroupBy: q.groupBy, Filters: q.filters, ModelStages: q.stages, BucketWidth: durationpb.New(q.every),
	})
	return foundRates{rows: resp.GetRows(), models: resp.GetModels()}, askError(s, err)
}

// askError says what the service said, with every field that was wrong.
func askError(s feedbackSettings, err error) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	text := st.Message()
	for _, detail := range st.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) > 1 {
			var all []string
			for _, violation := range bad.GetFieldViolations() {
				all = append(all, violation.GetField()+": "+violation.GetDescription())
			}
			text = strings.Join(all, "; ")
		}
	}
	return fmt.Errorf("ask feedback service at %s: %s (%s)", s.address(), text, st.Code())
}

// dimensionNames lists the dimensions by the names that users write.
func dimensionNames() []string {
	var names []string
	for value, name := range flywheelv1.Dimension_name {
		if value != 0 {
			names = append(names, strings.ToLower(strings.TrimPrefix(name, "DIMENSION_")))
		}
	}
	slices.Sort(names)
	return names
}

func parseDimension(name string) (flywheelv1.Dimension, error) {
	value, ok := flywheelv1.Dimension_value["DIMENSION_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
	if !ok || value == 0 {
		return 0, fmt.Errorf("unknown dimension %q: one of %s", name, strings.Join(dimensionNames(), ", "))
	}
	return flywheelv1.Dimension(value), nil
}
