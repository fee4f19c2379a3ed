package im

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Hide makes the session of a full JID invisible (XEP-0186 section 3.1): those who have seen it are
// told that it is gone, and its broadcasts reach nobody, while it gets all that an available
// session gets. With probe, a session that had no presence yet is told that of its contacts. It
// does nothing for a session that is gone.
func (s *Service) Hide(ctx context.Context, full stanza.JID, probe bool) {
	src := s.table.Get(full.String())
	if src == nil {
		return
	}
	src.Order.Lock()
	defer src.Order.Unlock()
	if src.Ended() || src.SetHidden(true) {
		return
	}
	s.counts.Hidden.Add(1)
	b := newMail()
	defer s.post(ctx, b)
	s.late.drop(src)
	first := !src.Available()
	if first {
		src.SetPresence(nil, 0)
	} else {
		seen := src.SetPresence(nil, src.Priority()) != nil
		s.takeBack(ctx, src, plainPresence(src.Full, "", "unavailable"), seen, b)
	}
	if probe {
		s.askAround(ctx, src, b)
	}
	if first {
		s.requests(ctx, src, b)
		s.router.Available(ctx, src, b.Batch)
	}
}

// Show makes an invisible session visible again (section 3.2). It is then as before its first
// presence, except that it is remembered to whom it has sent presence directly.
func (s *Service) Show(_ context.Context, full stanza.JID) {
	src := s.table.Get(full.String())
	if src == nil {
		return
	}
	src.Order.Lock()
	defer src.Order.Unlock()
	if src.SetHidden(false) {
		s.counts.Hidden.Add(-1)
		src.SetPresence(nil, session.Unavailable)
	}
}
