package link

// End is why a pair of streams ends.
type End uint32

// Ends.
const (
	Broken  End = iota // nobody has said that it would: the peer is cut off
	Stopped            // the peer's process ends in good order
	Anew               // both ends have something else to say of themselves: there is another pair at once
)

// Expect says why the present pair with a peer is about to end. It is not told as a failure then.
func (m *Mesh) Expect(peer string, end End) {
	if p := m.peer(peer); p != nil {
		p.ends.Store(uint32(end))
	}
}

// Reconnect ends the pair with a peer, so that both ends say anew who they are.
func (m *Mesh) Reconnect(peer string) {
	p := m.peer(peer)
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil {
		p.ends.Store(uint32(Anew))
		_ = p.out.conn.Close()
	}
}

// ended tells of the end of a pair.
func (p *peer) ended(why error) {
	select {
	case <-p.m.closing:
		return
	default:
	}
	switch End(p.ends.Load()) {
	case Stopped:
		p.m.log.Info("server has stopped", "server", p.name)
	case Anew:
		p.m.log.Info("server connects anew", "server", p.name)
	case Broken:
		p.counts.resets.Add(1)
		p.m.log.Warn("server is cut off", "server", p.name, "reason", why)
	}
}
