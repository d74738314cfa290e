package files

import (
	"context"
	"io"
)

// Sink is where files go: [Folder] or [Bucket].
type Sink interface {
	// Create starts a file. It appears under its name, whole and durable, when
	// Commit returns without an error, and takes the place of one that is there.
	Create(ctx context.Context, name string) (File, error)
	// Read returns a small file. One that does not exist is an error that
	// errors.Is takes for fs.ErrNotExist.
	Read(ctx context.Context, name string) ([]byte, error)
	// Clean removes what writers left unfinished.
	Clean(ctx context.Context) error
}

// File is a file under construction. Either Commit or Abort is called, once.
type File interface {
	io.Writer
	Commit() error
	// Abort removes what was written.
	Abort() error
}

// put writes a small file.
func put(ctx context.Context, sink Sink, name string, content []byte) error {
	file, err := sink.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		_ = file.Abort() // the first error says why
		return err
	}
	return file.Commit()
}
