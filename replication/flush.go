package replication

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/replication/state"
)

// flush moves applied changes into the state file and then lets the WAL forget
// what is durable there; it watches the room on the disk.
func (n *Node) flush() {
	timer := time.NewTicker(n.cfg.FlushEvery)
	defer timer.Stop()
	defer close(n.flusherGone)
	var released map[uint32]uint64
	for {
		select {
		case <-n.quit:
			return
		case <-timer.C:
		case <-n.flushNow:
		}
		n.watchRoom()
		if n.cfg.beforeFlush != nil {
			n.cfg.beforeFlush()
		}
		err := n.store.Flush()
		n.flushes.ended()
		switch {
		case errors.Is(err, state.ErrFull):
			n.setFull(fullState, true)
			continue
		case err != nil:
			n.fail(fmt.Errorf("flush state: %w", err))
			return
		}
		n.setFull(fullState, false)
		if n.sweep() {
			timer.Reset(sweepEvery)
		} else {
			timer.Reset(n.cfg.FlushEvery)
		}
		if durable := n.durable(); !maps.Equal(durable, released) {
			released = durable
			n.releaseWAL(durable)
		}
	}
}

// flushes tells those who wait that a flush has ended.
type flushes struct {
	mu   sync.Mutex
	wait chan struct{} // closed at the end of the next; nil: nobody waits
}

func (f *flushes) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wait == nil {
		f.wait = make(chan struct{})
	}
	return f.wait
}

func (f *flushes) ended() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wait != nil {
		close(f.wait)
		f.wait = nil
	}
}

// durable is what the WAL need not keep: up to which index each group is in the
// state, or is known to be deleted.
func (n *Node) durable() map[uint32]uint64 {
	removed, err := n.store.Removed()
	if err != nil {
		n.logger.Error("cannot list the replicas that were deleted", "err", err)
	}
	parts := *n.parts.Load()
	durable := make(map[uint32]uint64, len(parts)+len(removed))
	for id, tomb := range removed {
		durable[id] = tomb.Index
	}
	for id, p := range parts {
		durable[id] = p.Durable()
	}
	return durable
}

func (n *Node) releaseWAL(durable map[uint32]uint64) {
	// Not fatal: what stays is only room, and a broken log tells at the next append.
	if err := n.log.Release(durable); err != nil {
		n.logger.Error("write-ahead log could not give room back", "err", err)
	}
}

// The reasons for which a node counts as full.
const (
	fullWAL = 1 << iota
	fullState
	fullReserve
)

// diskState is the set of those that hold.
type diskState struct {
	mu      sync.Mutex
	reasons int
}

func (d *diskState) has(reason int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reasons&reason != 0
}

// setFull notes a reason and tells core and owner when full turns on or off.
func (n *Node) setFull(reason int, on bool) {
	n.full.mu.Lock()
	defer n.full.mu.Unlock() // held: the tellings stay in order
	was := n.full.reasons != 0
	if on {
		n.full.reasons |= reason
	} else {
		n.full.reasons &^= reason
	}
	full := n.full.reasons != 0
	if was == full {
		return
	}
	n.inbox.call(func() { n.core.SetFull(full) })
	if n.cfg.OnFull != nil {
		n.cfg.OnFull(full)
	}
}

// SetLow tells that the owner refuses clients' writes for want of room (true), or
// does so no more. While it does, replicas that have room lead, if there are such.
func (n *Node) SetLow(low bool) { n.inbox.call(func() { n.core.SetLow(low) }) }

// watchRoom keeps the reserve free for what must be written even when no new
// work is taken: appends of other leaders, votes, the state. It turns off only
// with twice the reserve, or it would flutter.
func (n *Node) watchRoom() {
	free, err := freeBytes(n.cfg.Dir.Path())
	if err != nil {
		n.logger.Warn("cannot tell how full the disk is", "err", err)
		return
	}
	switch {
	case free < n.cfg.DiskReserve:
		n.setFull(fullReserve, true)
	case free >= 2*n.cfg.DiskReserve && n.full.has(fullReserve):
		n.setFull(fullReserve, false)
	}
}

// diskUsed sums the files of the data directory.
func diskUsed(dir string) uint64 {
	var sum uint64
	for _, d := range []string{dir, filepath.Join(dir, walDir)} {
		entries, err := os.ReadDir(d)
		if err != nil {
			continue // the status shows what can be seen
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				sum += uint64(info.Size())
			}
		}
	}
	return sum
}
