package trainset

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"github.com/ClickHouse/clickhouse-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/registry"
)

//go:embed sql/*.sql
var statements embed.FS

const (
	maxFilters      = 32
	maxFilterValues = 1_000
	maxNameBytes    = 128
	maxPredicate    = 8 << 10
	// maxNearBits is the largest distance of near duplicates: beyond it the 64 bits say
	// little.
	maxNearBits = 7
	// parts is what shares are parts of.
	parts = 10_000
)

// plan is a valid request, as the statements need it.
type plan struct {
	request *flywheelv1.CreateTrainingSetRequest
	format  format
	tenant  string

	// What the templates of sql/ ask for.
	Format                    string
	Unit                      string
	Unsettled, WithoutConsent bool
	MinReward, MinRetention   bool
	MaxPrompt, MaxCompletion  bool
	Filters                   []filter
	Predicate                 string
	Columns                   []string
}

// filter keeps what has one of the values in a column.
type filter struct {
	Column, Values string
	values         []string
}

// normalize writes out what an absent part of a request stands for, so that equal requests
// are equal.
func normalize(req *flywheelv1.CreateTrainingSetRequest) {
	if req.GetSelection() == nil {
		req.Selection = new(flywheelv1.TrainingSelection)
	}
	if req.GetQuality() == nil {
		req.Quality = new(flywheelv1.Quality)
	}
	if req.GetSplit() == nil {
		req.Split = new(flywheelv1.Split)
	}
	if req.GetSplit().GetUnit() == flywheelv1.SplitUnit_SPLIT_UNIT_UNSPECIFIED {
		req.Split.Unit = flywheelv1.SplitUnit_SPLIT_UNIT_USER
	}
}

// newPlan returns the plan of a normal request, and what is wrong with it.
func newPlan(tenant string, req *flywheelv1.CreateTrainingSetRequest) (*plan, rpc.Violations) {
	p := &plan{request: req, tenant: tenant}
	var wrong rpc.Violations
	p.format = formatOf(req.GetFormat())
	if p.format.name == "" {
		wrong.Add("format", "%d is not a format", req.GetFormat())
	}
	if len(req.GetName()) > maxNameBytes || !utf8.ValidString(req.GetName()) {
		wrong.Add("name", "%d bytes: up to %d of UTF-8 are possible", len(req.GetName()), maxNameBytes)
	}
	p.Format, p.Columns = p.format.name, p.format.signals
	p.choose(req.GetSelection(), &wrong)
	p.judge(req.GetQuality(), &wrong)
	p.split(req.GetSplit(), &wrong)
	return p, wrong
}

// choose takes the selection.
func (p *plan) choose(s *flywheelv1.TrainingSelection, wrong *rpc.Violations) {
	checkTime(wrong, "selection.from", s.GetFrom())
	checkTime(wrong, "selection.to", s.GetTo())
	if s.GetFrom() != nil && s.GetTo() != nil && !s.GetFrom().AsTime().Before(s.GetTo().AsTime()) {
		wrong.Add("selection.to", "not after from: the time range is empty")
	}
	if len(s.GetFilters()) > maxFilters {
		wrong.Add("selection.filters", "%d filters: at most %d are possible", len(s.GetFilters()), maxFilters)
	}
	for i, f := range s.GetFilters() {
		name, known := flywheelv1.Dimension_name[int32(f.GetDimension())]
		if !known || f.GetDimension() == flywheelv1.Dimension_DIMENSION_UNSPECIFIED {
			wrong.Add(fmt.Sprintf("selection.filters[%d].dimension", i), "%d is not a dimension", f.GetDimension())
		}
		if n := len(f.GetValues()); n == 0 || n > maxFilterValues {
			wrong.Add(fmt.Sprintf("selection.filters[%d].values", i), "%d values: 1 to %d are needed (an empty string stands for \"not set\")", n, maxFilterValues)
		}
		p.Filters = append(p.Filters, filter{
			Column: strings.ToLower(strings.TrimPrefix(name, "DIMENSION_")), Values: fmt.Sprintf("{values_%d:Array(String)}", i), values: f.GetValues(),
		})
	}
	for i, label := range s.GetLabels() {
		if _, known := flywheelv1.Outcome_name[int32(label)]; !known {
			wrong.Add(fmt.Sprintf("selection.labels[%d]", i), "%d is not an outcome", label)
		}
	}
	if s.GetMinRetention() > parts {
		wrong.Add("selection.min_retention", "%d: 0 to %d is possible", s.GetMinRetention(), parts)
	}
	if r := s.GetMinReward(); r < -parts || r > parts {
		wrong.Add("selection.min_reward", "%d: %d to %d is possible", r, -parts, parts)
	}
	if len(s.GetPredicate()) > maxPredicate {
		wrong.Add("selection.predicate", "%d bytes: at most %d are possible", len(s.GetPredicate()), maxPredicate)
	}
	if p.format.sessions {
		p.chooseSessions(s, wrong)
	}
	p.Unsettled, p.WithoutConsent = s.GetIncludeUnsettled(), s.GetIncludeWithoutConsent()
	p.MinReward, p.MinRetention = s.MinReward != nil, s.GetMinRetention() > 0
	p.Predicate = s.GetPredicate()
}

func checkTime(wrong *rpc.Violations, field string, at *timestamppb.Timestamp) {
	if at != nil && !at.IsValid() {
		wrong.Add(field, "not a valid timestamp: %v", at.CheckValid())
	}
}

// chooseSessions refuses what says nothing of whole sessions.
func (p *plan) chooseSessions(s *flywheelv1.TrainingSelection, wrong *rpc.Violations) {
	for _, of := range []struct {
		field string
		given bool
	}{
		{"labels", len(s.GetLabels()) > 0}, {"min_reward", s.MinReward != nil}, {"min_retention", s.GetMinRetention() > 0}, {"predicate", s.GetPredicate() != ""},
	} {
		if of.given {
			wrong.Add("selection."+of.field, "the rows of the format %s are sessions, which have none", p.format.name)
		}
	}
	for i, f := range p.Filters {
		if f.Column != "model" && f.Column != "client" && f.Column != "client_version" {
			wrong.Add(fmt.Sprintf("selection.filters[%d].dimension", i), "sessions have no %s: model, client and client_version are possible", f.Column)
		}
	}
}

// judge takes what is left out for its quality.
func (p *plan) judge(q *flywheelv1.Quality, wrong *rpc.Violations) {
	if q.GetNearDuplicateBits() > maxNearBits {
		wrong.Add("quality.near_duplicate_bits", "%d: 0 to %d is possible", q.GetNearDuplicateBits(), maxNearBits)
	}
	if q.GetMaxTokens() > 0 {
		if _, err := encodingOf(q.GetEncoding()); err != nil {
			wrong.Add("quality.encoding", "%v", err)
		}
	}
	if len(p.format.texts) == 0 && (q.GetNearDuplicateBits() > 0 || len(q.GetDecontaminate()) > 0 || q.GetMaxTokens() > 0 || q.GetMaxPromptChars() > 0 || q.GetMaxCompletionChars() > 0) {
		wrong.Add("quality", "the format %s has no text to judge", p.format.name)
	}
	p.MaxPrompt, p.MaxCompletion = q.GetMaxPromptChars() > 0, q.GetMaxCompletionChars() > 0
}

// split takes how rows are divided.
func (p *plan) split(s *flywheelv1.Split, wrong *rpc.Violations) {
	switch s.GetUnit() {
	case flywheelv1.SplitUnit_SPLIT_UNIT_USER:
		p.Unit = "user"
	case flywheelv1.SplitUnit_SPLIT_UNIT_SESSION:
		p.Unit = "session"
	case flywheelv1.SplitUnit_SPLIT_UNIT_REPOSITORY:
		p.Unit = "repository"
	default:
		wrong.Add("split.unit", "%d is not a unit", s.GetUnit())
	}
	if sum := uint64(s.GetValidation()) + uint64(s.GetTest()); sum > parts {
		wrong.Add("split.test", "%d parts of %d for validation and test: that is more than all", sum, parts)
	}
}

// labels are the labels to keep.
func (p *plan) labels() []string {
	labels := p.request.GetSelection().GetLabels()
	if len(labels) == 0 {
		return p.format.labels
	}
	var names []string
	for _, l := range labels {
		names = append(names, labelName(l))
	}
	return names
}

// labelName is the name of an outcome in training_signals.
func labelName(o flywheelv1.Outcome) string {
	if o == flywheelv1.Outcome_OUTCOME_UNSPECIFIED {
		return "undecided"
	}
	return strings.ToLower(strings.TrimPrefix(o.String(), "OUTCOME_"))
}

// complete sets what a request leaves to us: the newest definition, and now.
func complete(ctx context.Context, db *warehouse.DB, req *flywheelv1.CreateTrainingSetRequest) error {
	definitions, err := registry.Definitions(ctx, db)
	if err != nil {
		return err
	}
	if req.GetDefinition() == 0 {
		for _, d := range definitions {
			req.Definition = max(req.GetDefinition(), d.Version)
		}
	}
	if !slices.ContainsFunc(definitions, func(d definition) bool { return d.Version == req.GetDefinition() }) {
		return status.Errorf(codes.NotFound, "there is no definition %d: ListDefinitions lists those that there are", req.GetDefinition())
	}
	if req.Watermark == nil {
		req.Watermark = timestamppb.New(time.Now().UTC().Truncate(time.Millisecond))
	}
	return nil
}

// fingerprint identifies what a complete request asks for: everything but the name.
func fingerprint(req *flywheelv1.CreateTrainingSetRequest) (string, error) {
	nameless := proto.CloneOf(req)
	nameless.Name = ""
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(nameless)
	if err != nil {
		return "", fmt.Errorf("encode request: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}

// statement renders the statement that gives the rows of a chunk.
func (p *plan) statement() (string, error) {
	parsed, err := template.ParseFS(statements, "sql/signals_of.sql", "sql/"+p.format.statement)
	if err != nil {
		return "", fmt.Errorf("parse statement: %w", err)
	}
	var sql strings.Builder
	if err := parsed.ExecuteTemplate(&sql, p.format.statement, p); err != nil {
		return "", fmt.Errorf("render statement: %w", err)
	}
	return sql.String(), nil
}

// arguments are the values of the statement's placeholders for the interactions that
// started from one time to another, in Unix milliseconds.
func (p *plan) arguments(from, to int64) []any {
	q := p.request.GetQuality()
	args := []any{
		clickhouse.Named("definition", p.request.GetDefinition()),
		clickhouse.Named("tenant", p.tenant),
		clickhouse.Named("from_ms", from),
		clickhouse.Named("to_ms", to),
		clickhouse.Named("watermark_ms", p.request.GetWatermark().AsTime().UnixMilli()),
		clickhouse.Named("labels", p.labels()),
		clickhouse.Named("min_reward", p.request.GetSelection().GetMinReward()),
		clickhouse.Named("min_retention", p.request.GetSelection().GetMinRetention()),
		clickhouse.Named("max_prompt", q.GetMaxPromptChars()),
		clickhouse.Named("max_completion", q.GetMaxCompletionChars()),
		clickhouse.Named("salt", p.request.GetSplit().GetSalt()),
		clickhouse.Named("test", p.request.GetSplit().GetTest()),
		clickhouse.Named("validation", p.request.GetSplit().GetValidation()),
	}
	for i, f := range p.Filters {
		args = append(args, clickhouse.Named(fmt.Sprintf("values_%d", i), f.values))
	}
	return args
}

// span is when the interactions started, in Unix milliseconds, to exclusive.
func (p *plan) span() (from, to int64) {
	s := p.request.GetSelection()
	to = p.request.GetWatermark().AsTime().UnixMilli()
	if s.GetFrom() != nil {
		from = max(s.GetFrom().AsTime().UnixMilli(), 0)
	}
	if s.GetTo() != nil {
		to = min(to, s.GetTo().AsTime().UnixMilli())
	}
	return min(from, math.MaxInt64), to
}
