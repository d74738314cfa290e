package trainset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
)

// downloadFile notes, in the folder or bucket, which training set is written there, and
// where to continue.
const downloadFile = ".flywheel-download.json"

// Download is a training set being written to a folder or bucket.
type Download struct {
	TrainingSetID string `json:"training_set_id"`
	Encoding      string `json:"encoding"`
	ShardBytes    uint64 `json:"shard_bytes"`
	// Cursor is where to continue; Done says that everything is there.
	Cursor string `json:"cursor"`
	Done   bool   `json:"done"`
}

// FindDownload returns the download that a folder or bucket holds, or nil.
func FindDownload(ctx context.Context, sink files.Sink) (*Download, error) {
	text, err := sink.Read(ctx, downloadFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", downloadFile, err)
	}
	d := new(Download)
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("read %s: %w", downloadFile, err)
	}
	return d, nil
}

// Run writes the files that are not there yet. Every file appears under its name when it
// is whole and has the SHA-256 that the server says. After each, progress is called with
// the rows read and in all. A download that ended early is continued by another Run.
func (d *Download) Run(ctx context.Context, client flywheelv1.TrainingSetServiceClient, sink files.Sink, progress func(done, total uint64)) (err error) {
	if d.Done {
		return nil
	}
	if err := sink.Clean(ctx); err != nil {
		return err
	}
	if err := d.Note(ctx, sink); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.ReadTrainingSet(ctx, &flywheelv1.ReadTrainingSetRequest{
		TrainingSetId: d.TrainingSetID, Encoding: flywheelv1.FileEncoding(flywheelv1.FileEncoding_value[d.Encoding]),
		ShardBytes: d.ShardBytes, Cursor: d.Cursor,
	})
	if err != nil {
		return err
	}
	var open *incoming
	defer func() {
		if open != nil {
			err = errors.Join(err, open.file.Abort())
		}
	}()
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			d.Done = true
			return d.Note(ctx, sink)
		}
		if err != nil {
			return err
		}
		if open == nil {
			if open, err = newIncoming(ctx, sink, m.GetPath()); err != nil {
				return err
			}
		}
		if err := open.take(m); err != nil {
			return err
		}
		end := m.GetEnd()
		if end == nil {
			continue
		}
		whole := open
		open = nil
		if err := whole.file.Commit(); err != nil {
			return fmt.Errorf("write %s: %w", m.GetPath(), err)
		}
		if end.GetCursor() != "" {
			d.Cursor = end.GetCursor()
			if err := d.Note(ctx, sink); err != nil {
				return err
			}
		}
		progress(end.GetRowsDone(), end.GetRowsTotal())
	}
}

// Note writes where to continue. Before the first [Download.Run] it says which training
// set the folder or bucket is for.
func (d *Download) Note(ctx context.Context, sink files.Sink) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", downloadFile, err)
	}
	file, err := sink.Create(ctx, downloadFile)
	if err != nil {
		return fmt.Errorf("write %s: %w", downloadFile, err)
	}
	if _, err := file.Write(append(text, '\n')); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", downloadFile, err), file.Abort())
	}
	if err := file.Commit(); err != nil {
		return fmt.Errorf("write %s: %w", downloadFile, err)
	}
	return nil
}

// incoming is a file being received.
type incoming struct {
	path string
	file files.File
	size uint64
	sum  hash.Hash
}

func newIncoming(ctx context.Context, sink files.Sink, path string) (*incoming, error) {
	// The server's names go nowhere else.
	if !fs.ValidPath(path) || path == "." || path == downloadFile {
		return nil, fmt.Errorf("the server sent a file with the name %q", path)
	}
	file, err := sink.Create(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &incoming{path: path, file: file, sum: sha256.New()}, nil
}

// take writes a piece, and checks the file after the last.
func (f *incoming) take(m *flywheelv1.ReadTrainingSetResponse) error {
	if m.GetPath() != f.path {
		return fmt.Errorf("the server sent %s before the end of %s", m.GetPath(), f.path)
	}
	if _, err := f.file.Write(m.GetData()); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.sum.Write(m.GetData())
	f.size += uint64(len(m.GetData()))
	if end := m.GetEnd(); end != nil && (end.GetBytes() != f.size || !bytes.Equal(end.GetSha256(), f.sum.Sum(nil))) {
		return fmt.Errorf("%s arrived with %d bytes or a SHA-256 that the server did not send (%d bytes): run the same command again", f.path, f.size, end.GetBytes())
	}
	return nil
}
