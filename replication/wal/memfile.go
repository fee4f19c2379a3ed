package wal

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
)

// memInode is a file's contents; writes lists what Sync has not covered yet.
type memInode struct {
	data    []byte
	durable []byte
	writes  []memWrite
}

type memWrite struct {
	off, end int64
	data     []byte // nil: zeros
}

// crash brings the file back to what was synced, and adds some of the unsynced
// writes: none, all, the first ones with the next one torn, or whatever sectors
// happened to reach the disk.
func (f *memInode) crash(rng *rand.Rand) {
	after := f.durable
	switch mode, n := rng.IntN(4), len(f.writes); {
	case mode == 0 || n == 0:
	case mode == 1:
		for _, w := range f.writes {
			after = w.apply(after, w.off, w.end)
		}
	case mode == 2:
		k := rng.IntN(n)
		for _, w := range f.writes[:k] {
			after = w.apply(after, w.off, w.end)
		}
		after = f.writes[k].tear(after, rng)
	default:
		for _, w := range f.writes {
			after = w.tear(after, rng)
		}
	}
	f.data, f.durable, f.writes = after, slices.Clone(after), nil
}

// tear applies some sectors of the write.
func (w *memWrite) tear(data []byte, rng *rand.Rand) []byte {
	for s := w.off - w.off%sectorSize; s < w.end; s += sectorSize {
		if rng.IntN(2) == 0 {
			data = w.apply(data, max(s, w.off), min(s+sectorSize, w.end))
		}
	}
	return data
}

// apply copies the bytes of the write that lie in off..end.
func (w *memWrite) apply(data []byte, off, end int64) []byte {
	if more := end - int64(len(data)); more > 0 {
		data = append(data, make([]byte, more)...)
	}
	if w.data == nil {
		clear(data[off:end])
	} else {
		copy(data[off:end], w.data[off-w.off:])
	}
	return data
}

// memFile is an open file of a MemFS.
type memFile struct {
	fs    *MemFS
	name  string
	inode *memInode
	epoch int
}

func (f *memFile) alive() error {
	if f.epoch != f.fs.epoch {
		return fmt.Errorf("%s: %w", f.name, ErrCrashed)
	}
	return nil
}

func (f *memFile) do(op Op, fn func() error) error {
	return f.fs.do(op, f.name, func() error {
		if err := f.alive(); err != nil {
			return err
		}
		return fn()
	})
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.alive(); err != nil {
		return 0, err
	}
	if off >= int64(len(f.inode.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.inode.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.do(OpWrite, func() error {
		if err := f.grow(off + int64(len(p))); err != nil {
			return err
		}
		copy(f.inode.data[off:], p)
		f.inode.writes = append(f.inode.writes, memWrite{off, off + int64(len(p)), slices.Clone(p)})
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *memFile) grow(size int64) error {
	more := size - int64(len(f.inode.data))
	if more <= 0 {
		return nil
	}
	if c := f.fs.capacity; c > 0 && f.fs.used()+more > c {
		return fmt.Errorf("%s: %w", f.name, syscall.ENOSPC)
	}
	f.inode.data = append(f.inode.data, make([]byte, more)...)
	return nil
}

func (f *memFile) Allocate(size int64) error {
	return f.do(OpAllocate, func() error {
		from := int64(len(f.inode.data))
		if err := f.grow(size); err != nil {
			return err
		}
		if from < size {
			f.inode.writes = append(f.inode.writes, memWrite{off: from, end: size})
		}
		return nil
	})
}

func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.inode.data)), f.alive()
}

func (f *memFile) Sync() error {
	return f.do(OpSync, func() error {
		n := f.inode
		if d := len(n.data) - len(n.durable); d > 0 {
			n.durable = append(n.durable, make([]byte, d)...)
		}
		for _, w := range n.writes {
			copy(n.durable[w.off:w.end], n.data[w.off:w.end])
		}
		n.writes = n.writes[:0]
		return nil
	})
}

func (f *memFile) Datasync() error { return f.Sync() }

func (f *memFile) Close() error { return nil }
