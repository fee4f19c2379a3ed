package state

// Sessions counts the sessions of a bare JID. It looks at all of the partition.
func (p *Partition) Sessions(bareJID string) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	n := 0
	for _, s := range p.sessions.byID {
		if s.owner == bareJID {
			n++
		}
	}
	return n
}
