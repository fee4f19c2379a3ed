package powerfs

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Mounted is a Disk that processes see under a path.
type Mounted struct {
	server *fuse.Server
	path   string
}

// Supported says why Mount cannot work here; nil: it can. It asks the kernel for a
// mount without anything of a Disk, so that a mistake of this package does not look
// like a machine that cannot.
func Supported() error {
	if os.Geteuid() != 0 {
		return errors.New("mounting needs root")
	}
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("no FUSE here: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	dir, err := os.MkdirTemp("", "powerfs-")
	if err != nil {
		return fmt.Errorf("make a directory to mount on: %w", err)
	}
	defer os.Remove(dir) //nolint:errcheck // the system empties it at last
	if err := syscall.Mount("powerfs", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", f.Fd())); err != nil {
		return fmt.Errorf("mounting is not allowed here: %w", err)
	}
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// Mount shows the disk under a path, an empty directory.
func Mount(d *Disk, path string) (*Mounted, error) {
	server, err := fuse.NewServer(&bridge{RawFileSystem: fuse.NewDefaultRawFileSystem(), disk: d}, path, &fuse.MountOptions{
		DirectMountStrict: true, DisableXAttrs: true, DisableReadDirPlus: true,
		FsName: "powerfs", Name: "powerfs", MaxWrite: 128 << 10,
		Logger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", path, err)
	}
	m := &Mounted{server, path}
	go server.Serve() // ends with Unmount, which waits for it
	if err := server.WaitMount(); err != nil {
		return nil, errors.Join(fmt.Errorf("mount %s: %w", path, err), m.Unmount())
	}
	return m, nil
}

// Unmount ends it, with all that the kernel has cached. It fails as long as a
// process has a file open.
//
// A process that was given a mount namespace of its own meanwhile (ip netns exec
// does so) keeps a copy of the mount, and the kernel keeps the connection for
// that: whoever reads from it would wait for ever. So the connection is ended
// with the mount, by MNT_FORCE, which would do so to open files, too: that there are none
// is what MNT_EXPIRE says.
func (m *Mounted) Unmount() error {
	var err error
	for wait := time.Millisecond; wait < time.Second; wait *= 2 {
		// The first call finds it idle (EAGAIN), if it is.
		if err = syscall.Unmount(m.path, syscall.MNT_EXPIRE); errors.Is(err, syscall.EAGAIN) {
			err = syscall.Unmount(m.path, syscall.MNT_FORCE)
		}
		if err == nil {
			m.server.Wait()
			return nil
		}
		time.Sleep(wait) // the kernel may still be closing files of a process that is gone
	}
	return fmt.Errorf("unmount %s: %w", m.path, err)
}

// forever is how long the kernel may trust what it was told: nobody else
// changes the disk.
const forever = time.Hour

// bridge answers the kernel. FUSE's node numbers are the disk's.
type bridge struct {
	fuse.RawFileSystem
	disk *Disk
}

func status(err error) fuse.Status {
	var errno syscall.Errno
	switch {
	case err == nil:
		return fuse.OK
	case errors.As(err, &errno):
		return fuse.Status(errno)
	}
	return fuse.EIO
}

func (b *bridge) attributes(e Entry, out *fuse.Attr) {
	out.Ino, out.Size, out.Nlink, out.Blksize = e.Node, uint64(e.Size), uint32(e.Links), pageSize
	out.Blocks = (out.Size + sectorSize - 1) / sectorSize
	out.Mode = e.Mode | syscall.S_IFREG
	if e.Dir {
		out.Mode = e.Mode | syscall.S_IFDIR
	}
}

func (b *bridge) entry(e Entry, err error, out *fuse.EntryOut) fuse.Status {
	if err != nil {
		return status(err)
	}
	out.NodeId, out.Generation = e.Node, 1
	out.SetEntryTimeout(forever)
	out.SetAttrTimeout(forever)
	b.attributes(e, &out.Attr)
	return fuse.OK
}

func (b *bridge) stat(id uint64, out *fuse.AttrOut) fuse.Status {
	e, err := b.disk.Stat(id)
	if err != nil {
		return status(err)
	}
	out.SetTimeout(forever)
	b.attributes(e, &out.Attr)
	return fuse.OK
}

func (b *bridge) String() string { return "powerfs" }

func (b *bridge) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	e, err := b.disk.Lookup(in.NodeId, name)
	return b.entry(e, err, out)
}

func (b *bridge) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return b.stat(in.NodeId, out)
}

func (b *bridge) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if mode, ok := in.GetMode(); ok {
		if err := b.disk.Chmod(in.NodeId, mode&0o7777); err != nil {
			return status(err)
		}
	}
	if size, ok := in.GetSize(); ok {
		if err := b.disk.Truncate(in.NodeId, int64(size)); err != nil {
			return status(err)
		}
	}
	return b.stat(in.NodeId, out)
}

func (b *bridge) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	e, err := b.disk.Create(in.NodeId, name, true, in.Mode&0o7777)
	return b.entry(e, err, out)
}

func (b *bridge) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return status(b.disk.Remove(in.NodeId, name))
}

func (b *bridge) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return status(b.disk.Remove(in.NodeId, name))
}

func (b *bridge) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	return status(b.disk.Rename(in.NodeId, from, in.Newdir, to))
}

func (b *bridge) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	e, err := b.disk.Create(in.NodeId, name, false, in.Mode&0o7777)
	if err == nil {
		err = b.disk.Hold(e.Node)
	}
	return b.entry(e, err, &out.EntryOut)
}

func (b *bridge) Open(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	if in.Flags&syscall.O_TRUNC != 0 {
		if err := b.disk.Truncate(in.NodeId, 0); err != nil {
			return status(err)
		}
	}
	return status(b.disk.Hold(in.NodeId))
}

func (b *bridge) Release(_ <-chan struct{}, in *fuse.ReleaseIn) { b.disk.Release(in.NodeId) }

func (b *bridge) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n, err := b.disk.ReadAt(in.NodeId, buf[:min(len(buf), int(in.Size))], int64(in.Offset))
	return fuse.ReadResultData(buf[:n]), status(err)
}

func (b *bridge) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n, err := b.disk.WriteAt(in.NodeId, data, int64(in.Offset))
	return uint32(n), status(err)
}

func (b *bridge) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (b *bridge) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return status(b.disk.Sync(in.NodeId))
}

func (b *bridge) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return status(b.disk.Sync(in.NodeId))
}

func (b *bridge) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if in.Mode != 0 {
		return fuse.Status(syscall.EOPNOTSUPP)
	}
	return status(b.disk.Allocate(in.NodeId, int64(in.Offset+in.Length)))
}

func (b *bridge) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

func (b *bridge) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	_, err := b.disk.List(in.NodeId)
	return status(err)
}

func (b *bridge) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	list, err := b.disk.List(in.NodeId)
	if err != nil {
		return status(err)
	}
	for i, e := range list {
		if uint64(i) < in.Offset {
			continue
		}
		var mode uint32 = syscall.S_IFREG
		if e.Dir {
			mode = syscall.S_IFDIR
		}
		if !out.AddDirEntry(fuse.DirEntry{Name: e.Name, Ino: e.Node, Mode: mode, Off: uint64(i) + 1}) {
			break
		}
	}
	return fuse.OK
}

func (b *bridge) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	total, free := b.disk.Space()
	out.Bsize, out.Frsize, out.NameLen = pageSize, pageSize, 255
	out.Blocks, out.Bfree, out.Bavail = uint64(total)/pageSize, uint64(free)/pageSize, uint64(free)/pageSize
	out.Files, out.Ffree = 1<<20, 1<<20
	return fuse.OK
}
