package im_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// realm is three servers whose links are cut and made one by one, and which die and start again. Each end of a link notices that later, news of
// different links overtake each other, and sessions move: a seed says in which order.
type realm struct {
	rng     *rand.Rand
	f       im.Faults
	store   *account.Store
	names   []string
	nodes   map[string]*node
	ends    map[[2]string]*end // what the first server has of its link to the second one
	users   []*user
	said    int
	ending  bool // no more faults
	unreads bool // rosters can't be read for a while where sessions have moved
	directs bool // clients show presence to those who are in no roster, too
}

// node is a server.
type node struct {
	*world
	r       *realm
	name    string
	lane    []func()   // what is done in turn
	todo    []func()   // what is done at any time
	moved   []*forward // sessions that others have: what comes for them
	ends    []func()   // what others do when it dies, unless they have done it
	stopped bool
	unread  map[string]bool // accounts whose rosters can't be read now
	updated func()          // nil, or runs when an item was changed in the store
	refresh bool
}

// forward is what a server does with what comes for a session that another one has got.
type forward struct {
	a    *actor
	hand func([]byte)
}

// end is one end of a link.
type end struct {
	up     bool
	broken bool    // up, and to be noticed that it isn't
	ready  bool    // down, and to be noticed that it is up
	queue  []frame // what has come
}

// frame is something that one server tells another.
type frame struct {
	do   func(*node)
	lost func() // if it does not come; may be nil
}

// user is a client.
type user struct {
	name   string // a full JID
	full   string // of its session: with the number of the login
	at     *node  // nil: it is not there
	a      *actor
	move   *moving
	seen   map[string]string // the status of whom it takes for available
	logins int
	shown  map[string]map[string]int // to whom it has directed presence: addresses, and the sessions that were there
}

// moving is a session on its way: its client is connected to no server.
type moving struct {
	from, to *node
	state    *session.State
	picture  im.Picture
	kept     []byte // what the client has not got
}

func (n *node) Tell(to string, op *im.Op) {
	for _, s := range n.r.names {
		if s != n.name && (to == "" || to == s) {
			part := *op
			part.List, part.Raw = slices.Clone(op.List), slices.Clone(op.Raw)
			n.r.send(n.name, s, frame{do: func(x *node) {
				x.later(func(b *session.Batch) { x.im.Told(context.Background(), n.name, &part, b) })
			}})
		}
	}
}

// later does something in turn.
func (n *node) later(f func(*session.Batch)) {
	n.lane = append(n.lane, func() { flushed(f) })
}

func flushed(f func(*session.Batch)) {
	var b session.Batch
	f(&b)
	b.Flush()
}

func (n *node) Servers() (out []string) {
	for _, s := range n.r.names {
		if s != n.name && n.r.ends[[2]string{n.name, s}].up {
			out = append(out, s)
		}
	}
	return out
}

// send puts something into a link.
func (r *realm) send(from, to string, x frame) {
	here, there := r.ends[[2]string{from, to}], r.ends[[2]string{to, from}]
	if here.up && !here.broken {
		there.queue = append(there.queue, x)
	} else if x.lost != nil {
		x.lost()
	}
}

// rosters are those of the store, some of which can't be read.
type rosters struct {
	*account.Store
	n *node
}

var errUnread = errors.New("the records can't be read")

func (s rosters) Roster(ctx context.Context, name string) ([]account.Item, error) {
	if s.n.unread[name] {
		return nil, errUnread
	}
	return s.Store.Roster(ctx, name)
}

func (s rosters) UpdateItem(ctx context.Context, name, contact string, f func(*account.Item) bool) (account.Step, error) {
	step, err := s.Store.UpdateItem(ctx, name, contact, f)
	if s.n.updated != nil {
		s.n.updated()
	}
	return step, err
}

func newRealm(t *testing.T, seed uint64, f im.Faults) *realm {
	t.Helper()
	r := &realm{
		rng: rand.New(rand.NewPCG(seed, 11)), f: f, names: []string{"x1", "x2", "x3"}, //nolint:gosec // a seed
		nodes: make(map[string]*node), ends: make(map[[2]string]*end),
	}
	w := newWorld(t, im.Faults{})
	r.store = w.store
	w.im.Close()
	for _, who := range [][2]string{{"a", "b"}, {"b", "a"}} { // c is a stranger
		if err := w.im.Put(t.Context(), who[0], account.Item{Contact: who[1] + "@d", Subscription: account.SubBoth}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range r.names {
		r.start(t, s)
		for _, o := range r.names {
			if o != s {
				r.ends[[2]string{s, o}] = &end{ready: true}
			}
		}
	}
	for _, full := range []string{"a@d/1", "a@d/2", "b@d/1", "c@d/1"} {
		r.users = append(r.users, &user{name: full, full: full, shown: make(map[string]map[string]int)})
	}
	return r
}

func (r *realm) start(t *testing.T, name string) {
	n := &node{r: r, name: name, unread: make(map[string]bool)}
	n.world = newWorldOf(t, r.store, rosters{r.store, n}, r.f)
	n.im.SetOthers(n, func() { n.refresh = true })
	r.nodes[name] = n
}

func (r *realm) close() {
	for _, n := range r.nodes {
		n.im.Close()
	}
}

// pair are two servers, in any order.
func (r *realm) pair() (a, b string) {
	i := r.rng.IntN(len(r.names))
	return r.names[i], r.names[(i+1+r.rng.IntN(len(r.names)-1))%len(r.names)]
}

// cut breaks a link: of what is under way some comes.
func (r *realm) cut(a, b string) {
	for _, e := range []*end{r.ends[[2]string{a, b}], r.ends[[2]string{b, a}]} {
		n := 0
		if e.up {
			n = r.rng.IntN(len(e.queue) + 1)
			e.broken = true
		}
		e.ready = false
		gone := e.queue[n:]
		e.queue = e.queue[:n]
		for _, x := range gone {
			if x.lost != nil {
				x.lost()
			}
		}
	}
}

// drop makes it a new end; what has not come is lost.
func (e *end) drop() {
	gone := e.queue
	*e = end{}
	for _, x := range gone {
		if x.lost != nil {
			x.lost()
		}
	}
}

// heal makes a link where both ends have noticed that they have none.
func (r *realm) heal(a, b string) {
	x, y := r.ends[[2]string{a, b}], r.ends[[2]string{b, a}]
	if !x.up && !y.up && !x.ready && !y.ready {
		x.ready, y.ready = true, true
	}
}

// notice has a server see that a link has ended, or that there is a new one.
func (r *realm) notice(a, b string) bool {
	e, n := r.ends[[2]string{a, b}], r.nodes[a]
	switch {
	case e.broken:
		e.drop()
		n.later(func(batch *session.Batch) { n.im.Lost(context.Background(), b, batch) })
	case e.ready:
		e.ready, e.up = false, true
		n.later(func(batch *session.Batch) { n.im.Greet(context.Background(), b, batch) })
	default:
		return false
	}
	return true
}

// deliver hands a server the next frame of a link.
func (r *realm) deliver(a, b string) bool {
	e := r.ends[[2]string{a, b}]
	if !e.up || len(e.queue) == 0 {
		return false
	}
	x := e.queue[0]
	e.queue = e.queue[1:]
	x.do(r.nodes[a])
	return true
}

// work does something that a server has to do.
func (r *realm) work(n *node) bool {
	if i := len(n.todo); i > 0 && (len(n.lane) == 0 || r.rng.IntN(2) == 0) {
		i = r.rng.IntN(i)
		f := n.todo[i]
		n.todo = slices.Delete(n.todo, i, i+1)
		f()
		return true
	}
	if len(n.lane) > 0 {
		f := n.lane[0]
		n.lane = n.lane[1:]
		f()
		return true
	}
	if n.refresh {
		n.refresh = false
		if n.im.Refresh(context.Background()) != nil {
			n.refresh = true
		}
		return !n.refresh
	}
	return false
}

// read lets clients take what they were sent, and servers hand on what came for sessions that have moved.
func (r *realm) read() {
	for _, name := range r.names {
		for _, m := range r.nodes[name].moved {
			if got := m.a.sink.got; len(got) > 0 {
				m.a.sink.got = nil
				m.hand(got)
			}
		}
	}
	for _, u := range r.users {
		if u.at == nil || u.move != nil {
			continue
		}
		for _, st := range cut(u.a.sink.got) {
			from := st.AttrString(st.From)
			if st.Kind != stanza.Presence {
				continue
			}
			switch st.AttrString(st.Type) {
			case "":
				_, status, _ := strings.Cut(string(st.Raw), "<status>")
				u.seen[from], _, _ = strings.Cut(status, "<")
			case "unavailable":
				delete(u.seen, from)
			}
		}
		u.a.sink.got = nil
	}
}

// cut splits what a client was sent.
func cut(got []byte) (out []stanza.Stanza) {
	scan := stanza.NewScanner(stanza.Unlimited())
	for len(got) > 0 {
		st, n, err := scan.Next(got)
		if err != nil || st == nil {
			panic(fmt.Sprintf("%q: %v", got, err))
		}
		got = got[n:]
		x := *st
		x.Raw = slices.Clone(st.Raw)
		out = append(out, x)
	}
	return out
}

// enter makes a session, which nobody can see yet.
