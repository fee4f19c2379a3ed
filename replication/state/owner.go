package state

import "sync"

// OpenWait tells in how many ms of log time an open by a bare JID would find a place
// among its sessions, if they are not used meanwhile; 0: at once, maybe in place of one
// that is unused. now is the clock in milliseconds since 1970. It goes by what is applied here: a hint.
// It is cheap, so that an account that opens without end costs no others their turn.
func (p *Partition) OpenWait(bareJID string, now int64) int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	opt := &p.store.opt
	if now = max(p.pos.logTime, now); p.sessions.sessionsOf(bareJID) < opt.MaxOwnerSessions {
		return 0
	}
	if wait := p.waits.last(bareJID) + opt.SessionGrace.Milliseconds() - now; wait > 0 {
		return wait
	}
	old, wait := p.sessions.place(bareJID, now, opt)
	if wait > 0 {
		p.waits.note(bareJID, old.used)
	}
	return wait
}

// ownerWaits remembers of owners that have all the sessions they may have when the one unused for longest
// was used. It is used later, or makes room for one that is, but never earlier: until then nobody need look at all of them.
type ownerWaits struct {
	mu   sync.Mutex
	used map[string]int64 // ms of log time
}

// maxOwnerWaits is how many owners are remembered; a partition has room for few that have so many sessions.
const maxOwnerWaits = 64

// last is 0 where nothing is known.
func (w *ownerWaits) last(owner string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used[owner]
}

func (w *ownerWaits) note(owner string, used int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.used == nil || len(w.used) >= maxOwnerWaits {
		w.used = make(map[string]int64)
	}
	w.used[owner] = used
}

func (w *ownerWaits) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used = nil
}
