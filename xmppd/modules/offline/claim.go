package offline

import (
	"context"
	"errors"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Fate is what is known of a process of a server.
type Fate uint8

// Fates.
const (
	Here Fate = iota // it is connected
	Away             // it is not, and may be back
	Gone             // another process has its place
)

// Claims keep two servers that share a store from delivering an account's messages at once: who delivers
// some has a claim in the store, which stays until they are delivered.
type Claims struct {
	Server      string // this one
	Incarnation uint64 // of this process
	// Fate tells what is known of another server's process. It doesn't wait.
	Fate func(server string, incarnation uint64) Fate
}

// claims is the collection of an account's claim, under the empty key.
const claims = "offline-claim"

// Times of claims.
const (
	lookEvery = time.Second     // at accounts whose messages somebody else has claimed
	awayTime  = 5 * time.Second // that a server is away until its claims are void
)

// claim tells who delivers an account's messages. The zero value is nobody.
type claim struct {
	Server      string `json:"server"`
	Incarnation uint64 `json:"incarnation"`
	Drain       uint64 `json:"drain"` // of that process
}

// wait is an account whose messages are to be looked at again.
type wait struct {
	owner  stanza.JID
	holder claim     // who has claimed them
	away   time.Time // since when that server is known to be away; zero: it is not
	mine   claim     // of this server, to be given up
}

// errClaimed: another server delivers the messages.
var errClaimed = errors.New("another server delivers them")

// holder returns an account's claim. One that can't be read is void: whoever has it finds out.
func holder(r store.Reader) (c claim, err error) {
	c, err = store.GetJSON[claim](r, claims, nil)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt) {
		return claim{}, nil
	}
	return c, err
}

// claim is the one that a drain has, or would have.
func (m *Module) claim(d *drain) claim {
	if m.opt.Claims == nil || m.faults.claimNothing {
		return claim{}
	}
	return claim{m.opt.Claims.Server, m.opt.Claims.Incarnation, d.number}
}

// free reports whether a claim can be taken over: nobody has it, or somebody who is gone, or has been away
// for a while. An older one of this server is from a drain that has ended.
func (m *Module) free(owner string, c claim) bool {
	if c == (claim{}) || c.Server == m.opt.Claims.Server {
		return true
	}
	switch fate := m.opt.Claims.Fate(c.Server, c.Incarnation); {
	case fate == Gone || m.faults.claimAll:
		return true
	case fate == Here:
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.waits[owner]
	return w != nil && w.holder == c && !w.away.IsZero() && m.opt.Now().Sub(w.away) >= awayTime
}

// next reads the next page of a drain, and claims the account's messages for it: errClaimed, with the
// holder of the claim.
func (m *Module) next(ctx context.Context, d *drain) (page []entry, more bool, by claim, err error) {
	if err := m.drop(ctx, d.owner.Local, nil); err != nil {
		return nil, false, claim{}, err // one page at most is delivered and not removed
	}
	mine := m.claim(d)
	var found look
	err = m.opt.Store.View(ctx, d.owner.Local, func(r store.Reader) error {
		found = look{}
		return m.look(r, d.owner.Local, d.next, &found)
	})
	if err == nil && len(found.page) > 0 && mine != (claim{}) && found.holder != mine {
		if d.claimed || !m.free(d.owner.Local, found.holder) {
			return nil, false, found.holder, errClaimed
		}
		err = m.opt.Store.Update(ctx, d.owner.Local, func(tx store.Tx) error {
			found = look{}
			if err := m.look(tx, d.owner.Local, d.next, &found); err != nil || len(found.page) == 0 {
				return err
			}
			if !m.free(d.owner.Local, found.holder) {
				return errClaimed
			}
			return store.PutJSON(tx, claims, nil, mine)
		})
		d.claimed = len(found.page) > 0 && !errors.Is(err, errClaimed) // also where that is not known
	}
	if err == nil && len(found.damaged) > 0 {
		err = m.report(ctx, d.owner.Local, found.damaged)
	}
	return found.page, found.more, found.holder, err
}

// giveUp gives up a claim, if it is still there.
func (m *Module) giveUp(ctx context.Context, owner string, mine claim) error {
	return m.opt.Store.Update(ctx, owner, func(tx store.Tx) error {
		c, err := holder(tx)
		if err != nil || c != mine {
			return err
		}
		return tx.Delete(claims, nil)
	})
}

// letGo gives up the claim of a drain. If it can't be given up now it will be.
func (m *Module) letGo(ctx context.Context, d *drain) {
	if !d.claimed {
		return
	}
	d.claimed = false
	err := m.drop(ctx, d.owner.Local, nil) // first: whoever has the claim then delivers what is there
	if err == nil {
		err = m.giveUp(ctx, d.owner.Local, m.claim(d))
	}
	if err != nil {
		m.opt.Log.Warn("claim of kept messages not given up yet", "account", d.owner, "error", err)
		m.waitFor(d.owner, claim{}, m.claim(d))
	}
}

// waitFor notes that an account's messages are to be looked at again: another server has claimed them, or
// they can't be read.
func (m *Module) waitFor(owner stanza.JID, by, mine claim) {
	if m.opt.Claims == nil {
		return
	}
	away := by != (claim{}) && m.opt.Claims.Fate(by.Server, by.Incarnation) == Away
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.waits[owner.Local]
	if w == nil {
		w = &wait{owner: owner}
		m.waits[owner.Local] = w
	}
	if w.holder != by || !away {
		w.holder, w.away = by, time.Time{}
	}
	if away && w.away.IsZero() {
		w.away = m.opt.Now()
	}
	if mine != (claim{}) {
		w.mine = mine
	}
}

// runWaits looks at accounts that wait until ctx ends.
func (m *Module) runWaits(ctx context.Context) {
	if m.opt.Claims == nil {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.lookAgain(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// lookAgain looks at the accounts that wait.
func (m *Module) lookAgain(ctx context.Context) {
	m.mu.Lock()
	list := make([]wait, 0, len(m.waits))
	for _, w := range m.waits {
		list = append(list, *w)
	}
	m.mu.Unlock()
	var b session.Batch
	for _, w := range list {
		if m.drop(ctx, w.owner.Local, nil) != nil {
			continue
		}
		if w.mine != (claim{}) {
			if m.giveUp(ctx, w.owner.Local, w.mine) != nil {
				continue
			}
			m.tellKept(w.owner)
		}
		here := pick(m.opt.Table.User(w.owner.String()), nil) != nil
		m.mu.Lock()
		now := m.waits[w.owner.Local]
		switch {
		case now == nil:
		case !here && now.mine == w.mine:
			delete(m.waits, w.owner.Local)
		case now.mine == w.mine:
			now.mine = claim{}
		}
		m.mu.Unlock()
		if here {
			m.drain(ctx, w.owner, &b) // notes it again, or not
		}
	}
	b.Flush()
}

// tellKept has other servers look for messages of an account.
func (m *Module) tellKept(owner stanza.JID) {
	if m.opt.Kept != nil {
		m.opt.Kept(owner)
	}
}
