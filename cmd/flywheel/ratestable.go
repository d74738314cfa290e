package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// rateColumn is a rate that the table shows.
type rateColumn struct {
	name string
	of   func(*flywheelv1.RatesRow) *flywheelv1.Rate
}

// rateColumns are the rates in the order in which they are shown.
func rateColumns() []rateColumn {
	return []rateColumn{
		{"shown_rate", (*flywheelv1.RatesRow).GetShownRate},
		{"acceptance_rate", (*flywheelv1.RatesRow).GetAcceptanceRate},
		{"full", (*flywheelv1.RatesRow).GetFullAcceptanceRate},
		{"partial", (*flywheelv1.RatesRow).GetPartialAcceptanceRate},
		{"modified", (*flywheelv1.RatesRow).GetModifiedAcceptanceRate},
		{"hide_rate", (*flywheelv1.RatesRow).GetHideRate},
		{"ignored", (*flywheelv1.RatesRow).GetIgnoredRate},
		{"superseded", (*flywheelv1.RatesRow).GetSupersededRate},
		{"read", (*flywheelv1.RatesRow).GetReadRate},
	}
}

// writeRates writes what a query found in the given format.
func writeRates(w io.Writer, format string, query *ratesQuery, found foundRates) error {
	switch format {
	case "json":
		return writeJSON(w, &flywheelv1.GetRatesResponse{Rows: found.rows, Models: found.models})
	case "csv":
		return writeRatesCSV(w, query.names, found.rows)
	default:
		return writeRatesTable(w, query, found)
	}
}

// writeJSON writes an answer with the names of the contract.
func writeJSON(w io.Writer, answer proto.Message) error {
	data, err := protojson.MarshalOptions{Indent: "  ", UseProtoNames: true, EmitUnpopulated: true}.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", data)
	return err
}

func writeRatesCSV(w io.Writer, groups []string, rows []*flywheelv1.RatesRow) error {
	out := csv.NewWriter(w)
	header := append([]string{"bucket"}, groups...)
	header = append(header, "opportunities", "shown")
	for _, column := range rateColumns() {
		header = append(header, column.name+"_numerator", column.name+"_denominator", column.name+"_value", column.name+"_low", column.name+"_high")
	}
	if err := out.Write(header); err != nil {
		return fmt.Errorf("write rates: %w", err)
	}
	for _, row := range rows {
		record := append([]string{bucketText(row)}, row.GetGroup()...)
		record = append(record, count(row.GetCounts().GetOpportunities()), count(row.GetCounts().GetShown()))
		for _, column := range rateColumns() {
			rate := column.of(row)
			record = append(record, count(rate.GetNumerator()), count(rate.GetDenominator()),
				number(rate.GetValue()), number(rate.GetLow()), number(rate.GetHigh()))
		}
		if err := out.Write(record); err != nil {
			return fmt.Errorf("write rates: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

// writeRatesTable writes a line of counts and a line of 95 % intervals per row.
func writeRatesTable(w io.Writer, query *ratesQuery, found foundRates) error {
	rows := found.rows
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "No interactions in this time range (see --since, --tenant, --filter and --model-stage; new events take a few seconds).")
		return err
	}
	timed := rows[0].GetBucket() != nil
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var header []string
	if timed {
		header = append(header, "time")
	}
	header = append(header, query.names...)
	modelAt := slices.Index(query.groupBy, flywheelv1.Dimension_DIMENSION_MODEL)
	registered := modelAt >= 0 && len(found.models) > 0
	if registered {
		header = append(header, "stage", "parent", "training_set")
	}
	evaluated := registered && len(found.evaluations) > 0
	if evaluated {
		header = append(header, "exact")
	}
	header = append(header, "opportunities", "shown")
	for _, column := range rateColumns()[1:] {
		header = append(header, column.name)
	}
	fmt.Fprintln(out, strings.ToUpper(strings.Join(header, "\t")))
	for _, row := range rows {
		group := row.GetGroup()
		if registered {
			m := found.models[group[modelAt]]
			group = append(slices.Clip(group), stageName(m.GetStage()), m.GetParent(), m.GetTrainingSetId())
		}
		if evaluated {
			group = append(group, exactText(found.evaluations[row.GetGroup()[modelAt]]))
		}
		writeRatesRow(out, timed, group, row)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write rates: %w", err)
	}
	return nil
}

func writeRatesRow(out io.Writer, timed bool, group []string, row *flywheelv1.RatesRow) {
	var cells, below []string
	if timed {
		cells = append(cells, bucketText(row))
		below = append(below, "")
	}
	for _, value := range group {
		cells = append(cells, orDash(value))
		below = append(below, "")
	}
	counts := row.GetCounts()
	cells = append(cells, count(counts.GetOpportunities()), fmt.Sprintf("%d (%s)", counts.GetShown(), percent(row.GetShownRate().GetValue())))
	below = append(below, "", interval(row.GetShownRate()))
	for _, column := range rateColumns()[1:] {
		rate := column.of(row)
		cells = append(cells, fmt.Sprintf("%d (%s)", rate.GetNumerator(), percent(rate.GetValue())))
		below = append(below, interval(rate))
	}
	fmt.Fprintln(out, strings.Join(cells, "\t"))
	fmt.Fprintln(out, strings.Join(below, "\t"))
}

func bucketText(row *flywheelv1.RatesRow) string {
	if row.GetBucket() == nil {
		return ""
	}
	return row.GetBucket().AsTime().Format(time.RFC3339)
}

func interval(rate *flywheelv1.Rate) string {
	return fmt.Sprintf("%.2f-%.2f%%", 100*rate.GetLow(), 100*rate.GetHigh())
}

func percent(v float64) string { return fmt.Sprintf("%.2f%%", 100*v) }
func count(n uint64) string    { return strconv.FormatUint(n, 10) }
func number(v float64) string  { return strconv.FormatFloat(v, 'g', -1, 64) }
