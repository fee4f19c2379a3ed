package im

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Others are the other servers of a cluster. What is told to them they are told in this order, each on
// its own way.
type Others interface {
	// Tell tells a server, or with an empty name all that are connected. It doesn't wait.
	Tell(server string, op *Op)
	// Servers lists those that are connected.
	Servers() []string
}

// SetOthers makes the service serve an account's sessions on other servers, too. It is called before the
// first stanza. Each server has a service of its own; what one tells comes to Told of the others. met is called when
// another server has connected: until then it may have changed something that was not told here (Refresh). It
// must not wait.
func (s *Service) SetOthers(o Others, met func()) { s.others, s.met = o, met }

// OpKind says what an Op is.
type OpKind uint8

// Kinds of operations. They never change: servers of several versions understand one another.
const (
	OpCast       OpKind = 1  // Raw, presence without "to": for the available sessions of each account in List
	OpDirect     OpKind = 2  // Raw, addressed: for the session A; B: as all get it that may see it
	OpProbe      OpKind = 3  // the session A wants the presence of the accounts in List; behind it question B, if any, is answered
	OpSeek       OpKind = 4  // B has probed A; List: the number of the question, whether B may know
	OpAvailable  OpKind = 5  // Raw: for the available sessions of A
	OpInterested OpKind = 6  // Raw: for those of A that have asked for the roster
	OpPush       OpKind = 7  // Raw, a roster item, is new in version B: for the same; List: the version before, the contact
	OpForget     OpKind = 8  // the roster of A has changed in the store
	OpStart      OpKind = 9  // the sessions of A show their presence to B
	OpEnd        OpKind = 10 // and do not any more; List: some of them, which may be gone
	OpBlock      OpKind = 11 // A has blocked List
	OpUnblock    OpKind = 12 // and has taken it back
	OpGroup      OpKind = 13 // account A belongs to the shared group B now
	OpMemos      OpKind = 14 // something else of A has changed in the store
	OpSought     OpKind = 15 // the answer to question A; B: whether B was told something
	OpMoved      OpKind = 16 // the session A is at the sender now; it shows its presence to the sessions in List
	OpEndAll     OpKind = 17 // the sessions of A end, with the stream error B and the text Raw
	OpBlockPush  OpKind = 18 // Raw: for those of A that have asked for the block list
	OpMet        OpKind = 19 // the sender tells all it changes from now on
	OpShow       OpKind = 20 // who has sessions of List shows their presence to the sender; behind it question B, if any, is answered
	OpLeft       OpKind = 21 // another server has got the session A of the sender, which says nothing of it from now on
)

// Op is what concerns sessions that other servers may have.
type Op struct {
	Kind OpKind
	A, B string
	List []string
	Raw  []byte
}

func (s *Service) tell(op Op) {
	if s.others != nil {
		s.others.Tell("", &op)
	}
}

// StoreChanged tells the other servers that something of an account has changed in the store that
// modules may remember.
func (s *Service) StoreChanged(owner stanza.JID) { s.tell(Op{Kind: OpMemos, A: owner.String()}) }

// OnBlockPush sets what tells the sessions of an account here of a change of its block list; TellBlockPush has the
// other servers do so. OnBlockPush is called before the first stanza.
func (s *Service) OnBlockPush(f func(ctx context.Context, account string, payload []byte, b *session.Batch)) {
	s.blockPush = f
}

// TellBlockPush is described at OnBlockPush.
func (s *Service) TellBlockPush(account string, payload []byte) {
	if !s.faults.BlockHere {
		s.tell(Op{Kind: OpBlockPush, A: account, Raw: payload})
	}
}

// EndAll ends the sessions of an account, on all servers, with a stream error.
func (s *Service) EndAll(ctx context.Context, account, condition, text string) {
	s.endAllHere(ctx, account, condition, text)
	if !s.faults.EndHere {
		s.tell(Op{Kind: OpEndAll, A: account, B: condition, Raw: []byte(text)})
	}
}

func (s *Service) endAllHere(ctx context.Context, account, condition, text string) {
	for _, sess := range s.table.User(account).Sessions() {
		s.end(ctx, sess, router.StreamError{Condition: condition, Text: text})
	}
}

// Told does what another server has told. Calls for all servers, and those of Greet and Lost, come one
// after the other.
func (s *Service) Told(ctx context.Context, server string, op *Op, batch *session.Batch) {
	b := &mail{Batch: batch}
	defer s.dispatch(ctx, b)
	switch op.Kind {
	case OpCast:
		s.toldCast(ctx, server, op, b)
	case OpDirect:
		s.toldDirect(ctx, server, op, b)
	case OpProbe:
		s.toldProbe(ctx, server, op)
	case OpAvailable:
		s.availableHere(op.A, op.Raw, b)
	case OpInterested:
		s.interestedHere(op.A, op.Raw, b)
	case OpPush:
		s.toldPush(ctx, op, b)
	case OpForget:
		s.forgetHere(op.A)
	case OpMemos:
		s.table.User(op.A).ForgetMemos()
	case OpGroup:
		s.toldGroup(ctx, op, b)
	case OpMoved:
		s.toldMoved(ctx, server, op, b)
	case OpShow:
		s.toldShow(ctx, server, op)
	case OpLeft:
		s.toldLeft(ctx, server, op.A, b)
	case OpEndAll:
		s.endAllHere(ctx, op.A, op.B, string(op.Raw))
	case OpBlockPush:
		if s.blockPush != nil {
			s.blockPush(ctx, op.A, op.Raw, b.Batch)
		}
	case OpMet:
		s.met()
	case OpSought:
		s.sought(ctx, server, op.A, op.B != "", b)
	case OpSeek, OpStart, OpEnd, OpBlock, OpUnblock:
		s.toldAccount(ctx, server, op, b)
	}
}

// toldAccount does what is about the sessions of one account.
func (s *Service) toldAccount(ctx context.Context, server string, op *Op, b *mail) {
	owner, err := stanza.ParseJID(op.A)
	if err != nil {
		return
	}
	peer, _ := stanza.ParseJID(op.B)
	if op.Kind == OpSeek {
		s.toldSeek(ctx, server, op, owner, peer, b)
		return
	}
	var others []stanza.JID
	for _, o := range op.List {
		if j, err := stanza.ParseJID(o); err == nil {
			others = append(others, j)
		}
	}
	switch op.Kind {
	case OpStart:
		s.startHere(ctx, owner, peer, b)
	case OpEnd:
		s.endHere(ctx, owner, peer, op.List, b)
	case OpBlock:
		s.table.User(op.A).ForgetMemos()
		err = s.blockedHere(ctx, owner, others, b)
	case OpUnblock:
		s.table.User(op.A).ForgetMemos()
		err = s.unblockedHere(ctx, owner, others, b)
	}
	if err != nil {
		s.log.Error("change of a block list not followed", "account", owner, "error", err)
	}
}

// toldGroup takes note of a shared group. Presence comes from whoever has changed it.
func (s *Service) toldGroup(ctx context.Context, op *Op, b *mail) {
	from, to := s.settle(ctx, op.A, op.B)
	if from == to {
		return
	}
	s.forgetHere(s.bare(op.A))
	s.pushGroups(ctx, s.local(op.A), b.Batch)
	for _, m := range to.members {
		s.forgetHere(s.bare(m.Name))
		s.pushGroups(ctx, s.local(m.Name), b.Batch)
	}
}

// toldCast delivers presence of a session of another server.
func (s *Service) toldCast(ctx context.Context, server string, op *Op, b *mail) {
	st, err := stanza.One(op.Raw)
	if err != nil {
		return
	}
	from := st.AttrString(st.From)
	gone := st.IsType("unavailable")
	if gone && !s.faults.LateEnd {
		own := s.table.Get(from)
		switch {
		case own != nil && own.Presence() != nil:
			// The resource was bound again, here. What was seen last may be the old one's all the same.
			if x := s.sights.pick(server, from); x != nil {
				s.lose(ctx, map[string]*sight{from: x}, b)
			}
			if op.A == directedMark && !s.faults.KeepTaken {
				s.endDirected(ctx, from, s.listed(op.List), b)
			}
			return
		case s.sights.elsewhere(server, from): // or at another server, and its new presence was seen first
			s.sights.pick(server, from)
			if op.A == directedMark {
				s.doubtDirected(ctx, from, s.listed(op.List), b)
			}
			return
		}
	}
	if !gone {
		s.toldAvailable(ctx, server, from, op, b)
		return
	}
	for _, contact := range op.List {
		s.presenceHere(ctx, contact, op.Raw, b)
	}
	if op.A == directedMark && len(op.List) > 0 { // others may see it still
		s.sights.told(server, from, op.List)
		for _, dst := range s.table.User(op.List[0]).Sessions() {
			s.sights.undirect(server, from, dst.Full)
		}
		return
	}
	if x := s.sights.pick(server, from); x != nil {
		s.partedHear(ctx, from, x, op.List, b)
		if x.moved {
			s.others.Tell("", &Op{Kind: OpShow, List: []string{from}})
		}
	}
	// Bound here and shown while this was told: what is seen last must be that it is there.
	if own := s.table.Get(from); own != nil {
		s.current(own, func(p []byte) {
			for _, contact := range op.List {
				s.presenceHere(ctx, contact, p, b)
			}
		})
	}
}

// toldAvailable is toldCast of presence that takes nothing back.
func (s *Service) toldAvailable(ctx context.Context, server, from string, op *Op, b *mail) {
	var left map[string]struct{} // what the session has directed by what another server has said
	if s.table.Get(from) != nil {
		left = s.sights.see(server, from) // before it is shown: SessionEnded of the one that is here looks behind that
	}
	here := false
	for _, contact := range op.List {
		here = s.presenceHere(ctx, contact, op.Raw, b) || here
	}
	if here && left == nil {
		left = s.sights.see(server, from)
	}
	s.sights.told(server, from, op.List)
	if here && op.A != directedMark {
		s.sights.show(server, from)
	}
	if here && op.A == directedMark && len(op.List) > 0 {
		for _, dst := range s.table.User(op.List[0]).Sessions() {
			s.sights.direct(server, from, dst.Full)
			delete(left, dst.Full)
		}
	}
	s.doubtDirected(ctx, from, left, b)
}

func (s *Service) toldDirect(ctx context.Context, server string, op *Op, b *mail) {
	dst := s.table.Get(op.A)
	st, err := stanza.One(op.Raw)
	if dst == nil || err != nil {
		return
	}
	from := st.AttrString(st.From)
	if st.IsType("unavailable") {
		if s.sights.undirect(server, from, op.A); s.directs(from, op.A) {
			// Its resource was bound again, and that was shown first; or it was at another server, which had shown it, and that came last.
			s.doubtDirected(ctx, from, map[string]struct{}{op.A: {}}, b)
			return
		}
	}
	b.Send(dst, op.Raw, nil, nil, nil)
	if bare := bareOf(from); !s.ofDomain(bare) && st.IsType("error") {
		dst.Mute(bare, s.limits.RosterItems)
	} else if !s.ofDomain(bare) {
		dst.Unmute(bare)
	}
	if !st.Type.Present() {
		left := s.sights.see(server, from)
		s.sights.direct(server, from, op.A)
		delete(left, op.A)
		if op.B != "" {
			s.sights.told(server, from, []string{bareOf(op.A)})
			s.sights.show(server, from)
		}
		s.doubtDirected(ctx, from, left, b)
	}
}

// toldProbe answers a session of another server that wants presence. One that has moved there (B) is shown also what is
// directed to it here.
func (s *Service) toldProbe(ctx context.Context, server string, op *Op) {
	if op.B != "" {
		s.directing(ctx, op.A, func(_ *session.Session, p []byte) {
			s.others.Tell(server, &Op{Kind: OpDirect, A: op.A, Raw: addressed(p, op.A)})
		})
	}
	for _, account := range op.List {
		for _, own := range s.table.User(account).Sessions() {
			if own.Full != op.A && s.mayProbe(ctx, own, bareOf(op.A)) {
				s.current(own, func(p []byte) {
					s.others.Tell(server, &Op{Kind: OpDirect, A: op.A, B: "shown", Raw: addressed(p, op.A)})
				})
			}
		}
	}
	if op.B != "" {
		s.others.Tell(server, &Op{Kind: OpSought, A: op.B})
	}
}

// mayProbe reports whether an account sees a session, as far as is known: it may have asked before it heard that it does not any more.
func (s *Service) mayProbe(ctx context.Context, own *session.Session, bare string) bool {
	c := s.contacts(ctx, own.User())
	return s.faults.AnyProbe || own.Bare == bare || c == &s.unknown || slices.Contains(c.From, bare)
}

// recast sends the presence of a session to a server, or to all.
func (s *Service) recast(ctx context.Context, own *session.Session, server string) {
	to := append([]string{own.Bare}, s.contacts(ctx, own.User()).From...)
	s.current(own, func(p []byte) { s.others.Tell(server, &Op{Kind: OpCast, Raw: p, List: to}) })
}

// Greet tells a server that is connected now who is here.
func (s *Service) Greet(ctx context.Context, server string, _ *session.Batch) {
	s.others.Tell(server, &Op{Kind: OpMet})
	for _, own := range s.everyone() {
		s.recast(ctx, own, server)
		if !s.faults.KeepDirect {
			s.showAgain(own, server)
		}
	}
}

// everyone lists the sessions that are here, in the order of their names: whatever is told of all is told in one order, so that
// a play of several servers can be repeated.
func (s *Service) everyone() (out []*session.Session) {
	s.table.Each(func(own *session.Session) bool {
		out = append(out, own)
		return true
	})
	slices.SortFunc(out, byName)
	return out
}

func byName(a, b *session.Session) int { return strings.Compare(a.Full, b.Full) }

// Lost takes back the presence of a server's sessions from those here that have seen it: it is cut off.
func (s *Service) Lost(ctx context.Context, server string, batch *session.Batch) {
	b := &mail{Batch: batch}
	defer s.dispatch(ctx, b)
	s.soughtOf(ctx, server, b)
	gone := s.sights.take(server)
	s.lose(ctx, gone, b)
	var moved []string
	for full, sight := range gone {
		if sight.moved {
			moved = append(moved, full)
		}
	}
	moved = s.sights.allCrossed(moved)
	slices.Sort(moved)
	if len(moved) > 0 { // what the server said of them may have come behind what the next one did
		s.tell(Op{Kind: OpShow, List: moved})
	}
}

// lose tells the sessions here that those of other servers are gone that they have seen.
func (s *Service) lose(ctx context.Context, gone map[string]*sight, b *mail) {
	byAccount := make(map[string][]string)
	for full, sight := range gone {
		s.endDirected(ctx, full, sight.directed, b)
		s.partedHear(ctx, full, sight, nil, b)
		if own := s.table.Get(full); own != nil && own.Presence() != nil {
			s.showHere(ctx, own, b) // the other server has said something of it, too
			continue
		}
		byAccount[bareOf(full)] = append(byAccount[bareOf(full)], full)
	}
	if len(byAccount) == 0 {
		return
	}
	unread := false
	s.table.Each(func(own *session.Session) bool {
		if !own.Available() {
			return true
		}
		see := func(account string) {
			for _, full := range byAccount[account] {
				b.Send(own, plainPresence(full, own.Bare, "unavailable"), nil, nil, nil)
			}
		}
		see(own.Bare)
		contacts := s.contacts(ctx, own.User())
		if contacts == &s.unknown {
			unread = s.levels.owe(own, slices.Collect(maps.Keys(gone))) || unread
		}
		for _, c := range contacts.To {
			see(c)
		}
		return true
	})
	if unread {
		s.met()
	}
}

// endDirected takes back presence that a session of another server had directed to sessions here.
func (s *Service) endDirected(ctx context.Context, full string, to map[string]struct{}, b *mail) {
	for t := range to {
		if dst := s.table.Get(t); dst != nil && !s.directs(full, t) && !s.shows(ctx, dst, bareOf(full)) {
			b.Send(dst, plainPresence(full, t, "unavailable"), nil, nil, nil)
		}
	}
}

// directs reports whether a session, here or at a server that has said so, directs presence to one that is here.
func (s *Service) directs(full, to string) bool {
	own := s.table.Get(full)
	return own != nil && (own.Directed(to) || own.Directed(bareOf(to))) || s.sights.directs(full, to)
}

// shows reports whether an available session gets the presence of an account by its roster.
func (s *Service) shows(ctx context.Context, dst *session.Session, account string) bool {
	if !dst.Available() {
		return false
	}
	for _, c := range s.contacts(ctx, dst.User()).To {
		if c == account {
			return true
		}
	}
	return dst.Bare == account
}
