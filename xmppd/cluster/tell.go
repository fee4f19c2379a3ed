package cluster

// Tell changes what the others are told of this server.
func (n *Node) Tell(change func(*State, *Load)) {
	n.tell(func(m *Member) { change(&m.State, &m.Load) })
}

// TellStore changes what the others are told of this server's data (Member.Store).
func (n *Node) TellStore(id string) {
	n.tell(func(m *Member) { m.Store = id })
}

// TellDisk changes what the others are told of this server's disk (Member.Full, Member.Gone).
func (n *Node) TellDisk(full, gone bool) {
	n.tell(func(m *Member) { m.Full, m.Gone = full, gone })
}

// tell spreads what a change makes of this server, if it is something else than before.
func (n *Node) tell(change func(*Member)) {
	n.mu.Lock()
	before := n.self
	change(&n.self)
	same := n.self == before
	n.mu.Unlock()
	if same || n.gossip == nil {
		return
	}
	n.changed()
	// Without a bound it would wait for ever once the gossip has ended.
	if err := n.gossip.UpdateNode(tellFor); err != nil {
		n.log.Debug("news are not told", "error", err)
	}
}
