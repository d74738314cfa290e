package trainset

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"strconv"
	"strings"
	"unsafe"

	"github.com/ClickHouse/ch-go/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/trainset/files"
)

// pieceBytes is the size of the pieces of a file on the stream.
const pieceBytes = 256 << 10

// ReadTrainingSet implements [flywheelv1.TrainingSetServiceServer].
func (s *Service) ReadTrainingSet(req *flywheelv1.ReadTrainingSetRequest, stream flywheelv1.TrainingSetService_ReadTrainingSetServer) error {
	ctx := stream.Context()
	var found *set
	err := s.call(ctx, func(ctx context.Context, tenant string) (err error) {
		found, err = find(ctx, s.db, tenant, req.GetTrainingSetId())
		return err
	})
	if err != nil {
		return err
	}
	if found.state != ready {
		return status.Errorf(codes.FailedPrecondition, "the training set %s is %s: only one that is ready can be read", found.id, stateName(found.state))
	}
	p, wrong := newPlan(found.tenant, found.request)
	format, compression, known := encodingOfFiles(req.GetEncoding())
	if !known {
		wrong.Add("encoding", "%d is not an encoding of files", req.GetEncoding())
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	cfg, err := s.files(found, p, format, compression, int64(req.GetShardBytes()))
	if err != nil {
		return s.unavailable(ctx, err)
	}
	var formatter *warehouse.Formatter
	if format == files.Parquet && p.format.shape == nil {
		if formatter, err = s.db.Formatter(ctx); err != nil {
			return s.unavailable(ctx, err)
		}
	}
	if formatter != nil {
		cfg.Encoder = "ClickHouse " + formatter.Version
	}
	out := &outgoing{stream: stream, state: []byte(req.GetCursor()), total: found.rows()}
	err = s.write(ctx, found, p, cfg, formatter, out)
	var mismatch *files.MismatchError
	switch {
	case err == nil || ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &mismatch):
		return rpc.Violations{rpc.Violation("cursor", "it is not from this training set and encoding: %v", mismatch)}.Err()
	case errors.Is(err, errBadCursor):
		return rpc.Violations{rpc.Violation("cursor", "it is not one that ReadTrainingSet gave")}.Err()
	case out.failed != nil:
		return out.failed
	}
	return s.unavailable(ctx, err)
}

// encodingOfFiles translates the encoding of a request.
func encodingOfFiles(e flywheelv1.FileEncoding) (files.Format, files.Compression, bool) {
	switch e {
	case flywheelv1.FileEncoding_FILE_ENCODING_UNSPECIFIED, flywheelv1.FileEncoding_FILE_ENCODING_JSONL:
		return files.JSONL, files.Uncompressed, true
	case flywheelv1.FileEncoding_FILE_ENCODING_JSONL_GZIP:
		return files.JSONL, files.Gzip, true
	case flywheelv1.FileEncoding_FILE_ENCODING_JSONL_ZSTD:
		return files.JSONL, files.Zstd, true
	case flywheelv1.FileEncoding_FILE_ENCODING_PARQUET:
		return files.Parquet, files.Zstd, true
	}
	return "", "", false
}

// files says how a set is written.
func (s *Service) files(set *set, p *plan, format files.Format, compression files.Compression, shardBytes int64) (files.Config, error) {
	request, err := protojson.Marshal(set.request)
	if err != nil {
		return files.Config{}, fmt.Errorf("encode request: %w", err)
	}
	if request, err = canonical(request); err != nil {
		return files.Config{}, err
	}
	return files.Config{
		Schema: p.format.schema, Splits: []string{"train", "validation", "test"}, Format: format, Compression: compression, ShardBytes: shardBytes,
		Request: request, Definition: int(set.request.GetDefinition()), Watermark: set.request.GetWatermark().AsTime(), Version: s.cfg.Version, TrainingSetID: set.id.String(),
		Card: card(set, p),
	}, nil
}

// write writes a set's files.
func (s *Service) write(ctx context.Context, set *set, p *plan, cfg files.Config, formatter *warehouse.Formatter, out *outgoing) error {
	w, err := files.Open(ctx, out, cfg)
	if mismatch := new(files.MismatchError); err != nil && len(out.state) > 0 && !errors.As(err, &mismatch) {
		return fmt.Errorf("%w: %w", errBadCursor, err)
	}
	if err != nil {
		return err
	}
	for _, split := range cfg.Splits {
		write := s.writeSplit
		if formatter != nil {
			write = (&copier{formatter: formatter, db: s.db, shardBytes: cfg.ShardBytes}).copySplit
		}
		if err := write(ctx, set, p, w, split, out); err != nil {
			return errors.Join(err, w.Close())
		}
		if err := w.End(ctx, split); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	quality := map[string]int64{}
	for reason, n := range set.leftOut {
		quality[reason] = int64(n)
	}
	_, err = w.Finish(ctx, quality)
	return err
}

// writeSplit reads the rows of a split, from where they are to be continued.
func (s *Service) writeSplit(ctx context.Context, set *set, p *plan, w *files.Writer, split string, out *outgoing) error {
	at := w.Position(split)
	if at.Done {
		return nil
	}
	after, err := afterCursor(at.Cursor)
	if err != nil {
		return err
	}
	r := newReader(p.format)
	query := "SELECT " + r.expressions() + " FROM " + set.table + " WHERE row_split = '" + split + "'" + after +
		" ORDER BY row_split, row_at, row_id SETTINGS max_threads = 2, max_block_size = 32768"
	return s.db.ReadColumns(ctx, query, r.results(), func(rows int) error {
		batch, err := r.batch(rows)
		if err != nil {
			return err
		}
		if err := w.Write(ctx, split, batch); err != nil {
			return err
		}
		out.done += uint64(rows)
		return nil
	})
}

var errBadCursor = errors.New("not a cursor")

// cursorOf is the position after a row.
func cursorOf(ms int64, id string) string { return strconv.FormatInt(ms, 10) + " " + id }

func parseCursor(cursor string) (ms int64, id string, err error) {
	at, id, found := strings.Cut(cursor, " ")
	ms, err = strconv.ParseInt(at, 10, 64)
	if !found || err != nil || len(id) != 36 || strings.Trim(id, "0123456789abcdef-") != "" {
		return 0, "", errBadCursor
	}
	return ms, id, nil
}

// afterCursor is the condition of the rows after a cursor.
func afterCursor(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	ms, id, err := parseCursor(cursor)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(" AND row_at >= fromUnixTimestamp64Milli(%[1]d, 'UTC') AND (row_at, row_id) > (fromUnixTimestamp64Milli(%[1]d, 'UTC'), toUUID('%[2]s'))", ms, id), nil
}

// reader turns blocks of ClickHouse into batches of rows.
type reader struct {
	format format
	values []value
	labels proto.ColStr
	at     proto.ColInt64
	id     proto.ColStr
	shaped files.Batch
}

// value is one column as it is read.
type value interface {
	// expression is what to select of a column.
	expression(column string) string
	column() proto.ColResult
	// take fills the batch's column.
	take(c *files.Column, rows int)
}

func newReader(f format) *reader {
	r := &reader{format: f}
	for _, field := range f.kept {
		r.values = append(r.values, newValue(field))
	}
	r.shaped.Columns = make([]files.Column, len(r.values))
	return r
}

func (r *reader) expressions() string {
	var all []string
	for i, v := range r.values {
		all = append(all, v.expression(r.format.columns[i])+" AS c"+strconv.Itoa(i))
	}
	return strings.Join(append(all, "toString(row_label) AS row_label_text", "toUnixTimestamp64Milli(row_at) AS row_at_ms", "toString(row_id) AS row_id_text"), ", ")
}

func (r *reader) results() proto.Results {
	var all proto.Results
	for i, v := range r.values {
		all = append(all, proto.ResultColumn{Name: "c" + strconv.Itoa(i), Data: v.column()})
	}
	return append(all,
		proto.ResultColumn{Name: "row_label_text", Data: &r.labels},
		proto.ResultColumn{Name: "row_at_ms", Data: &r.at},
		proto.ResultColumn{Name: "row_id_text", Data: &r.id})
}

// batch is the block that was read last.
func (r *reader) batch(rows int) (*files.Batch, error) {
	b := &r.shaped
	b.Rows = rows
	for i, v := range r.values {
		v.take(&b.Columns[i], rows)
	}
	b.Labels = stringsOf(&r.labels, b.Labels)
	b.Cursor = cursorOf(r.at.Row(rows-1), r.id.Row(rows-1))
	if r.format.shape != nil {
		return r.format.shape(b)
	}
	return b, nil
}

// stringsOf gives the values of a column without a copy: they are valid until the next
// block.
func stringsOf(c *proto.ColStr, into []string) []string {
	into = into[:0]
	for _, p := range c.Pos {
		if p.Start == p.End {
			into = append(into, "")
			continue
		}
		into = append(into, unsafe.String(&c.Buf[p.Start], p.End-p.Start))
	}
	return into
}

// outgoing sends files over a stream. What notes where to continue becomes the cursor of
// the file before it.
type outgoing struct {
	stream flywheelv1.TrainingSetService_ReadTrainingSetServer
	state  []byte
	// done and total count the rows read and there.
	done, total uint64
	// last is the end of the file whose cursor is still to come.
	last   *flywheelv1.ReadTrainingSetResponse
	failed error
}

// Read implements [files.Sink].
func (o *outgoing) Read(_ context.Context, name string) ([]byte, error) {
	if name == files.StateFile && len(o.state) > 0 {
		return o.state, nil
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// Clean implements [files.Sink].
func (o *outgoing) Clean(context.Context) error { return nil }

// Create implements [files.Sink].
func (o *outgoing) Create(ctx context.Context, name string) (files.File, error) {
	return &outgoingFile{ctx: ctx, out: o, name: name, sum: sha256.New()}, nil
}

func (o *outgoing) send(m *flywheelv1.ReadTrainingSetResponse) error {
	if err := o.stream.Send(m); err != nil {
		o.failed = err
		return err
	}
	return nil
}

// note sends the end of the last file, now that it is known where to continue.
func (o *outgoing) note(state []byte) error {
	if o.last == nil {
		return nil
	}
	var known struct {
		Files []files.Shard `json:"files"`
	}
	if err := json.Unmarshal(state, &known); err != nil {
		return fmt.Errorf("read state of export: %w", err)
	}
	end := o.last.GetEnd()
	for _, f := range known.Files {
		if f.Path == o.last.GetPath() {
			end.Rows = uint64(f.Rows)
		}
	}
	end.Cursor = string(state)
	last := o.last
	o.last = nil
	return o.send(last)
}

// outgoingFile is a file being sent. Its bytes go out in pieces.
type outgoingFile struct {
	ctx    context.Context //nolint:containedctx // of the call that the file is a part of
	out    *outgoing
	name   string
	buffer []byte
	size   uint64
	sum    hash.Hash
}

// Write implements [files.File].
func (f *outgoingFile) Write(p []byte) (int, error) {
	if f.name == files.StateFile {
		f.buffer = append(f.buffer, p...)
		return len(p), nil
	}
	f.sum.Write(p)
	f.size += uint64(len(p))
	for n := 0; n < len(p); {
		some := min(pieceBytes-len(f.buffer), len(p)-n)
		f.buffer = append(f.buffer, p[n:n+some]...)
		n += some
		if len(f.buffer) == pieceBytes {
			if err := f.flush(); err != nil {
				return n, err
			}
		}
	}
	return len(p), nil
}

func (f *outgoingFile) flush() error {
	if len(f.buffer) == 0 {
		return nil
	}
	if err := f.ctx.Err(); err != nil {
		return err
	}
	err := f.out.send(&flywheelv1.ReadTrainingSetResponse{Path: f.name, Data: f.buffer})
	f.buffer = make([]byte, 0, pieceBytes) // the stream may still hold the old one
	return err
}

// Commit implements [files.File].
func (f *outgoingFile) Commit() error {
	if f.name == files.StateFile {
		return f.out.note(f.buffer)
	}
	if err := f.flush(); err != nil {
		return err
	}
	end := &flywheelv1.ReadTrainingSetResponse{Path: f.name, End: &flywheelv1.FileEnd{
		Bytes: f.size, Sha256: f.sum.Sum(nil), RowsDone: f.out.done, RowsTotal: f.out.total,
	}}
	if f.name == files.ManifestFile || f.name == files.CardFile {
		return f.out.send(end)
	}
	f.out.last = end
	return nil
}

// Abort implements [files.File].
func (f *outgoingFile) Abort() error { return nil }
