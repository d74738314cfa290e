package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// partial ends the names of files that are not complete.
const partial = ".partial"

// Folder is a local folder. Files are written under a temporary name, synced and
// renamed. One writer may use a folder at a time.
type Folder struct{ path string }

// NewFolder opens a folder, made when it does not exist.
func NewFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	return &Folder{path: path}, nil
}

// Create implements [Sink].
func (f *Folder) Create(ctx context.Context, name string) (File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := filepath.Join(f.path, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	file, err := os.Create(path + partial)
	if err != nil {
		return nil, err
	}
	return &folderFile{File: file, path: path}, nil
}

// Read implements [Sink].
func (f *Folder) Read(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.path, filepath.FromSlash(name)))
}

// Clean implements [Sink].
func (f *Folder) Clean(context.Context) error {
	var left []string
	for _, pattern := range []string{"*", ".*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(f.path, pattern+partial))
		if err != nil {
			return fmt.Errorf("list unfinished files: %w", err)
		}
		left = append(left, found...)
	}
	var errs []error
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove unfinished file: %w", err))
		}
	}
	return errors.Join(errs...)
}

// folderFile is a file with a temporary name.
type folderFile struct {
	*os.File
	path string // the final name
}

// Commit implements [File].
func (f *folderFile) Commit() error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(f.path))
}

// Abort implements [File].
func (f *folderFile) Abort() error {
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// syncFolder makes a rename durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
