package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// The files beside the shards.
const (
	// StateFile notes which shards are finished, and where to continue.
	StateFile = ".flywheel-export.json"
	// ManifestFile is the [Manifest]. It is written last.
	ManifestFile = "manifest.json"
	// CardFile is the dataset card.
	CardFile = "README.md"
)

// MismatchError says that a folder or bucket holds an export of another request.
type MismatchError struct {
	// Parts are the parts of the request that differ, with both values.
	Parts []string
}

func (e *MismatchError) Error() string {
	return "there is already another export, which differs in " + strings.Join(e.Parts, "; ") +
		" (repeat its request to continue it, or choose another place)"
}

// export is everything that the bytes of the shards depend on, besides the rows.
type export struct {
	Request     json.RawMessage `json:"request"`
	Definition  int             `json:"definition"`
	Watermark   time.Time       `json:"watermark"`
	Version     string          `json:"version"`
	Format      Format          `json:"format"`
	Compression Compression     `json:"compression"`
	ShardBytes  int64           `json:"shard_bytes"`
	Encoder     string          `json:"encoder,omitempty"`
	Splits      []string        `json:"splits"`
	Schema      Schema          `json:"schema"`
}

// newExport is the export of a configuration, as compact JSON.
func newExport(cfg *Config) (json.RawMessage, error) {
	text, err := marshal(export{
		Request: cfg.Request, Definition: cfg.Definition, Watermark: cfg.Watermark.UTC(), Version: cfg.Version,
		Format: cfg.Format, Compression: cfg.Compression, ShardBytes: cfg.ShardBytes, Encoder: cfg.Encoder,
		Splits: cfg.Splits, Schema: cfg.Schema,
	})
	if err != nil {
		return nil, fmt.Errorf("encode export: %w", err)
	}
	return text, nil
}

func fingerprint(export json.RawMessage) string {
	sum := sha256.Sum256(export)
	return hex.EncodeToString(sum[:])
}

// state is what [StateFile] holds.
type state struct {
	Fingerprint string              `json:"fingerprint"` // the SHA-256 of Export
	Export      json.RawMessage     `json:"export"`
	Splits      map[string]position `json:"splits"`
	Files       []Shard             `json:"files"`
}

// position is where a split continues: after Skip rows after the cursor.
type position struct {
	Cursor string `json:"cursor"`
	Skip   int64  `json:"skip"`
	Done   bool   `json:"done"`
}

// load reads the state of an export, which is empty when there is none.
func load(ctx context.Context, sink Sink, export json.RawMessage) (state, error) {
	s := state{Fingerprint: fingerprint(export), Export: export, Splits: map[string]position{}}
	text, err := sink.Read(ctx, StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("read %s: %w", StateFile, err)
	}
	var there state
	if err := json.Unmarshal(text, &there); err != nil {
		return state{}, fmt.Errorf("read %s: %w", StateFile, err)
	}
	if there.Fingerprint != s.Fingerprint {
		return state{}, mismatch(there.Export, export)
	}
	there.Export = export
	return there, nil
}

// mismatch explains how two exports differ.
func mismatch(there, asked json.RawMessage) error {
	var old, now map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(there, &old), json.Unmarshal(asked, &now)); err != nil {
		return fmt.Errorf("read %s: %w", StateFile, err)
	}
	e := &MismatchError{}
	for name, value := range now {
		if was := compact(old[name]); !bytes.Equal(was, value) {
			e.Parts = append(e.Parts, fmt.Sprintf("%s: %s there, %s asked for", name, cut(was), cut(value)))
		}
	}
	slices.Sort(e.Parts)
	return e
}

// compact is JSON without spaces; what is not JSON stays as it is.
func compact(text json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return text
	}
	return b.Bytes()
}

// cut shortens a value for a message.
func cut(text json.RawMessage) string {
	const most = 200
	if len(text) <= most {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:most]), "") + "…"
}

// save writes the state. The shards that it names are durable already.
func (s *state) save(ctx context.Context, sink Sink) error {
	slices.SortFunc(s.Files, func(a, b Shard) int { return strings.Compare(a.Path, b.Path) })
	return putJSON(ctx, sink, StateFile, s)
}

// count is the number of finished shards of a split.
func (s *state) count(split string) int {
	n := 0
	for i := range s.Files {
		if s.Files[i].Split == split {
			n++
		}
	}
	return n
}

// marshal encodes a value as compact JSON without the escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// putJSON writes a value as indented JSON.
func putJSON(ctx context.Context, sink Sink, name string, v any) error {
	text, err := marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	b.WriteByte('\n')
	if err := put(ctx, sink, name, b.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
