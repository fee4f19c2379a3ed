package im

import (
	"strings"

	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Owes reports whether presence of a session waits for its turn to be broadcast.
func (s *Service) Owes(src *session.Session) bool {
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	_, owes := s.late.owed[src]
	return owes
}

// Moves takes note that another server has got a session, before it is taken off the table: nobody is told of
// its end.
func (s *Service) Moves(src *session.Session) {
	src.Order.Lock()
	defer src.Order.Unlock()
	if !src.End() {
		return
	}
	s.late.drop(src)
	if src.SetHidden(false, false) {
		s.counts.Hidden.Add(-1)
	}
}

// Moved takes note of a session that this server has got from another one: the others know where its presence
// comes from, and whose end would take it back. shown is what Shown has said there; Level is to follow.
func (s *Service) Moved(src *session.Session, owes bool, shown []string) {
	s.sights.came(src.Full)
	s.levels.put(src, shown)
	if hidden, _ := src.Hidden(); hidden {
		s.counts.Hidden.Add(1)
	}
	if owes {
		s.late.owe(src)
	}
	seen := ""
	if src.Presence() != nil {
		seen = "seen"
	}
	if directed := src.AllDirected(); seen != "" || len(directed) > 0 {
		s.tell(Op{Kind: OpMoved, A: src.Full, B: seen, List: directed})
	}
}

// toldMoved takes note of a session that has moved to a server.
func (s *Service) toldMoved(server string, op *Op) {
	if op.B != "" {
		s.sights.see(server, op.A)
	}
	for _, to := range op.List {
		if strings.Contains(to, "/") && s.table.Get(to) != nil {
			s.sights.see(server, op.A)
			s.sights.direct(server, op.A, to)
		}
	}
}
