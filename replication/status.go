package replication

import "github.com/rosterdb/rosterdb/replication/core"

// Status describes the node.
func (n *Node) Status() Status {
	s := Status{Member: n.cfg.Dir.Member(), SharedReads: n.shared.Load(), WAL: n.log.Stats(), Scrub: n.ScrubState().Stats, DiskUsed: diskUsed(n.cfg.Dir.Path())}
	s.Full = n.full.has(fullWAL | fullState | fullReserve)
	if doc := n.known.Load(); doc != nil {
		s.Epoch = doc.Epoch
	}
	s.StateUsed, s.StateWritten = uint64(n.store.Used()), uint64(n.store.Written())
	s.SnapshotBytes = n.snapshotBytes.Load()
	if err := n.fatal.get(); err != nil {
		s.Fatal = err.Error()
	}
	if free, err := freeBytes(n.cfg.Dir.Path()); err == nil {
		s.DiskFree = free
	}
	var t core.Totals
	n.ask(func() { t = n.core.Totals() })
	s.Held, s.Led, s.Leaderless, s.Awake, s.Lag, s.Pending = t.Held, t.Led, t.Leaderless, t.Awake, t.Lag, t.Pending
	s.Sending, s.Receiving = t.Sending, t.Receiving
	return s
}

// Groups describes the groups held, by number; nil when the node has stopped.
func (n *Node) Groups() []GroupStatus {
	var out []GroupStatus
	n.ask(func() { out = n.core.Groups() })
	return out
}

// ask runs f in the loop and waits for it; f does not run if the loop has ended.
func (n *Node) ask(f func()) {
	done := make(chan struct{})
	if !n.inbox.call(func() { f(); close(done) }) {
		return
	}
	select {
	case <-done:
	case <-n.stopped:
	}
}
