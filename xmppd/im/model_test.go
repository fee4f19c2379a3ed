package im_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

// sink is a client that reads everything.
type sink struct{ got []byte }

func (s *sink) TryWrite(p []byte) (int, bool, error) {
	s.got = append(s.got, p...)
	return len(p), false, nil
}
func (s *sink) Finish() (int, error) { return 0, nil }
func (s *sink) Abort()               {}

// actor is a session and what its client knows of others' presence, by full JID.
type actor struct {
	*session.Session
	sink *sink
	seen map[string]string
	// blind ones went away and came back at a time that can't be told from what they were sent.
	blind bool
}

// world is a server without connections, and its clients.
type world struct {
	im     *im.Service
	store  *account.Store
	router *router.Router
	table  *session.Table
	pool   session.Pool
	actors map[string]*actor
	casts  int
}

func newWorld(t interface{ Fatal(...any) }, faults im.Faults) *world {
	store := account.NewStore(storetest.NewMemory("d"))
	for _, name := range names() {
		if err := store.Create(context.Background(), &account.Account{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	return newWorldOf(t, store, store, faults)
}

// newWorldOf makes one whose accounts are in a store; rosters may have faults.
func newWorldOf(t interface{ Fatal(...any) }, store *account.Store, rosters im.Rosters, faults im.Faults) *world {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w := &world{store: store, table: session.NewTable(), actors: make(map[string]*actor)}
	w.router = router.New("d", w.table, log, router.Faults{})
	w.im = im.New(rosters, w.table, w.router, im.Limits{}, im.Policy{}, log, faults)
	if err := w.im.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.router.SetPresence(w.im)
	if err := w.router.Add(w.im); err != nil {
		t.Fatal(err)
	}
	return w
}

func names() []string { return []string{"a", "b", "c"} }

// actor returns the session of a full JID, logging it in if need be.
func (w *world) actor(full string) *actor {
	if a := w.actors[full]; a != nil {
		return a
	}
	j, err := stanza.ParseJID(full)
	if err != nil {
		panic(err)
	}
	a := &actor{Session: session.New(j), sink: new(sink), seen: make(map[string]string)}
	a.Out.Init(&w.pool, a.sink, 1<<30, func(func()) bool { return false })
	if _, err := w.table.Bind(a.Session, session.Rule{}); err != nil {
		panic(err)
	}
	w.actors[full] = a
	return a
}

// say routes a stanza of an actor, and lets all clients read.
func (w *world) say(full, text string) {
	w.tell(w.actor(full), text)
	w.read()
}

func (w *world) tell(a *actor, text string) {
	st, err := stanza.One([]byte(text))
	if err != nil {
		panic(err)
	}
	var b session.Batch
	if se := w.router.Route(context.Background(), a.Session, st, &b); se != nil {
		panic(se)
	}
	b.Flush()
}

func (w *world) end(full string) {
	if a := w.actors[full]; a != nil {
		w.table.Unbind(a.Session)
		w.im.SessionEnded(context.Background(), a.Session)
		delete(w.actors, full)
		w.read()
	}
}

// read takes what clients were sent.
func (w *world) read() {
	for _, a := range w.actors {
		scan := stanza.NewScanner(stanza.Unlimited())
		for rest := a.sink.got; len(rest) > 0; {
			st, n, err := scan.Next(rest)
			if err != nil || st == nil {
				panic(fmt.Sprintf("%s got %q: %v", a.Full, rest, err))
			}
			rest = rest[n:]
			if st.Kind != stanza.Presence {
				continue
			}
			from := st.AttrString(st.From)
			switch st.AttrString(st.Type) {
			case "":
				_, status, _ := strings.Cut(string(st.Raw), "<status>")
				a.seen[from], _, _ = strings.Cut(status, "<")
			case "unavailable":
				delete(a.seen, from)
			}
		}
		a.sink.got = nil
	}
}

// status is what a session has said last of itself; empty if it is not available.
func status(s *session.Session) string {
	_, text, _ := strings.Cut(string(s.Presence()), "<status>")
	text, _, _ = strings.Cut(text, "<")
	return text
}

// check compares rosters and what clients see with what they ought to.
func (w *world) check() error {
	ctx := context.Background()
	for _, x := range names() {
		for _, y := range names() {
			if x == y {
				continue
			}
			xy, _ := w.store.Item(ctx, x, y+"@d")
			yx, _ := w.store.Item(ctx, y, x+"@d")
			if xy.To() != yx.From() {
				return fmt.Errorf("%s has %+v of %s, who has %+v", x, xy, y, yx)
			}
			if xy.Ask != (yx.Request != nil) {
				return fmt.Errorf("%s asks %v, but at %s there is %q", x, xy.Ask, y, yx.Request)
			}
			if err := w.checkView(x, y, xy.To()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) checkView(x, y string, subscribed bool) error {
	for _, viewer := range w.actors {
		if viewer.JID.Local != x || !viewer.Available() || viewer.blind {
			continue
		}
		for _, full := range []string{y + "@d/1", y + "@d/2"} {
			want := ""
			if other := w.actors[full]; other != nil && subscribed {
				want = status(other.Session)
			}
			if got := viewer.seen[full]; got != want {
				return fmt.Errorf("%s sees %q of %s, want %q (subscribed: %v)", viewer.Full, got, full, want, subscribed)
			}
		}
	}
	return nil
}

// step does one thing that a client may do.
func (w *world) step(t *rapid.T) {
	who := rapid.SampledFrom(names()).Draw(t, "who")
	full := who + "@d/" + rapid.SampledFrom([]string{"1", "2"}).Draw(t, "resource")
	other := rapid.SampledFrom(slices.DeleteFunc(names(), func(n string) bool { return n == who })).Draw(t, "other") + "@d"
	switch what := rapid.SampledFrom([]string{
		"available", "available", "unavailable", "end", "remove", "roster", "hide", "show",
		"subscribe", "subscribe", "subscribed", "subscribed", "unsubscribe", "unsubscribed", "portal",
	}).Draw(t, "what"); what {
	case "available":
		w.casts++
		a := w.actor(full)
		if !a.Available() {
			clear(a.seen)
		}
		w.say(full, fmt.Sprintf("<presence><status>%d</status></presence>", w.casts))
	case "unavailable":
		w.say(full, "<presence type='unavailable'/>")
	case "end":
		w.end(full)
	case "roster":
		w.say(full, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	case "remove":
		w.say(full, "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='"+other+"' subscription='remove'/></query></iq>")
	case "hide", "show":
		var b session.Batch
		a := w.actor(full)
		if what == "show" {
			w.im.Show(a.Session)
		} else {
			if !a.Available() {
				clear(a.seen)
			}
			w.im.Hide(context.Background(), a.Session, true, &b)
		}
		b.Flush()
		w.read()
	case "portal":
		it := account.Item{Contact: other, Subscription: rapid.SampledFrom([]account.Subscription{account.SubNone, account.SubTo, account.SubFrom, account.SubBoth}).Draw(t, "sub")}
		if err := w.im.Put(context.Background(), who, it); err != nil {
			t.Fatal(err)
		}
		w.read()
	default:
		w.say(full, "<presence type='"+what+"' to='"+other+"'/>")
	}
}

// TestSubscriptionModel does anything in any order: both sides' rosters fit together after each
// step, and everybody sees just the presence that the rosters grant.
func TestSubscriptionModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, im.Faults{})
		defer w.im.Close()
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			w.step(rt)
			if err := w.check(); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// TestSubscriptionModelNotices: the model finds the planted bugs.
func TestSubscriptionModelNotices(t *testing.T) {
	for name, f := range map[string]im.Faults{"one-sided": {OneSided: true}, "hidden ones show": {ShowHidden: true}} {
		w := newWorld(t, f)
		for _, s := range []string{"subscribe", "subscribed"} {
			w.say(map[string]string{"subscribe": "a@d/1", "subscribed": "b@d/1"}[s], "<presence type='"+s+"' to='"+map[string]string{"subscribe": "b@d", "subscribed": "a@d"}[s]+"'/>")
		}
		w.say("a@d/1", "<presence/>")
		var b session.Batch
		w.im.Hide(t.Context(), w.actor("b@d/1").Session, false, &b)
		b.Flush()
		w.say("b@d/1", "<presence><status>1</status></presence>")
		hidden := w.actors["a@d/1"].seen["b@d/1"] != ""
		if err := w.check(); err == nil && !hidden {
			t.Errorf("%s: not noticed", name)
		}
		w.im.Close()
	}
}

// TestConcurrentPresence: while all sessions broadcast, subscribe and cancel at once, nobody is left
// with presence that is not the last, or that the rosters do not grant.
func TestConcurrentPresence(t *testing.T) {
	for round := range 20 {
		w := newWorld(t, im.Faults{})
		var wg sync.WaitGroup
		for _, name := range names() {
			for _, res := range []string{"1", "2"} {
				a := w.actor(name + "@d/" + res)
				a.blind = res == "2"
				w.say(a.Full, "<presence><status>0</status></presence>")
			}
		}
		for _, a := range w.actors {
			rnd := rand.New(rand.NewPCG(uint64(round), uint64(a.JID.Local[0])<<8|uint64(a.JID.Resource[0])))
			wg.Go(func() {
				for i := range 60 {
					other := names()[rnd.IntN(3)] + "@d"
					switch n := rnd.IntN(10); {
					case n < 5 || other == a.Bare:
						w.tell(a, fmt.Sprintf("<presence><status>%s%d</status></presence>", a.JID.Resource, i))
					case n == 5 && a.blind:
						w.tell(a, "<presence type='unavailable'/>")
					case n == 6:
						w.tell(a, "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='"+other+"' subscription='remove'/></query></iq>")
					default:
						w.tell(a, "<presence type='"+[]string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"}[rnd.IntN(4)]+"' to='"+other+"'/>")
					}
				}
			})
		}
		wg.Wait()
		w.read()
		if err := w.check(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		w.im.Close()
	}
}
