package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/dustin/go-humanize"
	"github.com/gofrs/flock"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/trainset"
	"github.com/yirifi/flywheel/trainset/files"
)

const (
	// exportPoll is how often to ask how far a training set is.
	exportPoll = 250 * time.Millisecond
	// exportPatience is how long a service may be away during an export.
	exportPatience = 2 * time.Minute
	// exportParts is what shares and rewards are parts of in requests.
	exportParts = 10_000
	exportLock  = ".flywheel-lock"
)

type exportCmd struct {
	Format      trainingFormat `placeholder:"FORMAT" help:"What a row is: ${trainingFormats}."`
	Out         string         `required:"" placeholder:"DIR" help:"Folder to write to, or s3://BUCKET/PREFIX (with the AWS_ variables that S3 tools read). Repeat the command to continue one that was interrupted."`
	Encoding    string         `enum:"jsonl,jsonl-gzip,jsonl-zstd,parquet" default:"parquet" help:"How rows are written (${enum})."`
	ShardSize   byteSize       `default:"1GiB" help:"Size, before compression, after which the next file begins."`
	TrainingSet string         `placeholder:"ID" help:"Write this training set, which is there already, instead of making one."`
	Name        string         `help:"A name for people."`
	Output      string         `enum:"table,json" default:"table" help:"Form of the summary (${enum})."`

	selectionFlags `group:"Which interactions"`
	qualityFlags   `group:"Which rows are left out"`
	splitFlags     `group:"How rows are divided"`

	feedbackSettings
}

// selectionFlags say which interactions a training set is made from.
type selectionFlags struct {
	From                  moment        `placeholder:"TIME" help:"Start (RFC 3339, or how long ago: 72h). Unset: the oldest data."`
	To                    moment        `placeholder:"TIME" help:"End. Unset: now."`
	Filter                []string      `sep:"none" placeholder:"DIMENSION=VALUE|VALUE" help:"Keep only these values of a dimension: ${dimensions}. Can be repeated."`
	Language              []string      `placeholder:"LANGUAGE" help:"Keep only these languages, comma separated."`
	Label                 []outcomeFlag `placeholder:"LABEL" help:"Keep only these labels, comma separated: ${outcomes}. Unset: those that the format is made from."`
	MinReward             *float64      `placeholder:"REWARD" help:"Least reward, -1 to 1."`
	MinRetention          float64       `placeholder:"SHARE" help:"Least share of the accepted text that is left at the longest delay measured, 0 to 1."`
	IncludeUnsettled      bool          `help:"Also take interactions whose attribution window has not closed: their label may still change."`
	IncludeWithoutConsent bool          `help:"Also take text that users gave for diagnostics only."`
	MaxPerUser            uint32        `placeholder:"N" help:"Most rows of one user."`
	Balance               bool          `help:"Take as many rows of each label as there are of the rarest."`
	Where                 string        `placeholder:"SQL" help:"For experts: a condition over the columns of training_signals (docs/signals.md)."`
	Definition            uint32        `placeholder:"VERSION" help:"Definition of labels and rewards. Unset: the newest."`
}

// qualityFlags say which rows are left out.
type qualityFlags struct {
	KeepDuplicates     bool   `help:"Keep rows whose text is the same as that of another one."`
	NearDuplicates     uint32 `placeholder:"BITS" help:"Leave out rows whose 64-bit SimHash differs from an earlier one's in at most so many bits, 1 to 7 (3 is usual). 0: keep them."`
	Decontaminate      string `type:"existingfile" placeholder:"FILE" help:"Leave out rows that contain one of these prompts of evaluations: JSON lines with 'prompt', or one prompt a line."`
	MaxPromptChars     uint32 `placeholder:"N" help:"Longest prompt."`
	MaxCompletionChars uint32 `placeholder:"N" help:"Longest completion."`
	MaxTokens          uint32 `placeholder:"N" help:"Longest row in tokens."`
	Tokenizer          string `default:"o200k_base" help:"Encoding that --max-tokens counts in: o200k_base or cl100k_base."`
}

// splitFlags say how rows are divided.
type splitFlags struct {
	SplitBy    string  `enum:"user,session,repository" default:"user" help:"What is never divided (${enum})."`
	Validation float64 `placeholder:"SHARE" help:"Share for the split 'validation', 0 to 1."`
	Test       float64 `placeholder:"SHARE" help:"Share for the split 'test', 0 to 1."`
	Salt       string  `help:"Any text: another one divides differently."`
}

// Run makes a training set and writes it, or goes on where it was interrupted.
func (c *exportCmd) Run(ctx context.Context, env environment) error {
	req, err := c.request()
	if err != nil {
		return usageError{err}
	}
	sink, unlock, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx = metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, c.Tenant)
	client := flywheelv1.NewTrainingSetServiceClient(conn)

	download, err := c.begin(ctx, client, sink, req)
	if err != nil {
		return interrupted(ctx, err)
	}
	set, err := c.wait(ctx, client, download.TrainingSetID, env)
	if err != nil {
		return c.again(ctx, err)
	}
	if err := c.write(ctx, client, sink, download, env); err != nil {
		return c.again(ctx, err)
	}
	return c.summarize(env, set)
}

// again says how to go on after an interruption.
func (c *exportCmd) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: repeat the command to continue", errInterrupted)
	}
	return err
}

// open opens the folder or bucket, which unlock gives free.
func (c *exportCmd) open(ctx context.Context) (sink files.Sink, unlock func(), err error) {
	if strings.HasPrefix(c.Out, "s3://") {
		cfg, err := files.BucketFromEnvironment(c.Out, os.Getenv)
		if err != nil {
			return nil, nil, usageError{err}
		}
		bucket, err := files.NewBucket(ctx, cfg)
		return bucket, func() {}, err
	}
	folder, err := files.NewFolder(c.Out)
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(c.Out, exportLock)
	lock := flock.New(path)
	held, err := lock.TryLock()
	if err != nil {
		return nil, nil, fmt.Errorf("lock %s: %w", c.Out, err)
	}
	if !held {
		return nil, nil, fmt.Errorf("another export writes to %s: wait for it or choose another --out", c.Out)
	}
	return folder, func() { _ = errors.Join(os.Remove(path), lock.Unlock()) }, nil
}

// begin asks for the training set, unless the folder holds an unfinished one.
func (c *exportCmd) begin(ctx context.Context, client flywheelv1.TrainingSetServiceClient, sink files.Sink, req *flywheelv1.CreateTrainingSetRequest) (*trainset.Download, error) {
	there, err := trainset.FindDownload(ctx, sink)
	if err != nil {
		return nil, err
	}
	if there != nil {
		return there, c.checkSame(ctx, client, there, req)
	}
	if err := c.checkFree(ctx, sink); err != nil {
		return nil, err
	}
	next := &trainset.Download{TrainingSetID: c.TrainingSet, Encoding: c.encoding().String(), ShardBytes: uint64(c.ShardSize)}
	if c.TrainingSet == "" {
		made, err := client.CreateTrainingSet(ctx, req)
		if err != nil {
			return nil, askError(c.feedbackSettings, err)
		}
		next.TrainingSetID = made.GetTrainingSet().GetTrainingSetId()
	}
	return next, next.Note(ctx, sink)
}

// checkFree refuses a folder that holds something else.
func (c *exportCmd) checkFree(ctx context.Context, sink files.Sink) error {
	for _, name := range []string{files.ManifestFile, files.CardFile} {
		if _, err := sink.Read(ctx, name); err == nil {
			return fmt.Errorf("%s has a %s that no export of this kind wrote: choose another --out", c.Out, name)
		}
	}
	return nil
}

// checkSame refuses to continue a download with another request than its own.
func (c *exportCmd) checkSame(ctx context.Context, client flywheelv1.TrainingSetServiceClient, there *trainset.Download, req *flywheelv1.CreateTrainingSetRequest) error {
	other := func(what string) error {
		return fmt.Errorf("%s holds an export of training set %s with another %s: choose another --out, or continue that one with 'flywheel export --training-set %s' and its own flags",
			c.Out, there.TrainingSetID, what, there.TrainingSetID)
	}
	switch {
	case there.Encoding != c.encoding().String():
		return other("--encoding")
	case there.ShardBytes != uint64(c.ShardSize):
		return other("--shard-size")
	case c.TrainingSet == there.TrainingSetID:
		return nil
	case c.TrainingSet != "":
		return other("id")
	}
	found, err := client.GetTrainingSet(ctx, &flywheelv1.GetTrainingSetRequest{TrainingSetId: there.TrainingSetID})
	if err != nil {
		return askError(c.feedbackSettings, err)
	}
	asked := proto.CloneOf(found.GetTrainingSet().GetRequest())
	asked.Watermark = nil
	if req.GetDefinition() == 0 {
		asked.Definition = 0
	}
	if !proto.Equal(asked, req) {
		return other("request")
	}
	return nil
}

// wait shows how the training set is made, until it is.
func (c *exportCmd) wait(ctx context.Context, client flywheelv1.TrainingSetServiceClient, id string, env environment) (set *flywheelv1.TrainingSet, err error) {
	bar := newProgress(env.stderr, "making training set", env.log)
	defer func() { err = errors.Join(err, bar.finish()) }()
	tick := time.NewTicker(exportPoll)
	defer tick.Stop()
	for {
		set, err := patiently(ctx, func() (*flywheelv1.GetTrainingSetResponse, error) {
			return client.GetTrainingSet(ctx, &flywheelv1.GetTrainingSetRequest{TrainingSetId: id})
		})
		if err != nil {
			return nil, askError(c.feedbackSettings, err)
		}
		switch found := set.GetTrainingSet(); found.GetState() {
		case flywheelv1.TrainingSetState_TRAINING_SET_STATE_RUNNING:
			bar.set(int(found.GetProgress().GetRows()), int(found.GetProgress().GetExpectedRows()))
		case flywheelv1.TrainingSetState_TRAINING_SET_STATE_READY:
			return found, nil
		case flywheelv1.TrainingSetState_TRAINING_SET_STATE_FAILED:
			return nil, fmt.Errorf("the training set %s could not be made: %s", id, found.GetError())
		default:
			return nil, fmt.Errorf("the training set %s is %s: choose another --out and make a new one", id, trainingSetState(found.GetState()))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// write writes the files that are not there yet.
func (c *exportCmd) write(ctx context.Context, client flywheelv1.TrainingSetServiceClient, sink files.Sink, download *trainset.Download, env environment) (err error) {
	bar := newProgress(env.stderr, "writing", env.log)
	defer func() { err = errors.Join(err, bar.finish()) }()
	_, err = patiently(ctx, func() (struct{}, error) {
		return struct{}{}, download.Run(ctx, client, sink, func(done, total uint64) { bar.set(int(done), int(total)) })
	})
	if _, remote := status.FromError(err); remote && err != nil {
		return askError(c.feedbackSettings, err)
	}
	return err
}

// patiently repeats what fails because the service is away.
func patiently[R any](ctx context.Context, work func() (R, error)) (R, error) {
	return backoff.Retry(ctx, func() (R, error) {
		found, err := work()
		if err != nil && status.Code(err) != codes.Unavailable {
			return found, backoff.Permanent(err)
		}
		return found, err
	}, backoff.WithMaxElapsedTime(exportPatience))
}

// summarize writes what the training set is.
func (c *exportCmd) summarize(env environment, set *flywheelv1.TrainingSet) error {
	if c.Output == "json" {
		return writeJSON(env.stdout, set)
	}
	if err := writeTrainingSet(env.stdout, set); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.stdout, "\n%s rows are in %s. Make a model of them known with: flywheel model create NAME --training-set %s\n",
		humanize.Comma(int64(set.GetProgress().GetRows())), c.Out, set.GetTrainingSetId())
	return err
}

func (c *exportCmd) encoding() flywheelv1.FileEncoding {
	name := "FILE_ENCODING_" + strings.ToUpper(strings.ReplaceAll(c.Encoding, "-", "_"))
	return flywheelv1.FileEncoding(flywheelv1.FileEncoding_value[name])
}

// request is what the flags ask for; nil for a training set that is there already.
func (c *exportCmd) request() (*flywheelv1.CreateTrainingSetRequest, error) {
	if c.TrainingSet != "" {
		if c.Format != 0 {
			return nil, errors.New("--format contradicts --training-set: what is there already has a format")
		}
		return nil, nil
	}
	if c.Format == 0 {
		return nil, fmt.Errorf("--format is needed: one of %s", strings.Join(trainingFormatNames(), ", "))
	}
	selection, err := c.selectionFlags.selection()
	if err != nil {
		return nil, err
	}
	quality, err := c.quality()
	if err != nil {
		return nil, err
	}
	split, err := c.split()
	if err != nil {
		return nil, err
	}
	return &flywheelv1.CreateTrainingSetRequest{
		Format: flywheelv1.TrainingFormat(c.Format), Name: c.Name, Definition: c.Definition,
		Selection: selection, Quality: quality, Split: split,
	}, nil
}

func (f *selectionFlags) selection() (*flywheelv1.TrainingSelection, error) {
	filters, err := parseFilters(f.Filter)
	if err != nil {
		return nil, err
	}
	if len(f.Language) > 0 {
		filters = append(filters, &flywheelv1.Filter{Dimension: flywheelv1.Dimension_DIMENSION_LANGUAGE, Values: f.Language})
	}
	retention, err := inParts("min-retention", f.MinRetention, 0)
	if err != nil {
		return nil, err
	}
	s := &flywheelv1.TrainingSelection{
		Filters: filters, MinRetention: uint32(retention), IncludeUnsettled: f.IncludeUnsettled, IncludeWithoutConsent: f.IncludeWithoutConsent,
		MaxPerUser: f.MaxPerUser, BalanceLabels: f.Balance, Predicate: f.Where,
	}
	for _, label := range f.Label {
		s.Labels = append(s.Labels, flywheelv1.Outcome(label))
	}
	if f.MinReward != nil {
		reward, err := inParts("min-reward", *f.MinReward, -1)
		if err != nil {
			return nil, err
		}
		s.MinReward = new(int32(reward))
	}
	s.From, s.To = window{from: f.From.Truncate(time.Millisecond), to: f.To.Truncate(time.Millisecond)}.stamps()
	return s, nil
}

func (f *qualityFlags) quality() (*flywheelv1.Quality, error) {
	q := &flywheelv1.Quality{
		KeepDuplicates: f.KeepDuplicates, NearDuplicateBits: f.NearDuplicates,
		MaxPromptChars: f.MaxPromptChars, MaxCompletionChars: f.MaxCompletionChars, MaxTokens: f.MaxTokens,
	}
	if f.MaxTokens > 0 {
		q.Encoding = f.Tokenizer
	}
	if f.Decontaminate != "" {
		prompts, err := readPrompts(f.Decontaminate)
		if err != nil {
			return nil, fmt.Errorf("--decontaminate: %w", err)
		}
		q.Decontaminate = prompts
	}
	return q, nil
}

func (f *splitFlags) split() (*flywheelv1.Split, error) {
	validation, err := inParts("validation", f.Validation, 0)
	if err != nil {
		return nil, err
	}
	test, err := inParts("test", f.Test, 0)
	if err != nil {
		return nil, err
	}
	return &flywheelv1.Split{
		Unit:       flywheelv1.SplitUnit(flywheelv1.SplitUnit_value["SPLIT_UNIT_"+strings.ToUpper(f.SplitBy)]),
		Validation: uint32(validation), Test: uint32(test), Salt: f.Salt,
	}, nil
}

// inParts is a number up to 1 in the parts that requests have.
func inParts(flag string, number, least float64) (int64, error) {
	if !(number >= least && number <= 1) {
		return 0, fmt.Errorf("--%s %v: a number from %v to 1 is needed", flag, number, least)
	}
	return int64(math.Round(number * exportParts)), nil
}

// readPrompts reads the prompts of evaluations: JSON lines with "prompt", or lines of
// text.
func readPrompts(path string) (prompts []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if line[0] != '{' {
			prompts = append(prompts, string(line))
			continue
		}
		var row struct {
			Prompt *string `json:"prompt"`
		}
		if err := json.Unmarshal(line, &row); err != nil || row.Prompt == nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, n, cmp.Or(err, errors.New("no \"prompt\" in it")))
		}
		prompts = append(prompts, *row.Prompt)
	}
	if len(prompts) == 0 {
		return nil, fmt.Errorf("%s: there is no prompt in it", path)
	}
	return prompts, nil
}
