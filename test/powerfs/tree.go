package powerfs

import (
	"slices"
	"strings"
	"syscall"
)

// Entry describes a file or directory.
type Entry struct {
	Name  string
	Node  uint64
	Dir   bool
	Mode  uint32 // permissions
	Size  int64
	Links int
}

// Root is the number of the topmost directory.
func (d *Disk) Root() uint64 { return d.root.id }

// Stat describes a node. Errors: ENOENT.
func (d *Disk) Stat(id uint64) (Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(id)
	if err != nil {
		return Entry{}, err
	}
	return n.entry(""), nil
}

func (n *node) entry(name string) Entry {
	return Entry{Name: name, Node: n.id, Dir: n.isDir, Mode: n.mode, Size: n.size, Links: n.liveRefs}
}

// Chmod sets the permissions; they are durable at once, since nothing rests on them.
func (d *Disk) Chmod(id uint64, mode uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(id)
	if err == nil {
		n.mode = mode
	}
	return err
}

// Lookup finds a name in a directory. Errors: ENOENT, ENOTDIR.
func (d *Disk) Lookup(dir uint64, name string) (Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.directory(dir)
	if err != nil {
		return Entry{}, err
	}
	child := n.live[name]
	if child == nil {
		return Entry{}, syscall.ENOENT
	}
	return child.entry(name), nil
}

// List returns a directory's entries in the order of their names.
func (d *Disk) List(dir uint64) ([]Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.directory(dir)
	if err != nil {
		return nil, err
	}
	var list []Entry
	for name, child := range n.live {
		list = append(list, child.entry(name))
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Create makes an empty file or directory. Errors: EEXIST, ENOSPC, ENOTDIR.
func (d *Disk) Create(dir uint64, name string, isDir bool, mode uint32) (Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.directory(dir)
	switch {
	case err != nil:
		return Entry{}, err
	case n.live[name] != nil:
		return Entry{}, syscall.EEXIST
	case d.full:
		return Entry{}, syscall.ENOSPC
	}
	child := d.add(isDir, mode)
	d.change(n, change{{name, child}})
	return child.entry(name), nil
}

// Remove removes a name. A file's contents stay as long as it is open. Errors:
// ENOENT, ENOTEMPTY.
func (d *Disk) Remove(dir uint64, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.directory(dir)
	if err != nil {
		return err
	}
	child := n.live[name]
	switch {
	case child == nil:
		return syscall.ENOENT
	case len(child.live) > 0:
		return syscall.ENOTEMPTY
	}
	d.change(n, change{{name, nil}})
	return nil
}

// Rename gives a file another name in the same directory and replaces what has
// that name. Errors: ENOENT; EXDEV for another directory, which a program that
// wants its rename to be atomic at a power cut doesn't ask for.
func (d *Disk) Rename(dir uint64, from string, toDir uint64, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.directory(dir)
	if err != nil {
		return err
	}
	child := n.live[from]
	switch {
	case child == nil:
		return syscall.ENOENT
	case dir != toDir:
		return syscall.EXDEV
	case from == to:
		return nil
	}
	d.change(n, change{{from, nil}, {to, child}})
	return nil
}

// change alters a directory as programs see it.
func (d *Disk) change(dir *node, c change) {
	for _, set := range c {
		if set.node != nil {
			set.node.pendingRefs++
			set.node.liveRefs++
		}
		if old := dir.live[set.name]; old != nil {
			old.liveRefs--
			defer d.drop(old)
		}
		if set.node == nil {
			delete(dir.live, set.name)
		} else {
			dir.live[set.name] = set.node
		}
	}
	dir.pending = append(dir.pending, c)
}

// commit makes the first count changes of a directory durable.
func (d *Disk) commit(dir *node, count int) {
	for _, c := range dir.pending[:count] {
		for _, set := range c {
			if old := dir.durable[set.name]; old != nil {
				old.durableRefs--
				defer d.drop(old)
			}
			if set.node == nil {
				delete(dir.durable, set.name)
				continue
			}
			set.node.pendingRefs--
			set.node.durableRefs++
			dir.durable[set.name] = set.node
		}
	}
	dir.pending = slices.Delete(dir.pending, 0, count)
}

// Hold keeps a node's contents while it is open, whatever happens to its names.
func (d *Disk) Hold(id uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(id)
	if err == nil {
		n.handles++
	}
	return err
}

// Release ends what Hold began.
func (d *Disk) Release(id uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.nodes[id]; n != nil {
		n.handles--
		d.drop(n)
	}
}

// Space tells the bytes in total and free.
func (d *Disk) Space() (total, free int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return d.capacity, 0
	}
	return d.capacity, max(0, d.capacity-d.used())
}
