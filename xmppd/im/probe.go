package im

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// probe answers a probe of somebody, here or elsewhere, for an account or a session (RFC 6121
// sections 4.3.2 and 4.6.6).
func (s *Service) probe(ctx context.Context, from, to stanza.JID, b *mail) {
	owner, peer := to.Bare(), from.Bare()
	if s.directedHere(ctx, from, to, b) {
		return
	}
	unlock := s.lock(owner, peer) // or an end of the subscription could be overtaken
	defer unlock()
	it, err := s.store.Item(ctx, owner.Local, peer.String())
	if err != nil {
		s.log.Error("probe not answered", "to", owner, "error", err)
		return
	}
	may := owner == peer || it.From() || s.isShared(owner, peer)
	seen := may && s.seekHere(ctx, from, to, b)
	elsewhere := s.others != nil && (may || to.Resource != "") // who has directed presence may not be known here
	if !elsewhere || !s.seek(from, to, may, seen) {
		s.unseen(ctx, from, to, may, seen, b)
	}
}

// directedHere answers whoever has directed presence of a session that is here: that it is there, and
// no more.
func (s *Service) directedHere(ctx context.Context, from, to stanza.JID, b *mail) bool {
	if to.Resource == "" {
		return false
	}
	src := s.table.Get(to.String())
	if src == nil || !src.Directed(from.String()) && !src.Directed(from.Bare().String()) {
		return false
	}
	s.sendDirected(ctx, from, plainPresence(src.Full, "", ""), b)
	return true
}

// seekHere sends somebody who may know the presence of an account's sessions, or of one, that are here.
func (s *Service) seekHere(ctx context.Context, from, to stanza.JID, b *mail) (seen bool) {
	for _, own := range s.table.User(to.Bare().String()).Sessions() {
		if to.Resource == "" || to == own.JID {
			seen = seen || own.Presence() != nil
			s.current(own, func(p []byte) { s.sendDirected(ctx, from, p, b) })
		}
	}
	return seen
}

// unseen tells somebody that there is nothing to see, or not for them.
func (s *Service) unseen(ctx context.Context, from, to stanza.JID, may, seen bool, b *mail) {
	switch {
	case seen:
	case may:
		s.sendDirected(ctx, from, plainPresence(to.String(), "", "unavailable"), b)
	default:
		s.sendDirected(ctx, from, plainPresence(to.Bare().String(), "", string(unsubscribed)), b)
	}
}

// seeks are the probes that other servers are asked about: only when all have nothing to tell, the
// answer is that there is nothing.
type seeks struct {
	mu   sync.Mutex
	next uint64
	open map[string]*seek
}

type seek struct {
	from, to  stanza.JID
	may, seen bool
	waits     []string    // servers
	then      func(*mail) // what the last answer leads to; nil: unseen
}

// begin opens a question to the servers that are connected, which it returns; if there are none, there is no question.
func (v *seeks) begin(o Others, x *seek) (id string, servers []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	servers = o.Servers() // under the lock: who is cut off from now on is looked for in open
	if len(servers) == 0 {
		return "", nil
	}
	v.next++
	id = strconv.FormatUint(v.next, 36)
	if v.open == nil {
		v.open = make(map[string]*seek)
	}
	x.waits = slices.Clone(servers)
	v.open[id] = x
	return id, servers
}

// seek asks the other servers; false if there are none.
func (s *Service) seek(from, to stanza.JID, may, seen bool) bool {
	id, servers := s.seeks.begin(s.others, &seek{from: from, to: to, may: may, seen: seen})
	if len(servers) == 0 {
		return false
	}
	known := ""
	if may {
		known = "may"
	}
	for _, server := range servers {
		s.others.Tell(server, &Op{Kind: OpSeek, A: to.String(), B: from.String(), List: []string{id, known}})
	}
	return true
}

// toldSeek answers another server's question.
func (s *Service) toldSeek(ctx context.Context, server string, op *Op, to, from stanza.JID, b *mail) {
	if len(op.List) < 2 {
		return
	}
	seen := s.directedHere(ctx, from, to, b) || op.List[1] != "" && s.seekHere(ctx, from, to, b)
	answer := &Op{Kind: OpSought, A: op.List[0]}
	if seen {
		answer.B = "seen"
	}
	s.others.Tell(server, answer)
}

// sought takes a server's answer.
func (s *Service) sought(ctx context.Context, server, id string, seen bool, b *mail) {
	v := &s.seeks
	v.mu.Lock()
	x := v.open[id]
	done := x != nil && x.answered(server, seen)
	if done {
		delete(v.open, id)
	}
	v.mu.Unlock()
	switch {
	case !done:
	case x.then != nil:
		x.then(b)
	default:
		s.unseen(ctx, x.from, x.to, x.may, x.seen, b)
	}
}

// answered reports whether that was the last answer.
func (x *seek) answered(server string, seen bool) bool {
	x.seen = x.seen || seen
	x.waits = slices.DeleteFunc(x.waits, func(s string) bool { return s == server })
	return len(x.waits) == 0
}

// soughtOf gives up the answers of a server that is cut off.
func (s *Service) soughtOf(ctx context.Context, server string, b *mail) {
	v := &s.seeks
	v.mu.Lock()
	ids := make([]string, 0, len(v.open))
	for id, x := range v.open {
		if slices.Contains(x.waits, server) {
			ids = append(ids, id)
		}
	}
	v.mu.Unlock()
	slices.Sort(ids)
	for _, id := range ids {
		s.sought(ctx, server, id, false, b)
	}
}
