//go:build linux

package powercut

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// sector is what a disk writes whole.
const sector = 512

// A disk keeps what would be on the medium after a power cut: the contents of files
// by number, and the entries of folders. It is apart from the live files. Its methods
// may be called concurrently.
type disk struct {
	model Model
	store string // one file for each number that has synced contents

	mu      sync.Mutex
	numbers map[uint64]uint64 // by inode of the live file
	last    uint64
	things  map[uint64]*thing
	pending []entry // changes of folders that are not on the medium, in order
}

// thing is a file, folder or symbolic link.
type thing struct {
	mode    fs.FileMode
	target  string            // of a symbolic link
	entries map[string]uint64 // of a folder, on the medium
	unsaved []change          // of a file, in order
}

// change is a write, or a new size when data is nil.
type change struct {
	off  int64
	data []byte
}

// entry gives a name in a folder to a thing, or removes it when number is 0.
type entry struct {
	folder, number uint64
	name           string
}

// newDisk takes over the live files, all as synced.
func newDisk(live, store string, model Model) (*disk, error) {
	if err := os.MkdirAll(store, 0o700); err != nil {
		return nil, err
	}
	d := &disk{model: model, store: store, numbers: map[uint64]uint64{}, things: map[uint64]*thing{}}
	err := filepath.WalkDir(live, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n, known, err := d.adopt(path)
		if err != nil {
			return err
		}
		if path != live {
			folder, _, err := d.adopt(filepath.Dir(path))
			if err != nil {
				return err
			}
			d.things[folder].entries[filepath.Base(path)] = n
		}
		if known || !item.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(d.file(n), data, 0o600)
	})
	if err != nil {
		return nil, fmt.Errorf("take over %s: %w", live, err)
	}
	return d, nil
}

func (d *disk) file(n uint64) string { return filepath.Join(d.store, strconv.FormatUint(n, 10)) }

// adopt returns the number of a live file, a new one when it has none.
func (d *disk) adopt(path string) (n uint64, known bool, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false, err
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.numbers[inode]; ok {
		return n, true, nil
	}
	d.last++
	t := &thing{mode: info.Mode()}
	switch {
	case info.IsDir():
		t.entries = map[string]uint64{}
	case info.Mode()&fs.ModeSymlink != 0:
		if t.target, err = os.Readlink(path); err != nil {
			return 0, false, err
		}
	}
	d.numbers[inode], d.things[d.last] = d.last, t
	return d.last, false, nil
}

// number returns the number of the live file of an inode, 0 for none.
func (d *disk) number(inode uint64) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.numbers[inode]
}

// forget frees an inode whose last name is gone: the system may use it again.
func (d *disk) forget(inode uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.numbers, inode)
}

func (d *disk) name(changes ...entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = append(d.pending, changes...)
}

func (d *disk) write(n uint64, off int64, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.things[n]
	t.unsaved = append(t.unsaved, change{off, append(make([]byte, 0, len(data)), data...)})
}

func (d *disk) resize(n uint64, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.things[n]
	t.unsaved = append(t.unsaved, change{off: size})
}

// sync does what fsync of one file or folder does.
func (d *disk) sync(n uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commit(func(e entry) bool { return d.model.Ordered || e.folder == n })
	return d.save(n, d.things[n].unsaved)
}

// commit puts the chosen changes of folders on the medium, in order.
func (d *disk) commit(chosen func(entry) bool) {
	var kept []entry
	for _, e := range d.pending {
		switch {
		case !chosen(e):
			kept = append(kept, e)
		case e.number == 0:
			delete(d.things[e.folder].entries, e.name)
		default:
			d.things[e.folder].entries[e.name] = e.number
		}
	}
	d.pending = kept
}

// save writes changes of a file to its contents on the medium and forgets the rest.
func (d *disk) save(n uint64, changes []change) (err error) {
	t := d.things[n]
	if len(changes) == 0 {
		t.unsaved = nil
		return nil
	}
	f, err := os.OpenFile(d.file(n), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, c := range changes {
		if c.data == nil {
			err = f.Truncate(c.off)
		} else {
			_, err = f.WriteAt(c.data, c.off)
		}
		if err != nil {
			return err
		}
	}
	t.unsaved = nil
	return nil
}

// tear puts a random part of what is not synced on the medium: of each file a prefix
// of its changes, the last of them cut at a sector, and of the folders a prefix too.
func (d *disk) tear(random *rand.Rand) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := random.IntN(len(d.pending) + 1)
	d.commit(func(entry) bool { left--; return left >= 0 })
	for n := uint64(1); n <= d.last; n++ {
		changes := d.things[n].unsaved
		changes = changes[:random.IntN(len(changes)+1)]
		if last := len(changes) - 1; last >= 0 && changes[last].data != nil {
			c := &changes[last]
			end := (c.off + random.Int64N(int64(len(c.data))+1)) / sector * sector
			c.data = c.data[:max(0, end-c.off)]
		}
		if err := d.save(n, changes); err != nil {
			return err
		}
	}
	return nil
}

// restore makes a folder that holds what is on the medium.
func (d *disk) restore(to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.restoreThing(1, to, map[uint64]string{})
}

func (d *disk) restoreThing(n uint64, to string, done map[uint64]string) error {
	t := d.things[n]
	switch first, again := done[n]; {
	case again && t.entries == nil:
		return os.Link(first, to)
	case again:
		return nil // a folder under its old and its new name: it stays at one
	}
	done[n] = to
	switch {
	case t.mode&fs.ModeSymlink != 0:
		return os.Symlink(t.target, to)
	case t.entries == nil:
		data, err := os.ReadFile(d.file(n))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return os.WriteFile(to, data, t.mode.Perm())
	}
	if err := os.Mkdir(to, t.mode.Perm()|0o700); err != nil {
		return err
	}
	for name, child := range t.entries {
		if err := d.restoreThing(child, filepath.Join(to, name), done); err != nil {
			return err
		}
	}
	return nil
}
