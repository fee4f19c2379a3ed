package im

import (
	"context"

	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Hide makes a session invisible (XEP-0186 section 3.1): those who have seen it are told that it is
// gone, and its broadcasts reach nobody, while it gets all that an available session gets. With
// probe it is told the presence of its contacts.
func (s *Service) Hide(ctx context.Context, src *session.Session, probe bool, batch *session.Batch) {
	src.Order.Lock()
	defer src.Order.Unlock()
	if src.Ended() || src.SetHidden(true, probe) {
		return
	}
	s.counts.Hidden.Add(1)
	b := &mail{Batch: batch}
	defer s.dispatch(ctx, b)
	s.late.drop(src)
	first := !src.Available()
	if first {
		s.router.Arrives(src)
		src.SetPresence(nil, 0)
	} else {
		s.takeBack(ctx, src, plainPresence(src.Full, "", "unavailable"), src.Priority(), b)
	}
	if probe {
		s.askAround(ctx, src, b)
	}
	if first {
		s.requests(ctx, src, b)
		s.router.Available(ctx, src, batch)
	}
}

// Show makes an invisible session visible again (section 3.2). It is then as before its first
// presence, except that it is remembered to whom it has sent presence directly.
func (s *Service) Show(src *session.Session) {
	src.Order.Lock()
	defer src.Order.Unlock()
	if src.SetHidden(false, false) {
		s.counts.Hidden.Add(-1)
		src.SetPresence(nil, session.Unavailable)
	}
}
