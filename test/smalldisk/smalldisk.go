//go:build linux

// Package smalldisk gives tests a disk that can be filled.
package smalldisk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Mount makes an existing folder a disk of its own, with memory behind it, until the
// test ends. A test that may not mount one is skipped.
func Mount(t *testing.T, dir string, megabytes int) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skipf("a small disk is needed, and mounting a tmpfs is not permitted here (it is to root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// Fill leaves so many bytes free on the disk of dir. What takes the room is gone when
// free is called.
func Fill(t *testing.T, dir string, left int64) (free func()) {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(file, zeros{}, int64(disk.Bavail)*disk.Bsize-left); err != nil && !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(file.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
