package exchange

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/cluster/directory"
	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Kinds of frames with stanzas: kind, hops, the length of the address, the address, the stanza.
const (
	kindRoute = 1 // to be taken care of
	kindReply = 2 // for a session: a number, the stanza
	kindSent  = 3 // a client of the account has sent it: for copies
	kindGot   = 4 // a client of the account has got it: for copies
	kindKept  = 5 // no stanza: one was kept for the account; without an address: for any

	kindDomains = 6 // no stanza: the domains of components that the sender has; the address is the latest of them
	kindDomain  = 7 // to be taken care of, for a component
)

// maxHops bounds the way of a stanza: whoever has it then takes care of it.
const maxHops = 3

func appendHead[T string | []byte](b []byte, kind byte, hops int, to T) []byte {
	b = append(b, kind, byte(hops))
	return append(binary.AppendUvarint(b, uint64(len(to))), to...)
}

// stored is a stanza that waits, or has come.
type stored struct {
	to    string
	hops  int
	raw   []byte
	debt  session.Debt // of a stanza that a client here has sent
	since time.Time    // that of a Passage; zero: it did not come back from a server
}

var errFrame = errors.New("a frame of stanzas can't be read")

func cut(frame []byte) (kind byte, s stored, err error) {
	to, raw, err := split(frame)
	if err != nil {
		return 0, s, err
	}
	return frame[0], stored{to: string(to), hops: int(frame[1]), raw: raw}, nil
}

// split finds the address and the stanza of a frame.
func split(frame []byte) (to, raw []byte, err error) {
	if len(frame) < 3 {
		return nil, nil, errFrame
	}
	n, size := binary.Uvarint(frame[2:])
	if size <= 0 || n > uint64(len(frame)-2-size) {
		return nil, nil, errFrame
	}
	at := 2 + size
	end := at + int(n) //nolint:gosec // not more than there is
	return frame[at:end], frame[end:], nil
}

// sendTo sends a stanza to a server, in a frame for an address there.
func sendTo[T string | []byte](x *Exchange, server string, kind byte, to T, p *module.Passage) error {
	var room [128]byte
	head, from, rest, tail := p.Pieces()
	owed, err := x.cfg.Mesh.Put(server, Stanzas, appendHead(room[:0], kind, p.Hops+1, to), head, from, rest, tail)
	if err == nil {
		p.Batch.Owe(owed)
	}
	return err //nolint:wrapcheck // the callers tell the errors of Mesh apart
}

// passage makes a stanza that has come one on its way.
func (s *stored) passage(b *session.Batch) (*module.Passage, error) {
	st, err := stanza.One(s.raw)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says from where
	}
	p := &module.Passage{Stanza: st, Batch: b, Stamped: true, Since: s.since, Hops: s.hops, Here: s.hops >= maxHops}
	if p.From, err = stanza.ParseJID(st.AttrString(st.From)); err == nil {
		p.To, err = stanza.ParseJID(s.to)
	}
	return p, err //nolint:wrapcheck // as above
}

// routes remembers which server has the session of a full JID, by the bytes that an attribute has.
type routes struct {
	mu sync.RWMutex
	m  map[string]route
}

// route is the way to a server; the zero value: none.
type route struct {
	server string
	far    bool // it is in another zone
}

const maxRoutes = 50_000

func (r *routes) find(full []byte) route {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.m[string(full)]
}

func (r *routes) add(full string, to route) {
	if stanza.EscapedLen(full) != len(full) {
		return // such bytes in an attribute are another name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil || len(r.m) >= maxRoutes {
		r.m = make(map[string]route)
	}
	r.m[full] = to
}

func (r *routes) drop(full string) {
	r.mu.Lock()
	delete(r.m, full)
	r.mu.Unlock()
}

func (r *routes) clear() {
	r.mu.Lock()
	clear(r.m)
	r.mu.Unlock()
}

// Holders returns the servers that have sessions of an account, this one among them if it has; again drops what
// was known of it before. It waits for the directory.
func (x *Exchange) Holders(ctx context.Context, account string, again bool) (servers []string) {
	if again {
		x.dir.Forget(account)
	}
	found := make(chan directory.Entry, 1)
	x.dir.Ask(account, func(e directory.Entry) { found <- e })
	select {
	case e := <-found:
		for _, h := range e {
			servers = append(servers, h.Server)
		}
	case <-ctx.Done():
	}
	return servers
}

// SessionsElsewhere counts the sessions that an account has on other servers, but for one resource. It waits for the
// directory; if ctx ends before that answers, there are none.
func (x *Exchange) SessionsElsewhere(ctx context.Context, account, but string) (n int) {
	if len(x.cfg.Mesh.Connected()) == 0 {
		return 0
	}
	x.dir.Forget(account) // what is remembered may be old
	found := make(chan directory.Entry, 1)
	x.dir.Ask(account, func(e directory.Entry) { found <- e })
	select {
	case e := <-found:
		for _, h := range e {
			for _, s := range h.Sessions {
				if h.Server != x.cfg.Self && s.Resource != but {
					n++
				}
			}
		}
	case <-ctx.Done():
	}
	return n
}

// Do runs f behind what has come for an account before.
func (x *Exchange) Do(jid string, f func(context.Context, *session.Batch)) {
	x.lane(bare(jid)).add(func(b *session.Batch) { f(x.ctx, b) })
}

// Moved takes note that a server has got a session of this one: until the directory says so here, too, what
// comes for it goes there.
func (x *Exchange) Moved(full, server string) {
	x.gone.add(full, x.route(server))
	x.dir.Forget(bare(full))
}

// Got takes note that this server has got a session.
func (x *Exchange) Got(full string) {
	x.gone.drop(full)
	x.routes.drop(full)
}

// Hop implements router.Cluster.
func (x *Exchange) Hop(src *session.Session, st *stanza.Stanza, b *session.Batch) bool {
	to := st.Get(st.To.Value)
	way := x.routes.find(to)
	if way.server == "" {
		return false
	}
	p := module.Passage{Src: src, Stanza: st, Batch: b}
	if sendTo(x, way.server, kindRoute, to, &p) != nil {
		return false // the usual way tells what is wrong
	}
	x.hopped(way)
	return true
}

// Pass implements router.Cluster.
func (x *Exchange) Pass(p *module.Passage) (taken bool, err error) {
	if p.To.Resource != "" && x.cfg.Table.Get(p.To.String()) != nil || p.Stanza.Kind == stanza.IQ && p.To.Resource == "" {
		return false, nil
	}
	account := p.To.Bare().String()
	l := x.lane(account)
	l.mu.Lock()
	if waits, asked := l.asked[account]; asked {
		defer l.mu.Unlock()
		return l.wait(account, waits, p)
	}
	e, known := x.dir.Lookup(account, p.To.Resource)
	if known {
		l.mu.Unlock()
		return x.forward(x.choose(e, p), p, true)
	}
	taken, err = l.wait(account, nil, p)
	n := len(l.asked[account])
	l.mu.Unlock()
	if n > 0 {
		x.question(l, account, n)
	}
	return taken, err
}

// forward sends a stanza to a server. It reports false if this is the one, or if that server can't be
// reached: its sessions are gone. What is learned of its way is taken by Hop.
func (x *Exchange) forward(server string, p *module.Passage, learn bool) (taken bool, err error) {
	if server == x.cfg.Self {
		return false, nil
	}
	to := p.To.String()
	err = sendTo(x, server, kindRoute, to, p)
	switch {
	case errors.Is(err, link.ErrFull):
		return true, &module.Error{Type: "wait", Condition: "resource-constraint", Text: "too much waits for the server that has the receiver's session"}
	case err != nil:
		return false, nil
	}
	way := x.route(server)
	x.hopped(way)
	if learn && p.To.Resource != "" && p.Hops == 0 && x.cfg.Cache >= 0 {
		x.routes.add(to, way)
	}
	return true, nil
}

// receive takes a frame with a stanza of another server.
func (x *Exchange) receive(from string, frame []byte) {
	if x.direct(from, frame) {
		return
	}
	kind, s, err := cut(frame)
	if err != nil {
		x.log.Error("stanza of a server can't be read", "server", from, "error", err)
		return
	}
	switch {
	case kind == kindDomains:
		x.toldDomains(from, &s)
		return
	case kind == kindKept && s.to == "":
		x.words.came(from)
		x.look()
		return
	}
	x.counts.Arrived.Add(1)
	s.raw = clone(s.raw)
	switch kind {
	case kindDomain:
		x.toDomain(from, &s, false)
		return
	case kindReply:
		x.replied(&s, false)
		return
	}
	x.enter(from, kind, &s)
}

// enter has a stanza of another server looked at in the lane of its account. Where too much waits there a copy is
// dropped, and what is to be delivered goes back to its sender.
func (x *Exchange) enter(from string, kind byte, s *stored) {
	account, came := bare(s.to), time.Now()
	l, handle := x.lane(account), func(b *session.Batch) {
		if kind != kindRoute {
			x.aside(kind, s, b)
			return
		}
		p, err := s.passage(b)
		if err != nil {
			x.log.Error("stanza of a server can't be read", "server", from, "error", err)
			return
		}
		if x.misled(s, p) {
			x.dir.Wrong(from, account, s.to)
		}
		if x.late(p, account, came) {
			return
		}
		x.cfg.Router.Arrive(x.ctx, p)
	}
	switch {
	case x.cfg.Faults.HoldAll || kind == kindKept: // this has no stanza, and an answer in what is there
		l.add(handle)
		return
	case l.take(account, len(s.raw), handle):
		return
	}
	x.counts.Refused.Add(1)
	if kind != kindRoute {
		return
	}
	p, err := s.passage(x.landing(from))
	if err != nil {
		x.log.Error("stanza of a server can't be read", "server", from, "error", err)
		return
	}
	x.cfg.Router.Undelivered(x.ctx, p, &module.Error{Type: "wait", Condition: "resource-constraint", Text: "too much waits for the receiver at its server"})
}

// misled reports whether a stanza should have gone to another server.
func (x *Exchange) misled(s *stored, p *module.Passage) bool {
	account := bare(s.to)
	if p.To.Resource != "" {
		return x.cfg.Table.Get(s.to) == nil
	}
	e, known := x.dir.Lookup(account, "")
	return len(x.cfg.Table.User(account).Sessions()) == 0 || known && e.Best(x.cfg.Self, x.near) != x.cfg.Self
}

// aside does what is no delivery of a stanza to an account.
func (x *Exchange) aside(kind byte, s *stored, b *session.Batch) {
	switch kind {
	case kindSent, kindGot:
		if x.copied != nil {
			x.copied(s.to, kind == kindSent, s.raw, b)
		}
	case kindKept:
		if owner, err := stanza.ParseJID(s.to); err == nil && x.kept != nil {
			x.kept(x.ctx, owner, b)
		}
	}
}

// OnCopy sets what copies a message for the sessions that an account has here, and what wants to know
// that it has others elsewhere than before. It is called before the first stanza.
func (x *Exchange) OnCopy(f func(account string, sent bool, raw []byte, b *session.Batch), moved func(account string)) {
	x.copied, x.moved = f, moved
}

// Has reports whether an account that has sessions here has some on other servers, too.
func (x *Exchange) Has(account string) bool { return len(x.dir.Others(account)) > 0 }

// Copy hands a message to the servers that have more sessions of an account.
func (x *Exchange) Copy(account string, sent bool, raw []byte) {
	kind := byte(kindGot)
	if sent {
		kind = kindSent
	}
	frame := append(appendHead(nil, kind, 1, account), raw...)
	for _, h := range x.dir.Others(account) {
		if err := x.cfg.Mesh.Send(h.Server, Stanzas, frame); err != nil {
			x.log.Debug("copy not sent to a server", "server", h.Server, "error", err)
		}
	}
}

// undelivered takes back a frame that a server did not get, or may not have got.
func (x *Exchange) undelivered(server string, frame []byte, sent time.Time, doubt bool) {
	kind, s, err := cut(frame)
	if err != nil || kind != kindRoute && kind != kindDomain && kind != kindReply {
		return
	}
	x.counts.Returned.Add(1)
	if x.cfg.Faults.LoseReturned {
		return
	}
	s.raw, s.since = clone(s.raw), sent
	switch kind {
	case kindDomain:
		x.toDomain(server, &s, doubt)
		return
	case kindReply: // also where it may have come: it has a number
		x.replied(&s, true)
		return
	}
	x.routes.drop(s.to)
	if !doubt && s.hops < maxHops && !x.cfg.Faults.ReturnLate {
		x.returning.begin()
		x.waitAgain(s)
		return
	}
	x.lane(bare(s.to)).add(func(b *session.Batch) {
		p, err := s.passage(b)
		if err != nil {
			x.log.Error("stanza that came back can't be read", "server", server, "error", err)
			return
		}
		if doubt {
			x.counts.Doubtful.Add(1)
			x.cfg.Router.Undelivered(x.ctx, p, &module.Error{
				Type: "wait", Condition: "remote-server-timeout",
				Text: "the receiver's server was cut off before it answered: this may have been delivered",
			})
			return
		}
		x.cfg.Router.Arrive(x.ctx, p)
	})
}

// bare is a JID without its resource.
func bare[T string | []byte](jid T) T {
	for i := range len(jid) {
		if jid[i] == '/' {
			return jid[:i]
		}
	}
	return jid
}
