//go:build linux

package powercut

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// mount mounts an empty file system, or skips the test where that is not permitted.
func mount(t *testing.T, model Model) (f *FileSystem, at, after string) {
	t.Helper()
	base := t.TempDir()
	live := filepath.Join(base, "live")
	if err := os.Mkdir(live, 0o700); err != nil {
		t.Fatal(err)
	}
	f, at = remount(t, live, model)
	return f, at, filepath.Join(base, "after")
}

func remount(t *testing.T, live string, model Model) (*FileSystem, string) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Geteuid() != 0 {
		t.Skipf("a FUSE file system cannot be mounted here: it needs root and /dev/fuse (%v)", err)
	}
	at := live + ".mnt"
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := Mount(live, live+".disk", at, model)
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("FUSE is not permitted here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Fail(); _ = f.server.Unmount() })
	return f, at
}

func write(path, text string, sync bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if sync {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// TestCut runs small programs and looks at what a power cut leaves of a file "a".
func TestCut(t *testing.T) {
	t.Parallel()
	const gone = "(gone)"
	ordered := Model{Ordered: true}
	for _, test := range []struct {
		name    string
		model   Model
		program func(dir string) error
		want    string
	}{
		{"nothing synced", ordered, func(dir string) error { return write(dir+"/a", "text", false) }, gone},
		{"file synced, ordered", ordered, func(dir string) error { return write(dir+"/a", "text", true) }, "text"},
		{"file synced, harsh", Model{}, func(dir string) error { return write(dir+"/a", "text", true) }, gone},
		{"folder synced, file not", Model{}, func(dir string) error {
			return errors.Join(write(dir+"/a", "text", false), syncPath(dir))
		}, ""},
		{"both synced", Model{}, func(dir string) error {
			return errors.Join(write(dir+"/a", "text", true), syncPath(dir))
		}, "text"},
		{"rename without folder sync", Model{}, func(dir string) error {
			return errors.Join(write(dir+"/a", "old", true), syncPath(dir), write(dir+"/b", "new", true), os.Rename(dir+"/b", dir+"/a"))
		}, "old"},
		{"rename, another file synced, ordered", ordered, func(dir string) error {
			return errors.Join(write(dir+"/a", "old", true), write(dir+"/b", "new", true), os.Rename(dir+"/b", dir+"/a"), write(dir+"/c", "", true))
		}, "new"},
		{"rename of an unsynced file", ordered, func(dir string) error {
			return errors.Join(write(dir+"/b", "new", false), os.Rename(dir+"/b", dir+"/a"), syncPath(dir))
		}, ""},
		{"remove not synced", ordered, func(dir string) error {
			return errors.Join(write(dir+"/a", "text", true), os.Remove(dir+"/a"))
		}, "text"},
		{"hard link", ordered, func(dir string) error {
			return errors.Join(write(dir+"/b", "text", true), os.Link(dir+"/b", dir+"/a"), os.Remove(dir+"/b"), syncPath(dir))
		}, "text"},
		{"truncate not synced", ordered, func(dir string) error {
			return errors.Join(write(dir+"/a", "text", true), os.Truncate(dir+"/a", 1))
		}, "text"},
		{"truncate synced", ordered, func(dir string) error {
			return errors.Join(write(dir+"/a", "text", true), os.Truncate(dir+"/a", 1), syncPath(dir+"/a"))
		}, "t"},
		{"pread, flock, fallocate, statfs", ordered, calls, "text\x00\x00\x00\x00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, at, after := mount(t, test.model)
			if err := test.program(at); err != nil {
				t.Fatal(err)
			}
			if err := f.Cut(after); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(after + "/a")
			if errors.Is(err, fs.ErrNotExist) {
				got, err = []byte(gone), nil
			}
			if string(got) != test.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// calls makes those that the engine and the log make too. Not mmap: a page that this
// process waits for is one that it would have to serve.
func calls(dir string) error {
	if err := write(dir+"/a", "text", false); err != nil {
		return err
	}
	f, err := os.OpenFile(dir+"/a", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	fd := int(f.Fd())
	part := make([]byte, 2)
	if _, err := f.ReadAt(part, 2); err != nil || string(part) != "xt" {
		return errors.Join(err, errors.New("pread reads "+string(part)))
	}
	var stat syscall.Statfs_t
	return errors.Join(syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB),
		syscall.Fallocate(fd, 0, 0, 8), syscall.Statfs(dir, &stat), f.Sync())
}

// TestFail: without power every operation fails, and the data is what was synced.
func TestFail(t *testing.T) {
	t.Parallel()
	f, at, after := mount(t, Model{Ordered: true})
	if err := write(at+"/a", "text", true); err != nil {
		t.Fatal(err)
	}
	f.Fail()
	if err := write(at+"/b", "text", true); !errors.Is(err, syscall.EIO) {
		t.Errorf("write without power: %v", err)
	}
	if err := f.Cut(after); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(after + "/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written without power: %v", err)
	}
}
