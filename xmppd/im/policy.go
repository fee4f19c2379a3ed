package im

import (
	"context"
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

// tooLarge refuses presence that is larger than the policy allows.
func (s *Service) tooLarge(src *session.Session, st *stanza.Stanza, b *mail) bool {
	limit := s.policy.Bytes
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
// presence that is sent in the end is the session's last.
type late struct {
	service *Service
	start0  time.Time
	every   time.Duration // between two broadcasts; 0: no limit
	burst   int

	mu   sync.Mutex
	owed map[*session.Session]struct{}

	wake, stop chan struct{}
	wg         sync.WaitGroup
}

func (l *late) start(s *Service) {
	if s.policy.PerMinute == 0 {
		return
	}
	l.service, l.burst = s, s.policy.PerMinute
	l.every = time.Minute / time.Duration(l.burst)
	l.start0 = time.Now().Add(-time.Minute) // everybody begins with a minute's worth
	l.owed = make(map[*session.Session]struct{})
	l.wake, l.stop = make(chan struct{}, 1), make(chan struct{})
	l.wg.Go(l.run)
}

func (l *late) close() {
	if l.stop != nil {
		close(l.stop)
		l.wg.Wait()
	}
}

// mayCast reports whether a session may broadcast now. If not, it will be done for it.
func (l *late) mayCast(src *session.Session) bool {
	if l.every == 0 || l.service.Grouped(src.JID.Local) {
		return true
	}
	if src.Cast(time.Since(l.start0), l.every, l.burst) {
		l.drop(src) // this one says what is owed
		return true
	}
	l.service.counts.Late.Add(1)
	if l.service.faults.LoseLate {
		return false
	}
	l.mu.Lock()
	l.owed[src] = struct{}{}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return false
}

// drop forgets what a session owes.
func (l *late) drop(src *session.Session) {
	l.mu.Lock()
	delete(l.owed, src)
	l.mu.Unlock()
}

// run looks after the sessions that owe a broadcast, while there are any.
func (l *late) run() {
	pause := min(max(l.every, 10*time.Millisecond), time.Second)
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		}
		for l.round() {
			select {
			case <-l.stop:
				return
			case <-time.After(pause):
			}
		}
	}
}

// round broadcasts for those that may again. It reports whether others wait still.
func (l *late) round() bool {
	l.mu.Lock()
	list := make([]*session.Session, 0, len(l.owed))
	for src := range l.owed {
		list = append(list, src)
	}
	l.mu.Unlock()
	for _, src := range list {
		l.cast(src)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.owed) > 0
}

// cast sends the presence of a session that owes it, if it may by now.
func (l *late) cast(src *session.Session) {
	src.Order.Lock()
	defer src.Order.Unlock()
	p := src.Presence()
	switch {
	case p == nil || src.Ended():
		l.drop(src)
	case src.Cast(time.Since(l.start0), l.every, l.burst):
		l.drop(src)
		ctx, b := context.Background(), newMail()
		l.service.broadcast(ctx, src, p, b)
		l.service.post(ctx, b)
	}
}
