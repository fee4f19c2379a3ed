package cluster

// Tell changes what the others are told of this server.
func (n *Node) Tell(change func(*State, *Load)) {
	n.mu.Lock()
	before := n.self
	change(&n.self.State, &n.self.Load)
	same := n.self == before
	n.mu.Unlock()
	n.spread(same)
}

// TellStore changes what the others are told of this server's data (Member.Store).
func (n *Node) TellStore(id string) {
	n.mu.Lock()
	same := n.self.Store == id
	n.self.Store = id
	n.mu.Unlock()
	n.spread(same)
}

// TellFull changes what the others are told of this server's disk (Member.Full).
func (n *Node) TellFull(full bool) {
	n.mu.Lock()
	same := n.self.Full == full
	n.self.Full = full
	n.mu.Unlock()
	n.spread(same)
}

// spread tells the others what has changed of this server.
func (n *Node) spread(same bool) {
	if same || n.gossip == nil {
		return
	}
	n.changed()
	// Without a bound it would wait for ever once the gossip has ended.
	if err := n.gossip.UpdateNode(tellFor); err != nil {
		n.log.Debug("news are not told", "error", err)
	}
}
