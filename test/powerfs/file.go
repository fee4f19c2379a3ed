package powerfs

import (
	"errors"
	"io"
	"syscall"
	"time"
)

// ReadAt reads what was written, synced or not.
func (d *Disk) ReadAt(id uint64, p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.file(id)
	if err != nil {
		return 0, err
	}
	if off >= n.size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), n.size-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		base := at - at%pageSize
		pg := n.dirty[base]
		if pg == nil {
			pg = new(page)
			if err := n.fill(pg, base); err != nil {
				return 0, err
			}
		}
		done += copy(p[done:], pg[at-base:])
	}
	return len(p), nil
}

// fill reads a page of the durable contents as far as they count.
func (n *node) fill(pg *page, base int64) error {
	count := min(pageSize, min(n.durableSize, n.trimmed)-base)
	if n.host == nil || count <= 0 {
		return nil
	}
	if _, err := n.host.ReadAt(pg[:count], base); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// WriteAt writes to the cache. Errors: ENOSPC.
func (d *Disk) WriteAt(id uint64, p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.file(id)
	if err != nil {
		return 0, err
	}
	if d.off {
		return 0, syscall.EIO
	}
	end := off + int64(len(p))
	if err := d.reserve(n, end); err != nil {
		return 0, err
	}
	for done := 0; done < len(p); {
		at := off + int64(done)
		pg, err := n.touch(at - at%pageSize)
		if err != nil {
			return done, err
		}
		done += copy(pg[at%pageSize:], p[done:])
	}
	n.size = max(n.size, end)
	return len(p), nil
}

// touch returns the dirty page of an offset.
func (n *node) touch(base int64) (*page, error) {
	pg := n.dirty[base]
	if pg == nil {
		pg = new(page)
		if err := n.fill(pg, base); err != nil {
			return nil, err
		}
		n.dirty[base] = pg
	}
	return pg, nil
}

// reserve refuses to grow a file beyond the room there is.
func (d *Disk) reserve(n *node, end int64) error {
	if end > n.size && (d.full || d.used()+end-max(n.size, n.durableSize) > d.capacity) {
		return syscall.ENOSPC
	}
	return nil
}

// Truncate sets the size. Errors: ENOSPC when that is larger than there is room.
func (d *Disk) Truncate(id uint64, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.file(id)
	if err != nil {
		return err
	}
	if err := d.reserve(n, size); err != nil {
		return err
	}
	if size < n.size {
		n.shrink(size)
	}
	n.size = size
	return nil
}

func (n *node) shrink(size int64) {
	for base, pg := range n.dirty {
		switch {
		case base >= size:
			delete(n.dirty, base)
		case base+pageSize > size:
			clear(pg[size-base:])
		}
	}
	n.trimmed = min(n.trimmed, size)
}

// Allocate makes the file at least so large.
func (d *Disk) Allocate(id uint64, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.file(id)
	if err != nil {
		return err
	}
	if err := d.reserve(n, size); err != nil {
		return err
	}
	n.size = max(n.size, size)
	return nil
}

// Sync makes a file's contents or a directory's names durable.
func (d *Disk) Sync(id uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.syncTime; t > 0 {
		d.mu.Unlock()
		time.Sleep(t) // as long as a device takes
		d.mu.Lock()
	}
	n, err := d.find(id)
	if err != nil {
		return err
	}
	d.stats.Syncs++
	switch {
	case d.off:
		return syscall.EIO
	case d.lying:
		return nil
	case n.isDir:
		d.commit(n, len(n.pending))
		return nil
	}
	return d.flush(n)
}

// flush writes all of a file that is not durable.
func (d *Disk) flush(n *node) error {
	if n.size == 0 && n.durableSize == 0 {
		clear(n.dirty)
		return nil
	}
	f, err := d.backing(n)
	if err != nil {
		return err
	}
	if n.trimmed < n.durableSize {
		if err := f.Truncate(n.trimmed); err != nil {
			return err
		}
	}
	for base, pg := range n.dirty {
		if _, err := f.WriteAt(pg[:min(pageSize, n.size-base)], base); err != nil {
			return err
		}
	}
	if err := f.Truncate(n.size); err != nil {
		return err
	}
	n.durableSize, n.trimmed = n.size, untouched
	clear(n.dirty)
	return nil
}
