//go:build linux

// Package powercut is a file system whose power can be cut: what was not synced is
// gone then.
//
// The model. A file's contents are on the medium as of its last fsync or fdatasync.
// A change of a folder (create, link, rename, remove) is on the medium after fsync of
// that folder; with [Model.Ordered] after fsync of anything, as the one journal of
// ext4 does. It is harsher than ext4: a file that was never synced is there with
// length 0 even when it was renamed over another, and nothing is ever written unasked,
// which Linux does after 30 to 35 seconds. With [Model.Torn] the cut leaves a random
// part of the rest: of each file a prefix of its writes, the last of them torn at a
// sector. Mode, owner and times are not modelled.
package powercut

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Model says what a power cut leaves. The zero Model is the harshest.
type Model struct {
	// Ordered: any fsync puts the changes of all folders on the medium.
	Ordered bool
	// Torn: a random part of what was not synced is left, drawn from Seed.
	Torn bool
	Seed uint64
}

// FileSystem is a mounted file system. Its methods are for one goroutine.
type FileSystem struct {
	disk   *disk
	server *fuse.Server
	at     string
	dead   atomic.Bool
	names  sync.Mutex // orders changes of folders
}

// Mount mounts the folder live at the folder at, and keeps in the folder store what
// would survive. All of live counts as synced. It needs /dev/fuse and the right to mount.
func Mount(live, store, at string, model Model) (*FileSystem, error) {
	d, err := newDisk(live, store, model)
	if err != nil {
		return nil, err
	}
	f := &FileSystem{disk: d, at: at}
	var st syscall.Stat_t
	if err := syscall.Stat(live, &st); err != nil {
		return nil, err
	}
	root := &fs.LoopbackRoot{Path: live, Dev: st.Dev}
	//nolint:staticcheck // NodeWrapChilder, which replaces it, is not told which file it is
	root.NewNode = func(r *fs.LoopbackRoot, _ *fs.Inode, _ string, st *syscall.Stat_t) fs.InodeEmbedder {
		return &node{LoopbackNode: fs.LoopbackNode{RootData: r}, fs: f, n: d.number(st.Ino)}
	}
	top := &node{LoopbackNode: fs.LoopbackNode{RootData: root}, fs: f, n: d.number(st.Ino)}
	root.RootNode = top
	f.server, err = fs.Mount(at, top, &fs.Options{MountOptions: fuse.MountOptions{
		FsName: live, Name: "powercut", DirectMountStrict: true, MaxWrite: 1 << 20,
	}})
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", at, err)
	}
	return f, nil
}

// Fail makes every further operation fail with EIO: the power is off.
func (f *FileSystem) Fail() { f.dead.Store(true) }

// Cut turns the power off, unmounts, and makes the folder after, which must not
// exist, of what was on the medium. Processes that still use the file system get EIO.
func (f *FileSystem) Cut(after string) error {
	f.Fail()
	var err error
	if f.disk.model.Torn {
		err = f.disk.tear(rand.New(rand.NewPCG(f.disk.model.Seed, 0)))
	}
	err = errors.Join(err, f.disk.restore(after), f.unmount())
	if err != nil {
		return fmt.Errorf("cut the power: %w", err)
	}
	return nil
}

// unmount takes the file system away, also from a process that has it open: one that is
// just being started has what this process has.
func (f *FileSystem) unmount() error {
	err := f.server.Unmount()
	if err != nil {
		err = unix.Unmount(f.at, unix.MNT_DETACH)
	}
	return err
}

// node is a live file that notes what is done to it.
type node struct {
	fs.LoopbackNode
	fs *FileSystem
	n  uint64
}

var _ = (interface {
	fs.NodeLookuper
	fs.NodeWriter
	fs.NodeReader
	fs.NodeFsyncer
	fs.NodeAllocater
	fs.NodeCreater
	fs.NodeOpener
	fs.NodeSetattrer
	fs.NodeRenamer
	fs.NodeLinker
	fs.NodeCopyFileRanger
})((*node)(nil))

func (n *node) at(name string) string {
	return filepath.Join(n.RootData.Path, n.Path(n.Root()), name)
}

// off is EIO once the power is off.
func (n *node) off() syscall.Errno {
	if n.fs.dead.Load() {
		return syscall.EIO
	}
	return 0
}

// added notes a new name.
func (n *node) added(name string) syscall.Errno {
	number, _, err := n.fs.disk.adopt(n.at(name))
	if err != nil {
		return fs.ToErrno(err)
	}
	n.fs.disk.name(entry{folder: n.n, name: name, number: number})
	return 0
}

// named runs an operation that makes a name, and notes it.
func (n *node) named(name string, do func() (*fs.Inode, syscall.Errno)) (*fs.Inode, syscall.Errno) {
	n.fs.names.Lock()
	defer n.fs.names.Unlock()
	if errno := n.off(); errno != 0 {
		return nil, errno
	}
	inode, errno := do()
	if errno != 0 {
		return nil, errno
	}
	if errno := n.added(name); errno != 0 {
		return nil, errno
	}
	if made, ok := inode.Operations().(*node); ok && made.n == 0 {
		var st syscall.Stat_t
		if err := syscall.Lstat(n.at(name), &st); err != nil {
			return nil, fs.ToErrno(err)
		}
		made.n = n.fs.disk.number(st.Ino)
	}
	return inode, 0
}

// Lookup finds a child.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.fs.names.Lock()
	defer n.fs.names.Unlock()
	if errno := n.off(); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Lookup(ctx, name, out)
}

// Mkdir makes a folder and notes its name.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.named(name, func() (*fs.Inode, syscall.Errno) { return n.LoopbackNode.Mkdir(ctx, name, mode, out) })
}

// Mknod makes a file and notes its name.
func (n *node) Mknod(ctx context.Context, name string, mode, rdev uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.named(name, func() (*fs.Inode, syscall.Errno) { return n.LoopbackNode.Mknod(ctx, name, mode, rdev, out) })
}

// Symlink makes a symbolic link and notes its name.
func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.named(name, func() (*fs.Inode, syscall.Errno) { return n.LoopbackNode.Symlink(ctx, target, name, out) })
}

// Link notes one more name of a file.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.named(name, func() (*fs.Inode, syscall.Errno) { return n.LoopbackNode.Link(ctx, target, name, out) })
}

// Create makes and opens a file, and notes its name.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	var file fs.FileHandle
	inode, errno := n.named(name, func() (inode *fs.Inode, errno syscall.Errno) {
		inode, file, _, errno = n.LoopbackNode.Create(ctx, name, flags, mode, out)
		return inode, errno
	})
	return inode, hide(file), 0, errno
}

// handle is an open file that the kernel must not write to by itself.
type handle struct{ *fs.LoopbackFile }

// PassthroughFd offers no file to the kernel.
func (handle) PassthroughFd() (int, bool) { return 0, false }

func hide(file fs.FileHandle) fs.FileHandle {
	if open, ok := file.(*fs.LoopbackFile); ok {
		return handle{open}
	}
	return file
}

// openFolder is an open folder, whose fsync is the node's.
type openFolder struct {
	fs.FileReaddirenter
	fs.FileReleasedirer
	fs.FileSeekdirer
	folder *node
}

// Fsyncdir puts the changes of the folder on the medium.
func (o openFolder) Fsyncdir(ctx context.Context, flags uint32) syscall.Errno {
	return o.folder.Fsync(ctx, nil, flags)
}

// OpendirHandle opens a folder so that it can be synced.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.off(); errno != 0 {
		return nil, 0, errno
	}
	open, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return openFolder{open.(fs.FileReaddirenter), open.(fs.FileReleasedirer), open.(fs.FileSeekdirer), n}, fuseFlags, 0
}

// Unlink removes a name of a file and notes that.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	return n.removed(name, func() syscall.Errno { return n.LoopbackNode.Unlink(ctx, name) })
}

// Rmdir removes a folder and notes that.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	return n.removed(name, func() syscall.Errno { return n.LoopbackNode.Rmdir(ctx, name) })
}

func (n *node) removed(name string, do func() syscall.Errno) syscall.Errno {
	n.fs.names.Lock()
	defer n.fs.names.Unlock()
	if errno := n.off(); errno != 0 {
		return errno
	}
	lost := n.lastName(name)
	if errno := do(); errno != 0 {
		return errno
	}
	n.fs.disk.forget(lost)
	n.fs.disk.name(entry{folder: n.n, name: name})
	return 0
}

// lastName returns the inode of a name if it has no other, else 0.
func (n *node) lastName(name string) uint64 {
	var st syscall.Stat_t
	err := syscall.Lstat(n.at(name), &st)
	if err != nil || st.Nlink > 1 && st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return 0
	}
	return st.Ino
}

// Rename notes both names.
func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	to, ok := parent.(*node)
	if !ok {
		return syscall.EXDEV
	}
	n.fs.names.Lock()
	defer n.fs.names.Unlock()
	if errno := n.off(); errno != 0 {
		return errno
	}
	const exchange = 2 // RENAME_EXCHANGE
	lost := to.lastName(newName)
	if errno := n.LoopbackNode.Rename(ctx, name, parent, newName, flags); errno != 0 {
		return errno
	}
	if flags&exchange != 0 {
		if errno := n.added(name); errno != 0 {
			return errno
		}
		return to.added(newName)
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(to.at(newName), &st); err == nil && st.Ino != lost {
		n.fs.disk.forget(lost)
	}
	if errno := to.added(newName); errno != 0 {
		return errno
	}
	n.fs.disk.name(entry{folder: n.n, name: name})
	return 0
}

// Open opens a file. To cut it off is a change of its size.
func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.off(); errno != 0 {
		return nil, 0, errno
	}
	file, fuseFlags, errno := n.LoopbackNode.Open(ctx, flags)
	file = hide(file)
	if errno == 0 && flags&syscall.O_TRUNC != 0 {
		n.fs.disk.resize(n.n, 0)
	}
	return file, fuseFlags, errno
}

func (n *node) Read(ctx context.Context, file fs.FileHandle, to []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := n.off(); errno != 0 {
		return nil, errno
	}
	return file.(fs.FileReader).Read(ctx, to, off)
}

func (n *node) Write(ctx context.Context, file fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := n.off(); errno != 0 {
		return 0, errno
	}
	written, errno := file.(fs.FileWriter).Write(ctx, data, off)
	if written > 0 {
		n.fs.disk.write(n.n, off, data[:written])
	}
	return written, errno
}

// Fsync puts the file's contents, or the folder's names, on the medium.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if errno := n.off(); errno != 0 {
		return errno
	}
	return fs.ToErrno(n.fs.disk.sync(n.n))
}

// Setattr notes a change of size.
func (n *node) Setattr(ctx context.Context, file fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := n.off(); errno != 0 {
		return errno
	}
	if errno := n.LoopbackNode.Setattr(ctx, file, in, out); errno != 0 {
		return errno
	}
	if size, ok := in.GetSize(); ok {
		n.fs.disk.resize(n.n, int64(size))
	}
	return 0
}

// Allocate supports what makes a file longer, which is noted, and what does not
// change its contents.
func (n *node) Allocate(ctx context.Context, file fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	if errno := n.off(); errno != 0 {
		return errno
	}
	if mode&^uint32(keepSize) != 0 {
		return syscall.EOPNOTSUPP
	}
	var before, after fuse.AttrOut
	attributes := file.(fs.FileGetattrer)
	if errno := attributes.Getattr(ctx, &before); errno != 0 {
		return errno
	}
	if errno := file.(fs.FileAllocater).Allocate(ctx, off, size, mode); errno != 0 {
		return errno
	}
	if errno := attributes.Getattr(ctx, &after); errno != 0 {
		return errno
	}
	if after.Size > before.Size {
		n.fs.disk.resize(n.n, int64(after.Size))
	}
	return 0
}

// CopyFileRange is not supported: programs write instead.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}
