package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/processor"
)

type deadLetterShowCmd struct {
	deadLetterSettings
	Number uint64 `arg:"" help:"Number of the letter."`
	Raw    string `type:"path" placeholder:"FILE" help:"Also write the letter's bytes to this file: a marshalled flywheel.v1.LogBatch, as far as they are one."`
}

// Run shows a dead letter.
func (c *deadLetterShowCmd) Run(ctx context.Context, env environment) error {
	return c.with(ctx, env, func(log *eventlog.Log) error {
		letter, err := log.DeadLetterAt(ctx, c.Number)
		if err != nil {
			return err
		}
		if c.Raw != "" {
			if err := os.WriteFile(c.Raw, letter.Batch, 0o600); err != nil {
				return fmt.Errorf("write the letter's bytes: %w", err)
			}
		}
		return showLetter(env.stdout, letter)
	})
}

func showLetter(w io.Writer, d eventlog.DeadLetter) error {
	contents := processor.OpenLetter(d.Tenant, d.Batch)
	received := ""
	if !contents.Received.IsZero() {
		received = contents.Received.Format(time.RFC3339Nano)
	}
	for _, line := range [][2]string{
		{"number", fmt.Sprint(d.Number)},
		{"set aside", d.Time.UTC().Format(time.RFC3339Nano)},
		{"lane", d.Lane.String()},
		{"shard", fmt.Sprint(d.Shard)},
		{"record", fmt.Sprint(d.Sequence)},
		{"tenant", d.Tenant},
		{"batch id", hex.EncodeToString(contents.BatchID)},
		{"received", received},
		{"table", d.Table},
		{"bytes", fmt.Sprint(len(d.Batch))},
		{"reason", d.Reason},
	} {
		if _, err := fmt.Fprintf(w, "%-10s %s\n", line[0], orDash(line[1])); err != nil {
			return fmt.Errorf("write dead letter: %w", err)
		}
	}
	for i, event := range contents.Events {
		if err := showLetterEvent(w, i+1, event); err != nil {
			return fmt.Errorf("write dead letter: %w", err)
		}
	}
	return nil
}

// showLetterEvent writes an event as JSON, or as hexadecimal where it is none.
func showLetterEvent(w io.Writer, number int, e processor.LetterEvent) error {
	id, err := uuid.FromBytes(e.Event.GetEventId())
	if err != nil {
		id = uuid.Nil
	}
	if _, err := fmt.Fprintf(w, "\nevent %d, %d bytes, event id %s\n", number, len(e.Wire), id); err != nil {
		return err
	}
	if e.Event == nil {
		_, err := fmt.Fprintf(w, "%v, at byte %d\n%s", e.Err, e.ErrOffset, hex.Dump(e.Wire))
		return err
	}
	text, err := protojson.MarshalOptions{Indent: "  ", UseProtoNames: true}.Marshal(e.Event)
	if err != nil { // a string that is no UTF-8
		_, err := fmt.Fprintf(w, "the event cannot be shown as JSON: %v\n%s", err, hex.Dump(e.Wire))
		return err
	}
	verdict := "this processor can make rows of it"
	if e.Err != nil {
		verdict = "this processor still refuses it: " + e.Err.Error()
	}
	_, err = fmt.Fprintf(w, "%s\n%s\n", verdict, text)
	return err
}
