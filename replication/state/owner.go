package state

// OpenWait tells in how many ms of log time an open by a bare JID would find a place
// among its sessions, if they are not used meanwhile; 0: at once, maybe in place of one
// that is unused. now is the clock in milliseconds since 1970. It looks at all sessions
// of the partition, as far as applied here: a hint.
func (p *Partition) OpenWait(bareJID string, now int64) int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, wait := p.sessions.place(bareJID, max(p.pos.logTime, now), &p.store.opt)
	return wait
}
