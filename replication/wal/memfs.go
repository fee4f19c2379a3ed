package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
)

const sectorSize = 512

// ErrCrashed is the error of a file that was open when its MemFS crashed.
var ErrCrashed = errors.New("file system crashed")

// Op names an operation of MemFS for the Inject hook.
type Op uint8

// The operations a hook sees. Reads are not hooked.
const (
	OpCreate Op = iota + 1
	OpAllocate
	OpWrite
	OpSync // Sync and Datasync
	OpRename
	OpRemove
	OpSyncDir
)

// MemFS is a file system in memory that can crash. It is deterministic: the
// same calls and seeds give the same bytes. Safe for concurrent use.
type MemFS struct {
	mu       sync.Mutex
	epoch    int // counts crashes; older open files are unusable
	files    map[string]*memInode
	undo     []memChange // unsynced changes of directories, in order
	capacity int64
	hook     func(op Op, name string) error
}

// memChange remembers what a name meant before an unsynced change.
type memChange struct {
	name string
	old  *memInode
	// joined: undone together with the change before it, as a rename is atomic.
	joined bool
}

var _ FS = (*MemFS)(nil)

// NewMemFS returns an empty file system without a limit of room.
func NewMemFS() *MemFS { return &MemFS{files: make(map[string]*memInode)} }

// SetCapacity limits the bytes of all files; beyond it operations fail with
// syscall.ENOSPC. 0: no limit.
func (m *MemFS) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// Used is the size of all files in bytes.
func (m *MemFS) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used()
}

func (m *MemFS) used() int64 {
	var n int64
	for _, f := range m.files {
		n += int64(len(f.data))
	}
	return n
}

// Inject sets a hook that is called before each operation that changes
// something; an error from it is the operation's result and the operation does
// nothing. The hook must not call the MemFS. nil removes it.
func (m *MemFS) Inject(hook func(op Op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

// Crash forgets what was not synced: each unsynced write is lost, kept, or torn
// at 512-byte sectors, and a tail of the unsynced directory changes is undone,
// as the seed decides. Open files become unusable; the hook is removed.
func (m *MemFS) Crash(seed uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rng := rand.New(rand.NewPCG(seed, 0x57414c))
	m.epoch++
	m.hook = nil
	keep := rng.IntN(len(m.undo) + 1)
	for keep > 0 && keep < len(m.undo) && m.undo[keep].joined {
		keep--
	}
	for i := len(m.undo) - 1; i >= keep; i-- {
		c := m.undo[i]
		if c.old == nil {
			delete(m.files, c.name)
		} else {
			m.files[c.name] = c.old
		}
	}
	m.undo = nil
	names := make([]string, 0, len(m.files))
	for name := range m.files {
		names = append(names, name)
	}
	slices.Sort(names) // the order in which rng is asked must not vary
	for _, name := range names {
		m.files[name].crash(rng)
	}
}

// do runs an operation under the lock, after the hook.
func (m *MemFS) do(op Op, name string, fn func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hook != nil {
		if err := m.hook(op, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return fn()
}

// MkdirAll implements FS. Directories are only prefixes of names here.
func (m *MemFS) MkdirAll(string) error { return nil }

// List implements FS.
func (m *MemFS) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.files {
		if path.Dir(name) == path.Clean(dir) {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Create implements FS.
func (m *MemFS) Create(name string) (File, error) {
	f := &memFile{fs: m, name: name, inode: &memInode{}}
	err := m.do(OpCreate, name, func() error {
		f.epoch = m.epoch
		m.set(name, f.inode, false)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// set changes what a name means and remembers how to undo it.
func (m *MemFS) set(name string, f *memInode, joined bool) {
	m.undo = append(m.undo, memChange{name: name, old: m.files[name], joined: joined})
	if f == nil {
		delete(m.files, name)
	} else {
		m.files[name] = f
	}
}

// Open implements FS.
func (m *MemFS) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memFile{fs: m, name: name, inode: f, epoch: m.epoch}, nil
}

// Rename implements FS.
func (m *MemFS) Rename(oldname, newname string) error {
	return m.do(OpRename, oldname, func() error {
		f := m.files[oldname]
		if f == nil {
			return &fs.PathError{Op: "rename", Path: oldname, Err: fs.ErrNotExist}
		}
		m.set(newname, f, false)
		m.set(oldname, nil, true)
		return nil
	})
}

// Remove implements FS.
func (m *MemFS) Remove(name string) error {
	return m.do(OpRemove, name, func() error {
		if m.files[name] == nil {
			return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
		}
		m.set(name, nil, false)
		return nil
	})
}

// SyncDir implements FS.
func (m *MemFS) SyncDir(dir string) error {
	return m.do(OpSyncDir, dir, func() error {
		m.undo = slices.DeleteFunc(m.undo, func(c memChange) bool { return path.Dir(c.name) == path.Clean(dir) })
		return nil
	})
}
