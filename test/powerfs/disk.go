package powerfs

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Disk is a file system with a volatile cache. Its methods are safe for
// concurrent use and fail with a syscall.Errno.
type Disk struct {
	mu       sync.Mutex
	dir      string // host directory of the durable contents
	capacity int64
	last     uint64 // number of the newest node
	root     *node
	nodes    map[uint64]*node // all that are reachable now, after a cut, or by a handle
	full     bool
	lying    bool
	off      bool
	syncTime time.Duration
	stats    Stats
}

// Stats counts what has happened since New.
type Stats struct {
	Syncs     int   // fsync and fdatasync, of files and directories
	Cuts      int   // power cuts
	Lost      int64 // bytes of unsynced sectors that a cut dropped
	Survived  int64 // bytes of unsynced sectors that a cut kept
	Forgotten int   // changes of directories that a cut dropped
}

// New makes an empty disk of capacity bytes whose durable contents lie in a
// host directory, which must be empty.
func New(dir string, capacity int64) *Disk {
	d := &Disk{dir: dir, capacity: capacity, nodes: make(map[uint64]*node)}
	d.root = d.add(true, 0o700)
	d.root.durableRefs = 1
	return d
}

// SetFull makes the disk refuse whatever needs more room (ENOSPC), or not.
func (d *Disk) SetFull(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

// SetLying makes a sync answer before anything is durable: a seeded fault that
// whoever judges the programs on this disk has to notice.
func (d *Disk) SetLying(lying bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lying = lying
}

// PowerOff is the moment of a power cut: no sync makes anything durable any
// more, not even one that has begun; writes and syncs fail with EIO. What is
// left to do is to end the programs, unmount, and Cut.
func (d *Disk) PowerOff() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
}

// SetSyncTime makes each sync take so long. What is written meanwhile by others
// may become durable with it.
func (d *Disk) SetSyncTime(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncTime = t
}

// Stats returns the counts.
func (d *Disk) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Close gives up the contents.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		if n.host != nil {
			_ = n.host.Close() // nothing was promised about host files
			_ = os.Remove(n.host.Name())
		}
	}
	clear(d.nodes)
	return nil
}

func (d *Disk) add(dir bool, mode uint32) *node {
	d.last++
	n := &node{id: d.last, mode: mode, isDir: dir, trimmed: untouched}
	if dir {
		n.live, n.durable = make(map[string]*node), make(map[string]*node)
	} else {
		n.dirty = make(map[int64]*page)
	}
	d.nodes[n.id] = n
	return n
}

func (d *Disk) find(id uint64) (*node, error) {
	if n := d.nodes[id]; n != nil {
		return n, nil
	}
	return nil, syscall.ENOENT
}

func (d *Disk) file(id uint64) (*node, error) {
	n, err := d.find(id)
	if err == nil && n.isDir {
		return nil, syscall.EISDIR
	}
	return n, err
}

func (d *Disk) directory(id uint64) (*node, error) {
	n, err := d.find(id)
	if err == nil && !n.isDir {
		return nil, syscall.ENOTDIR
	}
	return n, err
}

// used is the room that all files take, by their sizes.
func (d *Disk) used() (bytes int64) {
	for _, n := range d.nodes {
		bytes += max(n.size, n.durableSize)
	}
	return bytes
}

// drop forgets a node that nothing names any more.
func (d *Disk) drop(n *node) {
	if n == d.root || n.liveRefs > 0 || n.durableRefs > 0 || n.handles > 0 || n.pendingRefs > 0 {
		return
	}
	delete(d.nodes, n.id)
	if n.host != nil {
		_ = n.host.Close()           // no promise is kept in it any more
		_ = os.Remove(n.host.Name()) // the test's directory is removed later
	}
	for _, child := range n.durable {
		child.durableRefs--
		d.drop(child)
	}
}

// backing is the host file of the durable contents.
func (d *Disk) backing(n *node) (*os.File, error) {
	if n.host == nil {
		f, err := os.OpenFile(filepath.Join(d.dir, fmt.Sprint(n.id)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		n.host = f
	}
	return n.host, nil
}
