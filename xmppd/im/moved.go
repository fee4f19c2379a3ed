package im

import (
	"context"
	"maps"
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
// its end. Left is to follow.
func (s *Service) Moves(src *session.Session) {
	src.Order.Lock()
	defer src.Order.Unlock()
	if !src.End() {
		return
	}
	s.late.drop(src)
	s.levels.take(src)
	s.levels.leave(src)
	if src.SetHidden(false, false) {
		s.counts.Hidden.Add(-1)
	}
}

// Left takes note that a session that another server has got is off the table. It is called in turn with Told, behind all
// that the other server had said before it was known to have the session.
func (s *Service) Left(ctx context.Context, src *session.Session, batch *session.Batch) {
	defer s.levels.left(src)
	directed := src.AllDirected()
	if s.faults.AsItLeft || src.Presence() == nil && len(directed) == 0 {
		return
	}
	s.tell(Op{Kind: OpLeft, A: src.Full})
	b, to := &mail{Batch: batch}, s.listed(directed)
	switch own := s.table.Get(src.Full); {
	case own != nil: // it came back
		s.endDirected(ctx, src.Full, to, b)
	case s.sights.has(src.Full): // where it is now it may not direct all of that
		maps.DeleteFunc(to, func(t string, _ struct{}) bool { return s.sights.directs(src.Full, t) })
		s.doubtDirected(ctx, src.Full, to, b)
	default: // the other server was cut off before it could say so, or since
		s.lose(ctx, map[string]*sight{src.Full: {directed: to}}, b)
	}
	s.dispatch(ctx, b)
}

// listed are the sessions here that addresses mean, with those of accounts.
func (s *Service) listed(addresses []string) map[string]struct{} {
	out := make(map[string]struct{})
	for _, to := range addresses {
		if strings.Contains(to, "/") {
			if s.table.Get(to) != nil {
				out[to] = struct{}{}
			}
			continue
		}
		for _, dst := range s.table.User(to).Sessions() {
			out[dst.Full] = struct{}{}
		}
	}
	return out
}

// Moved takes note of a session that this server has got from another one: the others know where its presence
// comes from, and whose end would take it back. shown is what Shown has said there; Level is to follow.
func (s *Service) Moved(src *session.Session, owes bool, shown Picture) {
	s.levels.put(src, shown, s.sights.came(src.Full))
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
func (s *Service) toldMoved(ctx context.Context, server string, op *Op, b *mail) {
	if own := s.table.Get(op.A); own != nil {
		own.MovedOn()
	}
	listed := s.listed(op.List)
	if op.B == "" && len(listed) == 0 {
		return
	}
	left := s.sights.at(server, op.A, listed, !s.faults.KeepOld)
	if op.B != "" {
		s.sights.show(server, op.A)
	}
	s.doubtDirected(ctx, op.A, left, b)
}

// doubtDirected has the servers show once more what a session directs to sessions here, and takes back what nobody does: two servers
// have told of it that the session was at, and which of them has done so first is not known.
func (s *Service) doubtDirected(ctx context.Context, full string, to map[string]struct{}, b *mail) {
	maps.DeleteFunc(to, func(t string, _ struct{}) bool { // it can be seen there anyway
		dst := s.table.Get(t)
		return dst == nil || s.shows(ctx, dst, bareOf(full))
	})
	if len(to) == 0 || s.faults.NoQuestion {
		return
	}
	s.sights.question(full, to)
	s.askFor(full, func(b *mail) { s.endDirected(ctx, full, s.sights.unconfirmed(full, to), b) }, b)
}

// askFor has all servers show a session, and does something behind the last one's answer.
func (s *Service) askFor(full string, then func(*mail), b *mail) {
	id, servers := s.seeks.begin(s.others, &seek{then: then})
	for _, other := range servers {
		s.others.Tell(other, &Op{Kind: OpShow, B: id, List: []string{full}})
	}
	if len(servers) == 0 {
		then(b)
	}
}

// toldLeft takes note of a session that a server has no more, since it has moved. Where what the next server says of it has not come, or came
// before the last that this one has said, all are asked, and it is gone if none has it.
func (s *Service) toldLeft(ctx context.Context, server, full string, b *mail) {
	crossed := s.sights.crossed(full)
	if !s.sights.doubt(server, full) {
		if crossed && !s.faults.AsHeard {
			s.tell(Op{Kind: OpShow, List: []string{full}})
		}
		return
	}
	if own := s.table.Get(full); own != nil {
		s.showHere(ctx, own, b)
	}
	s.askFor(full, func(b *mail) {
		if x := s.sights.pickDoubted(server, full); x != nil {
			s.lose(ctx, map[string]*sight{full: x}, b)
		}
	}, b)
}

// showHere shows the presence of a session to those here that may see it.
func (s *Service) showHere(ctx context.Context, own *session.Session, b *mail) {
	to := append([]string{own.Bare}, s.contacts(ctx, own.User()).From...)
	s.current(own, func(p []byte) {
		for _, c := range to {
			if s.ofDomain(c) {
				s.presenceHere(ctx, c, p, b)
			}
		}
	})
}

// toldShow shows a server sessions that are here.
func (s *Service) toldShow(ctx context.Context, server string, op *Op) {
	for _, full := range op.List {
		// Of one that has moved on, and is still to be ended here, the next server knows better.
		if own := s.table.Get(full); own != nil && !own.HasMoved() {
			s.recast(ctx, own, server)
			s.showAgain(own, server)
		}
	}
	if op.B != "" {
		s.others.Tell(server, &Op{Kind: OpSought, A: op.B})
	}
}
