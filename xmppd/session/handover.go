package session

import (
	"bytes"
	"context"
	"slices"
)

// State is what a session is besides the stanzas that are kept for it: with both, another server can go
// on with it. Members may be added; a server that does not know one ignores it.
type State struct {
	JID     string `json:"jid"`
	Bound   int64  `json:"bound"`
	ID      string `json:"id"`      // by which the client finds it
	Seconds int    `json:"seconds"` // that it waits for its client
	Acked   uint64 `json:"acked"`   // stanzas that the client has acknowledged
	Handled uint32 `json:"handled"` // stanzas of the client

	Priority int      `json:"priority"`
	Presence []byte   `json:"presence,omitempty"`
	Pushes   bool     `json:"pushes,omitempty"`
	Versions bool     `json:"versions,omitempty"`
	Roster   uint64   `json:"roster,omitempty"` // version that it was told
	Groups   uint64   `json:"groups,omitempty"` // the same, of shared groups
	Hidden   bool     `json:"hidden,omitempty"`
	Probes   bool     `json:"probes,omitempty"`
	Owes     bool     `json:"owes,omitempty"` // a broadcast of its presence
	Directed []string `json:"directed,omitempty"`
	Shown    [][]byte `json:"shown,omitempty"` // what each of Directed got
	Muted    []string `json:"muted,omitempty"`
	Notes    []string `json:"notes,omitempty"` // modules that have noted it
	Seen     []string `json:"seen,omitempty"`  // full JIDs that its client may take for available
	Given    []string `json:"given,omitempty"` // the same, of presence that was directed to it
	Waits    bool     `json:"waits,omitempty"` // for what modules may have kept for it
}

// State describes a session that somebody has claimed. It gets no roster pushes from then on, until
// StopMoving.
func (s *Session) State() *State {
	st := &State{JID: s.Full, Bound: s.Bound, Priority: s.Priority()}
	s.moving.Store(true)
	s.Roster.Lock()
	st.Roster, st.Groups, s.Roster.Moves = s.Roster.Version, s.Roster.Groups, true
	s.Roster.Unlock()
	st.Handled, _ = s.Handled()
	s.Out.mu.Lock()
	if a := s.Out.acks(); a != nil {
		st.ID, st.Seconds, st.Acked = a.id, a.seconds, a.acked
	}
	s.Out.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Presence, st.Pushes, st.Versions, st.Hidden, st.Probes = s.presence, s.roster, s.versions, s.hidden, s.probes
	st.Directed, st.Muted = members(s.directed), members(s.muted)
	for _, j := range st.Directed {
		st.Shown = append(st.Shown, s.directed[j])
	}
	return st
}

func members[T any](set map[string]T) (out []string) {
	for m := range set {
		out = append(out, m)
	}
	slices.Sort(out)
	return out
}

// Restore makes a new session, whose outbox is ready and has no transport, the one of a State: it waits
// for its client, or to be listed. end is called as that of Outbox.Detach.
func (s *Session) Restore(st *State, p *AckPolicy, end func()) {
	s.In, s.Bound = st.Handled, st.Bound+1 // later than where it comes from: it wins
	s.priority.Store(int32(st.Priority))   //nolint:gosec // -128..127 or Unavailable
	s.Roster.Version, s.Roster.Groups = st.Roster, st.Groups
	s.presence, s.roster, s.versions, s.hidden, s.probes = st.Presence, st.Pushes, st.Versions, st.Hidden, st.Probes
	if len(st.Directed) > 0 {
		s.directed = make(map[string][]byte, len(st.Directed))
	}
	for i, j := range st.Directed {
		s.directed[j] = nil
		if i < len(st.Shown) {
			s.directed[j] = st.Shown[i]
		}
	}
	for _, j := range st.Muted {
		add(&s.muted, j, len(st.Muted))
	}
	o := &s.Out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.options().acks = &acks{
		policy: p, id: st.ID, seconds: st.Seconds, acked: st.Acked, place: detached, cut: true, orphan: end, watched: true,
	}
	p.Watch.add(o)
}

// Keep appends stanzas to what is kept, whatever the limits: another server has kept them until now.
func (o *Outbox) Keep(raw ...[]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range raw {
		o.opt.acks.keep(o.pool, r, nil, nil, nil)
	}
	o.recount()
}

// Seize is Claim by a server that is going to hand the session over: nothing more is known of what the client has.
func (o *Outbox) Seize(ctx context.Context) error { return o.claim(ctx, nil) }

// Part makes the stream of a session give it up, with last words for its client, which is expected
// to resume it. It reports false if the session can't wait for that.
func (o *Outbox) Part(last []byte) bool {
	o.mu.Lock()
	a := o.acks()
	if o.closed || a == nil || a.seconds == 0 || a.place != attached || o.t == nil {
		o.mu.Unlock()
		return false
	}
	a.parting, a.cut = last, true
	t := o.t
	o.mu.Unlock()
	t.Abort()
	return true
}

// Snapshot gives the stanzas that are kept to each, in order, and returns how many those are. Nothing is
// held back from then on. The session must be claimed.
func (o *Outbox) Snapshot(each func(raw []byte)) (n uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drain()
	o.opt.filter = nil
	return o.opt.acks.rest(0, each)
}

// rest gives the stanzas that are kept, but for the first n, to each. It returns how many are kept.
func (a *acks) rest(n uint32, each func(raw []byte)) uint32 {
	if a.kept == nil {
		return 0
	}
	for b := a.kept.b[a.head:]; len(b) > 0; {
		raw := b[lenSize:size(b)]
		b = b[size(b):]
		if n > 0 {
			n--
			continue
		}
		each(raw)
	}
	return a.count
}

// HandOver sends what is kept behind the first n stanzas, then commits, then sends what comes. Until Settle or
// TakeBack has told how that went, all of it is kept, too. The session must be claimed. Both functions are called
// with a lock held: they must not wait. An error of commit leaves all as it was.
func (o *Outbox) HandOver(n uint32, send func(raw []byte) error, commit func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrGone
	}
	a := o.opt.acks
	var failed error
	a.rest(n, func(raw []byte) {
		if failed == nil {
			failed = send(raw)
		}
	})
	if failed != nil {
		return failed
	}
	if err := commit(); err != nil {
		return err
	}
	a.forward = send
	return nil
}

// pass is put of a session that another server has, or is about to get.
func (o *Outbox) pass(a *acks, p0, p1, p2, p3 []byte) bool {
	raw := slices.Concat(p0, p1, p2, p3)
	err := a.forward(raw)
	if a.settled {
		return err == nil
	}
	if a.keep(o.pool, raw, nil, nil, nil); err != nil {
		a.unsent = append(a.unsent, raw)
	}
	return true
}

// Settle ends a session here that another server has got: what comes for it still is sent there. It returns
// what could not be sent there since HandOver.
func (o *Outbox) Settle() (unsent [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.opt.acks
	unsent, a.unsent = a.unsent, nil
	a.settled, a.orphan, a.waits = true, nil, nil
	o.forget(a)
	return unsent
}

// TakeBack makes the session wait here again: the other server has not got it.
func (o *Outbox) TakeBack() {
	o.mu.Lock()
	a := o.opt.acks
	a.forward, a.unsent, a.place = nil, nil, detached
	if o.closed || o.reason != nil {
		o.end(o.reason)
		return
	}
	o.mu.Unlock()
}

// GiveUp ends a session here of which nobody knows whether the other server has got it. It returns what is
// kept.
func (o *Outbox) GiveUp() (kept []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.opt.acks
	o.closed, a.forward, a.orphan, a.waits = true, nil, nil, nil
	kept = bytes.Clone(a.appendKept(nil))
	o.forget(a)
	return kept
}

// forget drops what is kept. mu must be held.
func (o *Outbox) forget(a *acks) {
	if a.kept != nil {
		o.pool.put(a.kept)
	}
	a.kept, a.head, a.count = nil, 0, 0
	o.count(0)
}
