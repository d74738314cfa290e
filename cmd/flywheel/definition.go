package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"google.golang.org/grpc"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

type definitionCmd struct {
	List    definitionListCmd    `cmd:"" help:"List the definitions of labels and rewards."`
	Show    definitionShowCmd    `cmd:"" help:"Show a definition, as a file that can be changed and added."`
	Add     definitionAddCmd     `cmd:"" help:"Add a definition from a file, as the next version."`
	Compare definitionCompareCmd `cmd:"" help:"Judge the same stored interactions by two definitions."`
}

// listDefinitions gets all definitions, by version.
func listDefinitions(ctx context.Context, s feedbackSettings) (*flywheelv1.ListDefinitionsResponse, error) {
	return ask(ctx, s, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.ListDefinitionsResponse, error) {
		return flywheelv1.NewDefinitionServiceClient(conn).ListDefinitions(ctx, &flywheelv1.ListDefinitionsRequest{})
	})
}

type definitionListCmd struct {
	feedbackSettings
	Format string `enum:"table,json" default:"table" help:"Form of the output (${enum})."`
}

// Run lists the definitions.
func (c *definitionListCmd) Run(ctx context.Context, env environment) error {
	resp, err := listDefinitions(ctx, c.feedbackSettings)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(env.stdout, resp)
	}
	var rows [][]string
	for _, d := range resp.GetDefinitions() {
		rows = append(rows, []string{
			count(uint64(d.GetVersion())), d.GetName(), spanText(d.GetWindow().AsDuration()), spanText(d.GetMinReject().AsDuration()),
			timeText(d.GetCreatedAt()), d.GetNotes(),
		})
	}
	return writeTable(env.stdout, []string{"VERSION", "NAME", "WINDOW", "MIN_REJECT", "CREATED", "NOTES"}, rows)
}

type definitionShowCmd struct {
	Version uint32 `arg:"" optional:"" help:"Version of the definition. Unset: the newest."`
	feedbackSettings
}

// Run writes a definition as a file.
func (c *definitionShowCmd) Run(ctx context.Context, env environment) error {
	resp, err := listDefinitions(ctx, c.feedbackSettings)
	if err != nil {
		return err
	}
	var versions []string
	for i, d := range resp.GetDefinitions() {
		if d.GetVersion() == c.Version || c.Version == 0 && i == len(resp.GetDefinitions())-1 {
			return writeDefinition(env.stdout, d)
		}
		versions = append(versions, count(uint64(d.GetVersion())))
	}
	return fmt.Errorf("show definition %d: there is none; the versions are %s", c.Version, strings.Join(versions, ", "))
}

type definitionAddCmd struct {
	File string `arg:"" type:"path" help:"YAML file as 'flywheel definition show' writes it; - for standard input."`
	feedbackSettings
}

// Run adds the definition of a file.
func (c *definitionAddCmd) Run(ctx context.Context, env environment) (err error) {
	in := os.Stdin
	if c.File != "-" {
		if in, err = os.Open(c.File); err != nil {
			return usageError{fmt.Errorf("read definition: %w", err)}
		}
		defer func() { _ = in.Close() }()
	}
	definition, err := readDefinition(in)
	if err != nil {
		return usageError{fmt.Errorf("read definition of %s: %w", c.File, err)}
	}
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.CreateDefinitionResponse, error) {
		return flywheelv1.NewDefinitionServiceClient(conn).CreateDefinition(ctx, &flywheelv1.CreateDefinitionRequest{Definition: definition})
	})
	if err != nil {
		return err
	}
	d := resp.GetDefinition()
	_, err = fmt.Fprintf(env.stdout, "It is definition %d (%s), stored at %s.\n", d.GetVersion(), d.GetName(), timeText(d.GetCreatedAt()))
	return err
}

type definitionCompareCmd struct {
	A uint32 `arg:"" help:"Version of the one definition."`
	B uint32 `arg:"" help:"Version of the other."`
	feedbackSettings
	Filter []string `sep:"none" placeholder:"DIMENSION=VALUE|VALUE" help:"Keep only these values of a dimension. Can be repeated."`
	timeRange
	Format string `enum:"table,json" default:"table" help:"Form of the output (${enum})."`
}

// Run compares two definitions.
func (c *definitionCompareCmd) Run(ctx context.Context, env environment) error {
	filters, err := parseFilters(c.Filter)
	if err != nil {
		return usageError{err}
	}
	from, to := c.window().stamps()
	resp, err := ask(ctx, c.feedbackSettings, func(ctx context.Context, conn *grpc.ClientConn) (*flywheelv1.CompareDefinitionsResponse, error) {
		return flywheelv1.NewDefinitionServiceClient(conn).CompareDefinitions(ctx, &flywheelv1.CompareDefinitionsRequest{
			DefinitionA: c.A, DefinitionB: c.B, From: from, To: to, Filters: filters,
		})
	})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(env.stdout, resp)
	}
	return writeComparison(env.stdout, c.A, c.B, resp)
}

// writeComparison writes the rewards per model and the labels of all.
func writeComparison(w io.Writer, a, b uint32, resp *flywheelv1.CompareDefinitionsResponse) error {
	overall := resp.GetOverall()
	if overall.GetInteractions() == 0 {
		_, err := fmt.Fprintln(w, "No interactions in this time range (see --since, --tenant and --filter).")
		return err
	}
	rows := [][]string{comparisonRow("(all)", overall)}
	for _, ofModel := range resp.GetModels() {
		rows = append(rows, comparisonRow(ofModel.GetModel(), ofModel))
	}
	header := []string{
		"MODEL", "INTERACTIONS", fmt.Sprintf("SETTLED (%d)", a), fmt.Sprintf("SETTLED (%d)", b),
		fmt.Sprintf("REWARD (%d)", a), fmt.Sprintf("REWARD (%d)", b), "DIFFERENCE", "CORRELATION", "OTHER_LABEL",
	}
	if err := writeTable(w, header, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	rows = nil
	for _, pair := range overall.GetLabels() {
		share := float64(pair.GetInteractions()) / float64(overall.GetInteractions())
		rows = append(rows, []string{
			label(pair.GetLabelA()), label(pair.GetLabelB()), fmt.Sprintf("%d (%s)", pair.GetInteractions(), percent(share)),
		})
	}
	return writeTable(w, []string{fmt.Sprintf("LABEL (%d)", a), fmt.Sprintf("LABEL (%d)", b), "INTERACTIONS"}, rows)
}

func comparisonRow(name string, c *flywheelv1.DefinitionComparison) []string {
	var other uint64
	for _, pair := range c.GetLabels() {
		if pair.GetLabelA() != pair.GetLabelB() {
			other += pair.GetInteractions()
		}
	}
	correlation := ""
	if c.Correlation != nil {
		correlation = strconv.FormatFloat(c.GetCorrelation(), 'f', 4, 64)
	}
	return []string{
		name, count(c.GetInteractions()), count(c.GetSettledA()), count(c.GetSettledB()),
		reward(c.GetMeanRewardA()), reward(c.GetMeanRewardB()), reward(c.GetMeanDifference()), correlation, count(other),
	}
}

func reward(v float64) string { return fmt.Sprintf("%+.4f", v) }

func label(outcome flywheelv1.Outcome) string {
	if outcome == flywheelv1.Outcome_OUTCOME_UNSPECIFIED {
		return "undecided"
	}
	return strings.ToLower(strings.TrimPrefix(outcome.String(), "OUTCOME_"))
}
