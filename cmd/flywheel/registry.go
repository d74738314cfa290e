package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// modelStage is a stage as users write it, for example "experiment".
type modelStage flywheelv1.ModelStage

const stagePrefix = "MODEL_STAGE_"

// UnmarshalText parses a stage.
func (s *modelStage) UnmarshalText(text []byte) error {
	value, known := flywheelv1.ModelStage_value[stagePrefix+strings.ToUpper(string(text))]
	if !known || value == 0 {
		return fmt.Errorf("unknown stage %q: one of %s", text, strings.Join(stageNames(), ", "))
	}
	*s = modelStage(value)
	return nil
}

// stageNames lists the stages in their order.
func stageNames() []string {
	var names []string
	for i := range len(flywheelv1.ModelStage_name) - 1 {
		names = append(names, stageName(flywheelv1.ModelStage(i+1)))
	}
	return names
}

// stageName is a stage as users write it, empty where there is none.
func stageName(s flywheelv1.ModelStage) string {
	if s == flywheelv1.ModelStage_MODEL_STAGE_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), stagePrefix))
}

func stages(given []modelStage) []flywheelv1.ModelStage {
	var all []flywheelv1.ModelStage
	for _, stage := range given {
		all = append(all, flywheelv1.ModelStage(stage))
	}
	return all
}

// ask makes one call to a service that is served with the feedback service.
func ask[R any](ctx context.Context, s feedbackSettings, call func(context.Context, *grpc.ClientConn) (R, error)) (resp R, err error) {
	conn, err := s.dial()
	if err != nil {
		return resp, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := s.call(ctx)
	defer cancel()
	resp, err = call(ctx, conn)
	return resp, askError(s, err)
}

// writeTable writes rows of cells in columns under a header.
func writeTable(w io.Writer, header []string, rows [][]string) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, strings.Join(header, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = orDash(cell)
		}
		fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// orDash is a cell's text on one line, so that it stays in its row.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Join(strings.Fields(text), " ")
}

func timeText(t *timestamppb.Timestamp) string { return t.AsTime().Format(time.RFC3339) }
