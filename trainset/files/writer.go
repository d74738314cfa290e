package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// Defaults of [Config].
const (
	DefaultShardBytes = 1 << 30
	DefaultWorkers    = 2
)

// Config says what is written. What is not set has the default that is named.
type Config struct {
	Schema Schema
	// Splits are the parts of the set, for example train and test, in the order of
	// the manifest and the card.
	Splits []string
	Format Format // Parquet
	// Compression is Zstd for Parquet and Gzip for JSONL: Python's datasets library
	// reads JSON lines in Zstd only where the package zstandard is installed.
	Compression Compression
	// ShardBytes is the size at which a shard ends, with the row that reaches it:
	// DefaultShardBytes. It is the size of the values in memory in Apache Arrow's
	// layout, and so the same for every format; files are smaller.
	ShardBytes int64
	// Encoder names what encodes shards that are copied, with its version: another one may
	// write other bytes. Empty: this package.
	Encoder string
	// Workers is how many goroutines encode: DefaultWorkers, or fewer where there
	// are fewer processors. It changes no byte.
	Workers int

	// Request is the caller's request, as JSON. With the definition's version, the
	// watermark (everything before it was read) and Flywheel's version it says what
	// the rows are: an export of another request is not continued.
	Request    json.RawMessage
	Definition int
	Watermark  time.Time
	Version    string
	// TrainingSetID is the caller's name for the set, for the manifest.
	TrainingSetID string
	Card          Card
}

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	errs := []error{c.Schema.Validate(), c.validFormat()}
	if len(c.Splits) == 0 {
		errs = append(errs, errors.New("no splits"))
	}
	name := regexp.MustCompile(`^[a-z0-9_]+$`)
	for i, split := range c.Splits {
		if !name.MatchString(split) || slices.Contains(c.Splits[:i], split) {
			errs = append(errs, fmt.Errorf("split %q: a name of its own of a-z, 0-9 and _ is needed", split))
		}
	}
	if c.ShardBytes < 0 || c.Workers < 0 {
		errs = append(errs, errors.New("a negative size of shards or number of workers"))
	}
	if c.Request != nil && !json.Valid(c.Request) {
		errs = append(errs, errors.New("the request is not JSON"))
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.Format == "" {
		c.Format = Parquet
	}
	if c.Compression == "" {
		c.Compression = Zstd
		if c.Format == JSONL {
			c.Compression = Gzip
		}
	}
	if c.ShardBytes == 0 {
		c.ShardBytes = DefaultShardBytes
	}
	if c.Workers == 0 {
		c.Workers = min(DefaultWorkers, runtime.GOMAXPROCS(0))
	}
	if c.Request == nil {
		c.Request = json.RawMessage("null")
	}
}

// Writer writes one training set. After each shard it notes in the folder or bucket
// where to continue, so that an export that was killed continues after its last shard
// and ends with the same bytes as one that was not.
//
// Each split is a stream of rows of its own. They may be written one after another or
// in turns; each open split holds up to one row group (32 MB of values). A Writer is not
// for concurrent use. After an error only Close is of use.
type Writer struct {
	cfg    Config
	sink   Sink
	state  state
	splits map[string]*split
	failed error
}

// Open starts an export, or continues the one that is there. One of another request is
// refused with a [MismatchError]. What is there and finished stays as it is: writing its
// rows again does nothing.
func Open(ctx context.Context, sink Sink, cfg Config) (*Writer, error) {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check export: %w", err)
	}
	export, err := newExport(&cfg)
	if err != nil {
		return nil, err
	}
	w := &Writer{cfg: cfg, sink: sink, splits: map[string]*split{}}
	if w.state, err = load(ctx, sink, export); err != nil {
		return nil, err
	}
	if err := sink.Clean(ctx); err != nil {
		return nil, err
	}
	for _, name := range cfg.Splits {
		w.splits[name] = newSplit(w, name)
	}
	return w, nil
}

// Position is where a split is to be continued.
type Position struct {
	// Cursor is that of the last batch whose rows are all in finished shards; empty
	// means from the beginning. The rows after it must be written again in the same
	// order; the Writer leaves out those that it has. As it is opaque, it may hold
	// what else the caller needs to continue, for example its own counters.
	Cursor string
	// Done says that the split is complete; Cursor is then that of its last batch.
	Done bool
}

// Position says where a split is to be continued. It is for use before the first Write.
func (w *Writer) Position(name string) Position {
	at := w.state.Splits[name]
	return Position{Cursor: at.Cursor, Done: at.Done}
}

// Write adds a batch to a split. A shard that reaches its size is completed, and is
// there for good when Write returns.
func (w *Writer) Write(ctx context.Context, name string, b *Batch) error {
	return w.do(ctx, name, func(s *split) error { return s.write(ctx, b) })
}

// End completes a split.
func (w *Writer) End(ctx context.Context, name string) error {
	return w.do(ctx, name, func(s *split) error { return s.end(ctx) })
}

func (w *Writer) do(ctx context.Context, name string, action func(*split) error) error {
	s := w.splits[name]
	if s == nil {
		return fmt.Errorf("write split %q: the export has no such split", name)
	}
	if w.failed == nil {
		w.failed = ctx.Err()
	}
	if w.failed == nil {
		w.failed = action(s)
	}
	if w.failed != nil {
		return fmt.Errorf("write split %s: %w", name, w.failed)
	}
	return nil
}

// Finish completes the splits that are not, and writes the dataset card and then the
// manifest, whose presence says that the training set is complete. Quality are the
// caller's counters, by name: duplicates removed, rows without consent ….
func (w *Writer) Finish(ctx context.Context, quality map[string]int64) (*Manifest, error) {
	for _, name := range w.cfg.Splits {
		if err := w.End(ctx, name); err != nil {
			return nil, err
		}
	}
	manifest := newManifest(&w.cfg, &w.state, maps.Clone(quality))
	card, err := manifest.card(&w.cfg.Card)
	if err != nil {
		return nil, err
	}
	if err := put(ctx, w.sink, CardFile, card); err != nil {
		return nil, fmt.Errorf("write %s: %w", CardFile, err)
	}
	if err := putJSON(ctx, w.sink, ManifestFile, manifest); err != nil {
		return nil, err
	}
	return manifest, nil
}

// Close gives up what is not complete. It is of no effect after Finish.
func (w *Writer) Close() error {
	var errs []error
	for _, name := range w.cfg.Splits {
		errs = append(errs, w.splits[name].abort())
	}
	if w.failed == nil {
		w.failed = errors.New("the writer is closed")
	}
	return errors.Join(errs...)
}
