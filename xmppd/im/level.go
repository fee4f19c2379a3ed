package im

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// levels are the sessions whose clients may see what is not there any more.
type levels struct {
	mu sync.Mutex
	m  map[*session.Session]*level
	// leaving are those that another server has got, from before they are off the table until it has been told here that they are gone.
	leaving map[*session.Session]struct{}
}

// level is what the client of a session may take for available, by full JIDs.
type level struct {
	Picture
	owed bool // the roster could not be read
	// left are the sessions here to which it had directed presence by what its last server has said here, which may not be all.
	left map[string]struct{}
}

// Picture is what the client of a session may take for available, by full JIDs.
type Picture struct {
	Seen  []string // by its roster, and others if that can't be read
	Given []string // that have directed presence to it
}

func (v *levels) of(own *session.Session) *level {
	if v.m == nil {
		v.m = make(map[*session.Session]*level)
	}
	if v.m[own] == nil {
		v.m[own] = new(level)
	}
	return v.m[own]
}

func (v *levels) put(own *session.Session, p Picture, left map[string]struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x := v.of(own)
	x.Picture, x.left = p, left
}

// takeLeft returns level.left, once.
func (v *levels) takeLeft(own *session.Session) (left map[string]struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x := v.m[own]; x != nil {
		left, x.left = x.left, nil
	}
	return left
}

func (v *levels) get(own *session.Session) (p Picture) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x := v.m[own]; x != nil {
		return Picture{slices.Clone(x.Seen), slices.Clone(x.Given)}
	}
	return p
}

func (v *levels) take(own *session.Session) (p Picture) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x := v.m[own]; x != nil {
		p = x.Picture
	}
	delete(v.m, own)
	return p
}

// owe takes note that a session has to be levelled, also as to those that it may have seen, when its roster can be read. It
// reports whether that is news.
func (v *levels) owe(own *session.Session, seen []string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	x := v.of(own)
	before := x.owed
	x.Seen, x.owed = append(x.Seen, seen...), true
	return !before
}

// leave takes note that a session is about to be off the table.
func (v *levels) leave(src *session.Session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.leaving == nil {
		v.leaving = make(map[*session.Session]struct{})
	}
	v.leaving[src] = struct{}{}
}

// left takes note that all here know that it is gone.
func (v *levels) left(src *session.Session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.leaving, src)
}

// between lists the sessions that are between leave and left, in order.
func (v *levels) between() []*session.Session {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.SortedFunc(maps.Keys(v.leaving), byName)
}

// due returns the sessions that are owed.
func (v *levels) due() (out []*session.Session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for own, x := range v.m {
		if x.owed {
			x.owed = false
			out = append(out, own)
		}
	}
	slices.SortFunc(out, byName)
	return out
}

// Shown lists whom the client of a session here may take for available: another server that gets the session takes back
// those that it can't confirm.
func (s *Service) Shown(ctx context.Context, own *session.Session) Picture {
	p := s.levels.get(own)
	leaving := s.levels.between()
	if s.faults.Between {
		leaving = nil
	}
	if !s.faults.NoDirect {
		p.Given = s.sights.directing(p.Given, own.Full)
		s.directing(ctx, own.Full, func(src *session.Session, _ []byte) { p.Given = append(p.Given, src.Full) })
		for _, x := range leaving {
			if x.Directed(own.Full) || x.Directed(own.Bare) {
				p.Given = append(p.Given, x.Full)
			}
		}
		slices.Sort(p.Given)
		p.Given = slices.Compact(p.Given)
	}
	if !own.Available() {
		return p
	}
	see := func(account string) {
		for _, x := range s.table.User(account).Sessions() {
			if x != own && x.Presence() != nil {
				p.Seen = append(p.Seen, x.Full)
			}
		}
		for _, x := range leaving {
			if x != own && x.Bare == account && x.Presence() != nil {
				p.Seen = append(p.Seen, x.Full)
			}
		}
		p.Seen = s.sights.of(p.Seen, account)
	}
	see(own.Bare)
	contacts := s.contacts(ctx, own.User())
	for _, c := range contacts.To {
		see(c)
	}
	if contacts == &s.unknown { // the other server can choose, if it can read the roster
		p.Seen = s.sights.all(p.Seen)
		for _, x := range leaving {
			p.Seen = append(p.Seen, x.Full)
		}
		s.table.Each(func(x *session.Session) bool {
			p.Seen = append(p.Seen, x.Full)
			return true
		})
	}
	slices.Sort(p.Seen)
	p.Seen = slices.Compact(p.Seen)
	return p
}

// directing calls f for the sessions here that have directed presence to a session and don't show theirs to its account anyway. It looks at all.
func (s *Service) directing(ctx context.Context, full string, f func(src *session.Session, p []byte)) {
	bare := bareOf(full)
	var found []*session.Session
	s.table.Each(func(src *session.Session) bool {
		if src.Directed(full) || src.Directed(bare) {
			found = append(found, src)
		}
		return true
	})
	slices.SortFunc(found, byName)
	for _, src := range found {
		to := full
		if !src.Directed(full) {
			to = bare
		}
		if src.Presence() != nil && slices.Contains(s.contacts(ctx, src.User()).From, bare) {
			continue
		}
		src.EachDirected(func(t string, p []byte) {
			if t == to && len(p) > 0 {
				f(src, p)
			}
		})
	}
}

// Level makes the picture of presence of a session that this server has got from another one that of this server, which
// may have been cut off from others than that one, and shows the session's own to those whose server had lost it. Its client
// is shown all its contacts, as at a login, and told that those are gone that it was shown and that nobody confirms. If its
// roster can't be read, Refresh does so later.
func (s *Service) Level(ctx context.Context, own *session.Session, batch *session.Batch) {
	batch.Block() // for the roster, and whoever has Order
	own.Order.Lock()
	defer own.Order.Unlock()
	if own.Ended() || s.faults.NoLevel {
		s.levels.take(own)
		return
	}
	b := &mail{Batch: batch}
	if left := s.levels.takeLeft(own); !s.faults.KeepTaken {
		s.endDirected(ctx, own.Full, left, b)
	}
	contacts := s.contacts(ctx, own.User())
	if contacts == &s.unknown {
		switch {
		case s.faults.GiveUp:
			s.levels.take(own) // nobody can be asked: that does not make them gone
		case s.levels.owe(own, nil):
			s.met()
		}
		return
	}
	s.showMoved(ctx, own, b)
	var asked []string // whose sessions the client may see
	if hidden, probes := own.Hidden(); own.Available() && (!hidden || probes) {
		asked = append(asked, own.Bare)
		for _, c := range contacts.To {
			if s.ofDomain(c) {
				asked = append(asked, c)
			}
		}
	}
	id, servers := s.seeks.begin(s.others, &seek{then: func(b *mail) { s.leveled(ctx, own, asked, b) }})
	s.directing(ctx, own.Full, func(_ *session.Session, p []byte) { b.Send(own, addressed(p, own.Full), nil, nil, nil) })
	if len(asked) > 0 {
		s.askAround(ctx, own, b)
		b.away = nil // what other domains show comes to any server
	}
	for _, server := range servers {
		s.others.Tell(server, &Op{Kind: OpProbe, A: own.Full, B: id})
	}
	if len(servers) == 0 {
		s.leveled(ctx, own, asked, b)
	}
}

// levelOwed does so for the sessions whose rosters could not be read.
func (s *Service) levelOwed(ctx context.Context) {
	for _, own := range s.levels.due() {
		b := newMail()
		s.Level(ctx, own, b.Batch)
		s.post(ctx, b)
	}
}

// showMoved shows the presence of a session that has moved once more to those of the domain that may see it.
func (s *Service) showMoved(ctx context.Context, own *session.Session, b *mail) {
	b.gated = s.router.Gated(own.User())
	own.EachDirected(func(to string, p []byte) {
		if j, err := stanza.ParseJID(to); err == nil && len(p) > 0 {
			s.sendDirected(ctx, j, p, b)
		}
	})
	s.recast(ctx, own, "")
	s.showHere(ctx, own, b)
}

// leveled takes back what the client of a session was shown elsewhere and nobody has confirmed: all servers have
// told what they have. asked are the accounts that the client may see.
func (s *Service) leveled(ctx context.Context, own *session.Session, asked []string, b *mail) {
	shown := s.levels.take(own)
	if s.faults.KeepShown {
		return
	}
	may := make(map[string]bool, len(asked))
	for _, account := range asked {
		may[account] = true
	}
	there := func(full string) *session.Session {
		if x := s.table.Get(full); x != nil && x.Presence() != nil {
			return x
		}
		return nil
	}
	gone := func(full string) bool {
		return full != own.Full && s.ofDomain(bareOf(full)) && there(full) == nil && !s.sights.has(full)
	}
	for _, full := range shown.Seen {
		if !may[bareOf(full)] || !gone(full) {
			continue
		}
		b.Send(own, plainPresence(full, own.Full, "unavailable"), nil, nil, nil)
		if x := there(full); x != nil { // bound here meanwhile, and shown before
			s.current(x, func(p []byte) { b.Send(own, addressed(p, own.Full), nil, nil, nil) })
		}
	}
	for _, full := range shown.Given {
		if !s.directs(full, own.Full) && (gone(full) || !may[bareOf(full)]) && full != own.Full && s.ofDomain(bareOf(full)) {
			b.Send(own, plainPresence(full, own.Full, "unavailable"), nil, nil, nil)
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

// Dated reports whether a stanza that was handed on to a session that has moved is out of date: presence of somebody of the
// domain, which Level asks for, and which may have come here by another way in another order.
func (s *Service) Dated(raw []byte) bool {
	if s.faults.AllHanded || !bytes.HasPrefix(raw, []byte("<presence")) {
		return false
	}
	st, err := stanza.One(raw)
	return err == nil && (!st.Type.Present() || st.IsType("unavailable")) && s.ofDomain(bareOf(st.AttrString(st.From)))
}
