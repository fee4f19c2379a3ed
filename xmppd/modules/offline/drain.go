package offline

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// drain is the delivery of an account's messages to one of its sessions, a page at a time. There is
// one at most for an account, unless the account has none to deliver.
type drain struct {
	owner stanza.JID
	again bool // somebody else has asked; guarded by Module.mu
	last  bool // all that was kept is queued for sess; guarded by Module.mu

	number uint64 // of this process

	mu      sync.Mutex // held over each change of the account's messages that follows a delivery
	sess    *session.Session
	next    uint64              // where the next page begins
	claimed bool                // the account's messages are this server's to deliver
	page    map[uint64]struct{} // queued for sess or to be dropped, and in the store still
	dead    map[*session.Session]struct{}
}

// The module's mark on an account: messages may be kept that a session is going to get. They come
// first.

// arrives marks the account of a session that is about to come on line.
func (m *Module) arrives(s *session.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mark.Note(s)
	m.mark.Take(s.User())
}

// due keeps a message for a session that has not got yet what is kept, so that it comes behind that.
// An account's other sessions don't wait for that: where there are some, only what comes back from a
// session that is gone is put behind.
func (m *Module) due(ctx context.Context, owner stanza.JID, p *module.Passage) bool {
	u := m.opt.Table.User(owner.String())
	if !m.behind(owner, u) || len(u.Sessions()) > 1 && !p.Again || pick(u, nil) == nil || !wanted(p) || m.faults.overtake {
		return false
	}
	done, err := m.take(ctx, owner, p)
	if err != nil && !errors.Is(err, errFull) {
		m.opt.Log.Error("message can't be kept; it overtakes those that are", "to", owner, "error", err)
	}
	return done
}

// behind reports whether sessions of an account may have to get what is kept. It drops the mark if
// not: if none has come on line.
func (m *Module) behind(owner stanza.JID, u *session.User) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stillBehind(owner, u)
}

// stillBehind is behind with mu held.
func (m *Module) stillBehind(owner stanza.JID, u *session.User) bool {
	if d := m.drains[owner.Local]; d != nil && !d.last || d == nil && slices.ContainsFunc(u.Sessions(), m.mark.Noted) {
		return true
	}
	m.mark.Drop(u)
	return false
}

// available delivers what is kept to a session that has come on line.
func (m *Module) available(ctx context.Context, s *session.Session, b *session.Batch) {
	m.drain(ctx, s.JID.Bare(), b)
}

// drain begins to deliver an account's messages if it has a session that takes them.
func (m *Module) drain(ctx context.Context, owner stanza.JID, b *session.Batch) {
	u := m.opt.Table.User(owner.String())
	m.mu.Lock()
	m.mark.Take(u)
	if pick(u, nil) == nil {
		// Most of what goes to sessions of negative priority is not to be kept anyway, so nobody
		// would ask whether it is due. One that is about to take more marks the account anew.
		m.stillBehind(owner, u)
		m.mu.Unlock()
		return
	}
	d := m.drains[owner.Local]
	if d != nil && !m.faults.twoDrains {
		d.again, d.last = true, false
		m.mu.Unlock()
		return
	}
	m.numbers++
	d = &drain{owner: owner, number: m.numbers, dead: make(map[*session.Session]struct{})}
	m.drains[owner.Local] = d
	m.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	m.goOn(ctx, d, b)
}

// pick returns the session with the highest priority that takes messages; nil if there is none.
func pick(u *session.User, but map[*session.Session]struct{}) (best *session.Session) {
	for _, s := range u.Sessions() {
		if _, is := but[s]; !is && s.Priority() >= 0 && (best == nil || s.Priority() > best.Priority()) {
			best = s
		}
	}
	return best
}

// goOn queues the next page, or ends the drain. d.mu must be held.
func (m *Module) goOn(ctx context.Context, d *drain, b *session.Batch) {
	for {
		if d.sess == nil {
			d.next = 0
			if d.sess = pick(m.opt.Table.User(d.owner.String()), d.dead); d.sess == nil {
				if m.goesOn(ctx, d, false) {
					continue
				}
				return
			}
		}
		page, more, by, err := m.next(ctx, d)
		if err != nil {
			m.halted(d, by, err)
			return
		}
		if len(page) == 0 {
			if !m.goesOn(ctx, d, true) {
				return
			}
			d.sess = nil
			continue
		}
		if sess := d.sess; m.queue(ctx, d, page, b) {
			if _, dead := d.dead[sess]; !more && !dead {
				m.caughtUp(d)
			}
			ctx := context.WithoutCancel(ctx)
			sess.Out.After(func() { m.written(ctx, d, sess) })
			return
		}
	}
}

// goesOn reports whether somebody has asked for another look. If not, the drain is over: all is delivered, or
// nobody is left here to deliver to.
func (m *Module) goesOn(ctx context.Context, d *drain, all bool) bool {
	claimed := d.claimed
	m.letGo(ctx, d)
	if m.again(d, all) {
		return true
	}
	if claimed && !all {
		m.tellKept(d.owner)
	}
	return false
}

// again reports whether somebody has asked for another look. If not, the drain is over; with unmark nothing
// waits for another one.
func (m *Module) again(d *drain, unmark bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.again {
		d.again = false
		return true
	}
	m.forget(d, unmark)
	if w := m.waits[d.owner.Local]; w != nil && w.mine == (claim{}) {
		delete(m.waits, d.owner.Local)
	}
	return false
}

// halted ends a drain that can't go on now.
func (m *Module) halted(d *drain, by claim, err error) {
	mine := claim{}
	if !errors.Is(err, errClaimed) {
		m.opt.Log.Error("kept messages can't be read; others overtake them", "account", d.owner, "error", err)
		by = claim{}
		if d.claimed {
			mine = m.claim(d)
		}
	}
	m.waitFor(d.owner, by, mine)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(d, true)
}

// caughtUp notes that all that was kept is queued: what comes now may follow at once.
func (m *Module) caughtUp(d *drain) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !d.again {
		d.last = true
		m.mark.Drop(m.opt.Table.User(d.owner.String()))
	}
}

// forget ends a drain. mu must be held.
func (m *Module) forget(d *drain, unmark bool) {
	if m.drains[d.owner.Local] != d {
		return // only a planted bug makes two
	}
	delete(m.drains, d.owner.Local)
	if unmark {
		m.mark.Drop(m.opt.Table.User(d.owner.String()))
	}
}

// queue queues a page for the drain's session and leaves out what is no longer to be delivered. It
// reports false if nothing is queued: because all was left out, or because the session takes no more.
func (m *Module) queue(ctx context.Context, d *drain, page []entry, b *session.Batch) bool {
	d.page = make(map[uint64]struct{}, len(page))
	oldest, queued := micro(m.opt.Now().Add(-m.age)), 0
	for _, e := range page {
		reason := ""
		switch {
		case e.at < oldest:
			reason = "age"
		case m.blocked(ctx, d.owner, e.raw):
			reason = "blocked"
		case !b.Send(d.sess, m.delayed(e), nil, nil, nil):
			d.dead[d.sess] = struct{}{}
			if queued == 0 {
				m.settle(ctx, d)
				d.sess = nil
				return false
			}
			return true // Returned comes
		default:
			queued++
		}
		if reason != "" {
			m.metrics.dropped.WithLabelValues(reason).Inc()
		}
		d.page[e.at] = struct{}{}
		d.next = e.at + 1
	}
	if queued == 0 || m.faults.removeFirst {
		m.settle(ctx, d)
	}
	m.metrics.delivered.Add(float64(queued))
	return queued > 0
}

// blocked reports whether the account has blocked the sender of a message.
func (m *Module) blocked(ctx context.Context, owner stanza.JID, raw []byte) bool {
	st, err := stanza.One(raw)
	if err != nil {
		return false
	}
	from, err := stanza.ParseJID(st.AttrString(st.From))
	return err == nil && m.opt.Blocked(ctx, owner, from)
}

// settle removes the messages of a page from the store. d.mu must be held.
func (m *Module) settle(ctx context.Context, d *drain) {
	gone := make([]uint64, 0, len(d.page))
	for at := range d.page {
		gone = append(gone, at)
	}
	d.page = nil
	over, err := m.remove(ctx, d.owner.Local, gone, m.claim(d))
	if over {
		d.claimed = false
	}
	if err != nil && m.opt.Claims != nil && !m.faults.holdNothing {
		m.opt.Log.Warn("delivered messages can't be removed yet", "account", d.owner, "error", err)
		m.hold(d.owner.Local, gone, nil)
		return
	}
	if err != nil {
		m.opt.Log.Error("delivered messages can't be removed; they will be delivered again", "account", d.owner, "error", err)
	}
}

// written goes on when a page is with the network.
func (m *Module) written(ctx context.Context, d *drain, s *session.Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sess != s || d.page == nil && !m.faults.removeFirst {
		return // the session has died meanwhile
	}
	var b session.Batch
	m.settle(ctx, d)
	m.goOn(ctx, d, &b)
	b.Flush()
}

// returned goes on with another session when one has died. What that one didn't get has come back
// (takeBack), or another session has got it, so the rest of the page was written.
func (m *Module) returned(ctx context.Context, s *session.Session, b *session.Batch) {
	m.dropAll(ctx, s)
	m.mu.Lock()
	d := m.drains[s.JID.Local]
	m.mu.Unlock()
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sess != s {
		return
	}
	d.dead[s] = struct{}{}
	m.settle(ctx, d)
	d.sess = nil
	m.goOn(ctx, d, b)
}

// spare takes a message that came back out of the page that is going to be removed, and holds that
// off until unlock. It reports whether it was there.
func (m *Module) spare(owner string, at uint64) (queued bool, unlock func()) {
	m.mu.Lock()
	d := m.drains[owner]
	m.mu.Unlock()
	if d == nil {
		return false, func() {}
	}
	d.mu.Lock()
	_, queued = d.page[at]
	delete(d.page, at)
	return queued, d.mu.Unlock
}
