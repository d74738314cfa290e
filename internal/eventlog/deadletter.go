package eventlog

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
)

// Headers of a dead letter.
const (
	laneHeader     = "Flywheel-Lane"
	shardHeader    = "Flywheel-Shard"
	tenantHeader   = "Flywheel-Tenant"
	reasonHeader   = "Flywheel-Reason"
	tableHeader    = "Flywheel-Table"
	sequenceHeader = "Flywheel-Sequence"
	timeHeader     = "Flywheel-Time"

	// maxHeaderText bounds tenant and reason, in bytes.
	maxHeaderText = 4 << 10
)

// DeadLetter is what a processor could not make use of, and why.
type DeadLetter struct {
	// Number names it as long as the log holds it; later ones have larger numbers. Set
	// by the log.
	Number uint64
	// Tenant is who sent it.
	Tenant string
	// Reason says why it cannot be processed. It is stored as one line of at most
	// 4 KiB: control characters become spaces, the rest is cut.
	Reason string
	// Table is the ClickHouse table that refused it. Empty: it has no rows.
	Table string
	// Lane, Shard and Sequence (of the [Message]) say which record it was part of.
	Lane     Lane
	Shard    int
	Sequence uint64
	// Batch is a marshalled LogBatch with the events, or whatever bytes there were.
	Batch []byte
	// Time is when it was given up. Set by the log.
	Time time.Time
}

// DeadLetter stores a dead letter and returns nil when the log has confirmed it, with
// the errors and the ownership of [Log.Publish]. After that, and not before, the
// record may be acknowledged. The [DeadLetter.Batch] of a record always fits.
func (l *Log) DeadLetter(ctx context.Context, d DeadLetter) error {
	if _, err := l.laneShards(d.Lane); err != nil {
		return fmt.Errorf("publish dead letter: %w", err)
	}
	msg := &nats.Msg{
		Subject: l.deadLetters.subject + d.Lane.String(),
		Data:    d.Batch,
		Header: nats.Header{
			laneHeader:     {d.Lane.String()},
			tenantHeader:   {headerText(d.Tenant)},
			reasonHeader:   {headerText(d.Reason)},
			shardHeader:    {strconv.Itoa(d.Shard)},
			sequenceHeader: {strconv.FormatUint(d.Sequence, 10)},
			tableHeader:    {headerText(d.Table)},
			timeHeader:     {time.Now().UTC().Format(time.RFC3339Nano)},
		},
	}
	if err := l.publish(ctx, l.deadLetters, msg); err != nil {
		return fmt.Errorf("publish dead letter of lane %s: %w", d.Lane, err)
	}
	return nil
}

// DeadLetterCount is the number of dead letters that the log holds.
func (l *Log) DeadLetterCount(ctx context.Context) (uint64, error) {
	_, info, err := l.streamInfo(ctx, l.deadLetters)
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return info.State.Msgs, nil
}

// parseDeadLetter reads what DeadLetter wrote.
func parseDeadLetter(number uint64, header nats.Header, data []byte) (DeadLetter, error) {
	lane, err := parseLane(header.Get(laneHeader))
	if err != nil {
		return DeadLetter{}, err
	}
	sequence, err := strconv.ParseUint(header.Get(sequenceHeader), 10, 64)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("parse sequence: %w", err)
	}
	shard, err := strconv.Atoi(cmp.Or(header.Get(shardHeader), "0")) // older letters have none
	if err != nil {
		return DeadLetter{}, fmt.Errorf("parse shard: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, header.Get(timeHeader))
	if err != nil {
		return DeadLetter{}, fmt.Errorf("parse time: %w", err)
	}
	return DeadLetter{
		Number: number, Tenant: header.Get(tenantHeader), Reason: header.Get(reasonHeader), Table: header.Get(tableHeader),
		Shard: shard, Sequence: sequence, Batch: data, Lane: lane, Time: at,
	}, nil
}

// headerText makes text fit for a header: one line of valid UTF-8, bounded.
func headerText(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxHeaderText)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
}
