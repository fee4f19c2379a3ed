package im

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// levels are the sessions that came from other servers and may see what is not there any more, with the full
// JIDs that their clients may take for available.
type levels struct {
	mu sync.Mutex
	m  map[*session.Session][]string
}

func (v *levels) put(own *session.Session, shown []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.m == nil {
		v.m = make(map[*session.Session][]string)
	}
	v.m[own] = shown
}

func (v *levels) get(own *session.Session) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.m[own]
}

func (v *levels) take(own *session.Session) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	shown := v.m[own]
	delete(v.m, own)
	return shown
}

// Shown lists the full JIDs that the client of a session here may take for available by its roster: another server that
// gets the session takes back those that it can't confirm.
func (s *Service) Shown(ctx context.Context, own *session.Session) []string {
	if !own.Available() {
		return nil
	}
	out := slices.Clone(s.levels.get(own))
	see := func(account string) {
		for _, x := range s.table.User(account).Sessions() {
			if x != own && x.Presence() != nil {
				out = append(out, x.Full)
			}
		}
		out = s.sights.of(out, account)
	}
	see(own.Bare)
	for _, c := range s.contacts(ctx, own.User()).To {
		see(c)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Level makes the picture of presence of a session that this server has got from another one that of this server, which
// may have been cut off from others than that one, and shows the session's own to those whose server had lost it. Its client
// is shown all its contacts, as at a login, and told that those are gone that it was shown and that nobody confirms.
func (s *Service) Level(ctx context.Context, own *session.Session, batch *session.Batch) {
	batch.Block() // for the roster, and whoever has Order
	own.Order.Lock()
	defer own.Order.Unlock()
	if own.Ended() || !own.Available() || s.faults.NoLevel {
		s.levels.take(own)
		return
	}
	b := &mail{Batch: batch}
	s.showMoved(ctx, own, b)
	contacts := s.contacts(ctx, own.User())
	if contacts == &s.unknown {
		s.levels.take(own) // nobody can be asked: that does not make them gone
		return
	}
	asked := map[string]struct{}{own.Bare: {}}
	for _, c := range contacts.To {
		if s.ofDomain(c) {
			asked[c] = struct{}{}
		}
	}
	s.levels.put(own, slices.DeleteFunc(s.levels.take(own), func(full string) bool {
		_, is := asked[bareOf(full)]
		return !is // shown by hand, or by another domain: nobody is asked
	}))
	id, servers := s.seeks.begin(s.others, &seek{then: func(b *mail) { s.leveled(own, b) }})
	s.askAround(ctx, own, b)
	b.away = nil // what other domains show comes to any server
	for _, server := range servers {
		s.others.Tell(server, &Op{Kind: OpProbe, A: own.Full, B: id})
	}
	if len(servers) == 0 {
		s.leveled(own, b)
	}
}

// showMoved shows the presence of a session that has moved once more to those of the domain that may see it.
func (s *Service) showMoved(ctx context.Context, own *session.Session, b *mail) {
	b.gated = s.router.Gated(own.User())
	to := append([]string{own.Bare}, s.contacts(ctx, own.User()).From...)
	to = slices.DeleteFunc(to, func(c string) bool { return !s.ofDomain(c) })
	s.current(own, func(p []byte) {
		s.tell(Op{Kind: OpCast, Raw: p, List: to})
		for _, c := range to {
			s.presenceHere(ctx, c, p, b)
		}
	})
}

// leveled takes back what the client of a session was shown elsewhere and nobody has confirmed: all servers have
// told what they have.
func (s *Service) leveled(own *session.Session, b *mail) {
	shown := s.levels.take(own)
	if !own.Available() || s.faults.KeepShown { // one that has ended is not
		return
	}
	there := func(full string) *session.Session {
		if x := s.table.Get(full); x != nil && x.Presence() != nil {
			return x
		}
		return nil
	}
	for _, full := range shown {
		if full == own.Full || there(full) != nil || s.sights.has(full) {
			continue
		}
		b.Send(own, plainPresence(full, own.Full, "unavailable"), nil, nil, nil)
		if x := there(full); x != nil { // bound here meanwhile, and shown before
			s.current(x, func(p []byte) { b.Send(own, addressed(p, own.Full), nil, nil, nil) })
		}
	}
}

// ShownIn lists the sessions that stanzas which wait for a client show as available.
func ShownIn(kept [][]byte) (out []string) {
	for _, raw := range kept {
		if !bytes.HasPrefix(raw, []byte("<presence")) {
			continue
		}
		if st, err := stanza.One(raw); err == nil && !st.Type.Present() {
			out = append(out, st.AttrString(st.From))
		}
	}
	return out
}
