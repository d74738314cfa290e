package files_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/yirifi/flywheel/trainset/files"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"), // kept connections
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// formats are every format with every compression.
func formats() map[string]files.Config {
	all := map[string]files.Config{}
	for _, format := range []files.Format{files.JSONL, files.Parquet} {
		for _, compression := range []files.Compression{files.Uncompressed, files.Gzip, files.Zstd, files.Snappy} {
			if format == files.JSONL && compression == files.Snappy {
				continue
			}
			cfg := config(format)
			cfg.Compression = compression
			all[fmt.Sprintf("%s/%s", format, compression)] = cfg
		}
	}
	return all
}

// TestRoundTrip reads back what was written, and checks each file against the manifest.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rows := randomRows(3000)
	for name, cfg := range formats() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, path := newFolder(t)
			manifest, err := export(t.Context(), folder, cfg, rows, 100)
			if err != nil {
				t.Fatal(err)
			}
			var got []row
			for _, file := range manifest.Files {
				text, err := os.ReadFile(filepath.Join(path, file.Path))
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(text)
				part := read(t, file.Path, text)
				if hex.EncodeToString(sum[:]) != file.SHA256 || int64(len(text)) != file.Bytes || int64(len(part)) != file.Rows {
					t.Errorf("%s: %d bytes and %d rows, the manifest says %+v", file.Path, len(text), len(part), file)
				}
				got = append(got, part...)
			}
			if len(manifest.Files) < 10 || manifest.Total.Rows != int64(len(rows)) {
				t.Errorf("%d files, %d rows", len(manifest.Files), manifest.Total.Rows)
			}
			if diff := cmp.Diff(rows, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// read reads one shard with a reader that is not ours.
func read(t *testing.T, name string, text []byte) []row {
	t.Helper()
	if strings.HasSuffix(name, ".parquet") {
		rows, err := parquet.Read[row](bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	var rows []row
	for line := range bytes.Lines(unpack(t, name, text)) {
		rows = append(rows, readLine(t, line))
	}
	return rows
}

func unpack(t *testing.T, name string, text []byte) []byte {
	t.Helper()
	var reader io.Reader = bytes.NewReader(text)
	var err error
	switch {
	case strings.HasSuffix(name, ".gz"):
		reader, err = gzip.NewReader(reader)
	case strings.HasSuffix(name, ".zst"):
		var decoder *zstd.Decoder
		decoder, err = zstd.NewReader(reader, zstd.WithDecoderConcurrency(1))
		if err == nil {
			defer decoder.Close()
		}
		reader = decoder
	}
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// readLine reads a line by way of encoding/json.
func readLine(t *testing.T, line []byte) row {
	t.Helper()
	var r struct {
		ID       string
		Messages []struct {
			Role      string
			Content   *string
			Name      *string
			ToolCalls []struct {
				Type     string
				Function struct {
					Name      string
					Arguments json.RawMessage
				}
			} `json:"tool_calls"`
		}
		Model   string
		Settled *bool
		Latency *int64
		Reward  *float64
		At      jsonTime
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	out := row{ID: r.ID, Messages: []*message{}, Model: r.Model, Settled: r.Settled, Latency: r.Latency, Reward: r.Reward, At: new(r.At.UnixMicro())}
	for _, m := range r.Messages {
		message := &message{Role: m.Role, Content: m.Content, Name: m.Name}
		for _, c := range m.ToolCalls {
			arguments := strings.Replace(string(c.Function.Arguments), ":", ": ", 1)
			message.ToolCalls = append(message.ToolCalls, &call{
				Type: c.Type, Function: &function{Name: c.Function.Name, Arguments: &arguments},
			})
		}
		out.Messages = append(out.Messages, message)
	}
	return out
}

// TestBytesDependOnRowsOnly writes the same rows in batches of several sizes, by
// several numbers of workers.
func TestBytesDependOnRowsOnly(t *testing.T) {
	t.Parallel()
	rows := randomRows(34_000) // more than two pages
	for _, shardBytes := range []int64{1 << 20, 100 << 20} {
		for name, cfg := range formats() {
			t.Run(fmt.Sprintf("%s/%d", name, shardBytes), func(t *testing.T) {
				t.Parallel()
				cfg.ShardBytes = shardBytes
				var want map[string]string
				for workers, size := range []int{len(rows), 999, 7} {
					cfg.Workers = workers + 1
					folder, path := newFolder(t)
					if _, err := export(t.Context(), folder, cfg, rows, size); err != nil {
						t.Fatal(err)
					}
					got := contents(t, path)
					if want == nil {
						want = got
					}
					if different := differences(want, got); different != nil {
						t.Errorf("batches of %d: %v differ", size, different)
					}
				}
			})
		}
	}
}

// differences names the files that are not the same. The cursors in the state depend on
// the batches.
func differences(want, got map[string]string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if want[name] != got[name] && name != files.StateFile {
			names = append(names, name)
		}
	}
	if len(got) != len(want) {
		names = append(names, fmt.Sprintf("%d files instead of %d", len(got), len(want)))
	}
	return names
}

// TestGolden compares small sets with files that people can read.
func TestGolden(t *testing.T) {
	t.Parallel()
	cfg := config(files.JSONL)
	cfg.Compression = files.Uncompressed
	folder, path := newFolder(t)
	if _, err := export(t.Context(), folder, cfg, randomRows(20), 6); err != nil {
		t.Fatal(err)
	}
	for name, got := range contents(t, path) {
		golden := filepath.Join("testdata", strings.ReplaceAll(strings.TrimPrefix(name, "."), "/", "-")+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestRefusals checks that what is wrong is refused with its reason.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		change func(*files.Config)
		reason string
	}{
		"no columns":      {func(c *files.Config) { c.Schema = nil }, "a schema without columns"},
		"name twice":      {func(c *files.Config) { c.Schema[2].Name = "id" }, `field "id": a name of its own`},
		"no kind":         {func(c *files.Config) { c.Schema[0].Kind = "text" }, `field "id": no kind "text"`},
		"list of nothing": {func(c *files.Config) { c.Schema[1].Fields = nil }, "a list has one field, not 0"},
		"empty struct":    {func(c *files.Config) { c.Schema[1].Fields[0].Fields = nil }, `field "messages[]": a struct without fields`},
		"parts of text":   {func(c *files.Config) { c.Schema[0].Fields = c.Schema }, "a string has no fields"},
		"no splits":       {func(c *files.Config) { c.Splits = nil }, "no splits"},
		"split's name":    {func(c *files.Config) { c.Splits = []string{"../train"} }, `split "../train"`},
		"format":          {func(c *files.Config) { c.Format = "csv" }, `no format "csv"`},
		"compression":     {func(c *files.Config) { c.Compression = files.Snappy }, `no compression "snappy" for jsonl`},
		"request":         {func(c *files.Config) { c.Request = json.RawMessage("{") }, "the request is not JSON"},
		"size":            {func(c *files.Config) { c.ShardBytes = -1 }, "a negative size"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, _ := newFolder(t)
			cfg := config(files.JSONL)
			change.change(&cfg)
			if _, err := files.Open(t.Context(), folder, cfg); err == nil || !strings.Contains(err.Error(), change.reason) {
				t.Errorf("%v, want %q", err, change.reason)
			}
		})
	}
}

// TestWrongBatches checks that a batch that is not as the schema says is an error and
// no panic.
func TestWrongBatches(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		change func(*files.Batch)
		reason string
	}{
		"column missing": {func(b *files.Batch) { b.Columns = b.Columns[1:] }, "6 columns, the schema has 7"},
		"value missing":  {func(b *files.Batch) { b.Columns[0].Strings = b.Columns[0].Strings[1:] }, "column id: 9 values for 10 rows"},
		"labels":         {func(b *files.Batch) { b.Labels = b.Labels[:3] }, "3 labels for 10 rows"},
		"null":           {func(b *files.Batch) { b.Columns[0].Valid = make([]bool, 10) }, "nullable: false"},
		"list backwards": {func(b *files.Batch) { b.Columns[1].Ends[9] = -1 }, "column messages: a list ends at -1"},
		"child missing":  {func(b *files.Batch) { b.Columns[1].Children = nil }, "0 children, the schema has 1"},
		"other kind":     {func(b *files.Batch) { b.Columns[2] = b.Columns[5] }, "column model: 0 values"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, _ := newFolder(t)
			w, err := files.Open(t.Context(), folder, config(files.Parquet))
			if err != nil {
				t.Fatal(err)
			}
			b := batchOf(randomRows(10), 0)
			change.change(b)
			if err := w.Write(t.Context(), "train", b); err == nil || !strings.Contains(err.Error(), change.reason) {
				t.Errorf("%v, want %q", err, change.reason)
			}
			if err := w.Write(t.Context(), "train", batchOf(randomRows(10), 0)); err == nil {
				t.Error("written after an error")
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
