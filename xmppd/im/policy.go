package im

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Policy is what presence an operator allows. Accounts with a shared group are trusted: PerMinute
// and Bytes don't bind them.
type Policy struct {
	// PerMinute is how many broadcasts a session has a minute; 0: as many as it likes. More are not
	// lost: the last one is sent when it may be.
	PerMinute  int
	Bytes      int  // of one presence stanza; 0: 16384
	NoDirected bool // refuse directed presence (RFC 6121 section 4.6)
}

const defaultPresenceBytes = 16 << 10

// SetPolicy changes the policy for what comes from now on.
func (s *Service) SetPolicy(p Policy) { s.policy.Store(&p) }

// tooLarge refuses presence that is larger than the policy allows.
func (s *Service) tooLarge(src *session.Session, st *stanza.Stanza, b *mail) bool {
	limit := s.policy.Load().Bytes
	if limit == 0 {
		limit = defaultPresenceBytes
	}
	if len(st.Raw) <= limit || s.Grouped(src.JID.Local) {
		return false
	}
	s.counts.TooLarge.Add(1)
	s.router.Bounce(src, st, b.Batch, "modify", "policy-violation", "this presence is too large")
	return true
}

// late sends the broadcasts that came too fast. It remembers only which sessions owe one: the
// presence that is sent in the end is the session's last. Its goroutine runs while there are any.
type late struct {
	service *Service
	since   time.Time // of the times that sessions know

	mu              sync.Mutex
	owed            map[*session.Session]struct{}
	running, closed bool
	stop            chan struct{}
	wg              sync.WaitGroup
}

func (l *late) init(s *Service) {
	l.service, l.owed, l.stop = s, make(map[*session.Session]struct{}), make(chan struct{})
	l.since = time.Now().Add(-time.Minute) // everybody begins with a minute's worth
}

func (l *late) close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.stop)
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// mayCast reports whether a session may broadcast now. If not, it will be done for it.
func (l *late) mayCast(src *session.Session) bool {
	if l.allows(src) {
		l.drop(src) // this broadcast says what is owed
		return true
	}
	l.service.counts.Late.Add(1)
	if !l.service.faults.LoseLate {
		l.owe(src)
	}
	return false
}

// allows reports whether the policy lets a session broadcast now, and counts it.
func (l *late) allows(src *session.Session) bool {
	limit := l.service.policy.Load().PerMinute
	return limit == 0 || l.service.Grouped(src.JID.Local) ||
		src.Cast(time.Since(l.since), time.Minute/time.Duration(limit), limit)
}

func (l *late) owe(src *session.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.owed[src] = struct{}{}
	if !l.running {
		l.running = true
		l.wg.Go(l.run)
	}
}

// drop forgets what a session owes.
func (l *late) drop(src *session.Session) {
	l.mu.Lock()
	delete(l.owed, src)
	l.mu.Unlock()
}

// lateRound is how often those that owe a broadcast are looked at.
const lateRound = 100 * time.Millisecond

func (l *late) run() {
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(lateRound):
		}
		l.mu.Lock()
		list := slices.Collect(maps.Keys(l.owed))
		l.running = len(list) > 0
		l.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for _, src := range list {
			l.cast(src)
		}
	}
}

// cast sends the presence of a session that owes it, if it may by now.
func (l *late) cast(src *session.Session) {
	src.Order.Lock()
	defer src.Order.Unlock()
	p := src.Presence()
	switch {
	case p == nil || src.Ended():
		l.drop(src)
	case l.allows(src):
		l.drop(src)
		ctx, b := context.Background(), newMail()
		l.service.broadcast(ctx, src, p, b)
		l.service.post(ctx, b)
	}
}
