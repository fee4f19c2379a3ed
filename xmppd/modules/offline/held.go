package offline

import (
	"context"

	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Messages can be in the store still though they have gone out: a session has brought them from another server, which could
// not remove them any more before it was cut off (Hold), or this server could not (settle). They are held: not
// delivered again from here, and removed when that can be done.

// Hold takes note of what a session has brought from another server, and has in its queue: messages of the store among
// it are not delivered once more. It must not be used by others before. It doesn't wait.
func (m *Module) Hold(s *session.Session, queued [][]byte) {
	var ats []uint64
	for _, raw := range queued {
		if at, _, ours := m.undelay(raw); ours {
			ats = append(ats, at)
		}
	}
	if len(ats) == 0 || m.opt.Claims == nil || m.faults.holdNothing {
		return
	}
	m.hold(s.JID.Local, ats, s)
	s.Out.After(func() { m.dropAll(context.Background(), s) })
}

// hold notes messages that a session has; nil: they are delivered.
func (m *Module) hold(owner string, ats []uint64, by *session.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[owner] == nil {
		m.held[owner] = make(map[uint64]*session.Session, len(ats))
	}
	for _, at := range ats {
		m.held[owner][at] = by
	}
}

// isHeld reports whether a message has gone out already.
func (m *Module) isHeld(owner string, at uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, is := m.held[owner][at]
	return is
}

// unhold forgets a message that comes back.
func (m *Module) unhold(owner string, at uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if delete(m.held[owner], at); len(m.held[owner]) == 0 {
		delete(m.held, owner)
	}
}

// drop removes from the store what a session had and has got by now; nil: what is delivered. What can't be removed
// now is delivered, and removed later.
func (m *Module) drop(ctx context.Context, owner string, by *session.Session) error {
	var ats []uint64
	m.mu.Lock()
	for at, has := range m.held[owner] {
		if has == by {
			ats = append(ats, at)
		}
	}
	m.mu.Unlock()
	if len(ats) == 0 {
		return nil
	}
	if _, err := m.remove(ctx, owner, ats, claim{}); err != nil {
		m.hold(owner, ats, nil)
		return err
	}
	for _, at := range ats {
		m.unhold(owner, at)
	}
	return nil
}

// dropAll is drop of a session that has got all, or is gone.
func (m *Module) dropAll(ctx context.Context, s *session.Session) {
	if err := m.drop(ctx, s.JID.Local, s); err != nil {
		m.opt.Log.Warn("messages that came with a session can't be removed yet", "account", s.Bare, "error", err)
		m.waitFor(s.JID.Bare(), claim{}, claim{})
	}
}
