package router_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/modules/disco"
	"github.com/rosterdb/rosterdb/xmppd/modules/ping"
	"github.com/rosterdb/rosterdb/xmppd/modules/version"
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

// world is a router with sessions but without connections.
type world struct {
	router *router.Router
	im     *im.Service
	table  *session.Table
	pool   session.Pool
	sinks  map[string]*sink
}

func newWorld(t testing.TB, faults router.Faults) *world {
	t.Helper()
	// In memory: a disk would be the slowest part by far.
	store := account.NewStore(storetest.NewMemory("d"))
	for _, name := range []string{"a", "b", "m", "n"} {
		acc := &account.Account{Name: name}
		if name > "b" {
			acc.Group = "G"
		}
		if err := store.Create(t.Context(), acc); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w := &world{table: session.NewTable(), sinks: make(map[string]*sink)}
	w.router = router.New("d", w.table, log, faults)
	w.im = im.New(store, w.table, w.router, im.Limits{RosterItems: 20, Directed: 20}, im.Policy{}, log, im.Faults{})
	if err := w.im.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.router.SetPresence(w.im)
	if err := w.router.Add(w.im); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.router.Add(ping.Module{}), w.router.Add(version.Module{Name: "x"}), w.router.Add(&disco.Module{})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) login(j string) *session.Session {
	full, err := stanza.ParseJID(j)
	if err != nil {
		panic(err)
	}
	s := session.New(full)
	w.sinks[j] = new(sink)
	s.Out.Init(&w.pool, w.sinks[j], 1<<30, func(func()) bool { return false })
	if _, err := w.table.Bind(s, session.Rule{}); err != nil {
		panic(err)
	}
	return s
}

// say routes the stanzas in text as sent by src, up to the first error.
func (w *world) say(src *session.Session, text []byte) {
	scan := stanza.NewScanner(stanza.Limits{})
	var b session.Batch
	defer b.Flush()
	for len(text) > 0 {
		st, n, err := scan.Next(text)
		text = text[n:]
		if err != nil || n == 0 || st != nil && st.Kind == stanza.StreamEnd {
			return
		}
		if st != nil && w.router.Route(context.Background(), src, st, &b) != nil {
			return
		}
	}
}

// FuzzRoute routes what a hostile client sends, and checks that every client gets whole stanzas
// with addresses that the hostile one may use, or that the server has made.
func FuzzRoute(f *testing.F) {
	for _, seed := range []string{
		"<message to='b@d/r'><body>x</body></message>", "<message to='b@d' from='a@d/r' type='headline'/>",
		"<presence/><presence type='unavailable'/>", "<presence><priority>-3</priority><show>dnd</show></presence>",
		"<presence to='b@d' type='subscribe'/><presence to='b@d' type='unsubscribe'/>", "<presence to='b@d/r'/>",
		"<presence type='probe' to='m@d'/><presence type='subscribed' to='m@d' id='&lt;'/>",
		"<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
		"<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='b@d' name='&quot;'><group>g</group></item></query></iq>",
		"<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='b@d' subscription='remove'/></query></iq>",
		"<iq type='get' id='1' to='d'><query xmlns='http://jabber.org/protocol/disco#info' node='x'/></iq>",
		"<iq type='result' id='1' to='b@d/r'/>", "<iq type='get' to='b@d/r' id='&amp;'><x xmlns='y'/></iq>",
		"<message  from = \"a@d\" \n to='b@d/r' ><a xmlns:p='q'><p:b/></a></message>", "<message xmlns='jabber:server' to='b@d/r'/>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		w := newWorld(t, router.Faults{})
		hostile := w.login("a@d/r")
		member := w.login("m@d/r")
		for _, s := range []*session.Session{w.login("b@d/r"), w.login("b@d/s"), member, w.login("n@d/r"), hostile} {
			w.say(s, []byte("<iq type='get' id='0'><query xmlns='jabber:iq:roster'/></iq><presence/>"))
		}
		for _, s := range w.sinks {
			s.got = nil
		}
		w.say(hostile, text)
		w.say(member, text)
		w.im.SessionEnded(t.Context(), hostile)
		for who, s := range w.sinks {
			checkOutput(t, who, s.got)
		}
	})
}

// checkOutput scans what a client got.
func checkOutput(t *testing.T, who string, got []byte) {
	t.Helper()
	scan := stanza.NewScanner(stanza.Limits{MaxStanza: 1 << 30, MaxDepth: 1 << 30, MaxAttrs: 1 << 30, MaxName: 1 << 30})
	own, _ := stanza.ParseJID(who)
	for rest := got; len(bytes.TrimSpace(rest)) > 0; {
		st, n, err := scan.Next(rest)
		if err != nil || st == nil {
			t.Fatalf("%s got %q: %v", who, rest, err)
		}
		rest = rest[n:]
		if st.Kind == stanza.Nonza || st.Kind == stanza.StreamEnd {
			t.Fatalf("%s got %q", who, st.Raw)
		}
		from, err := stanza.ParseJID(st.AttrString(st.From))
		if !st.From.Present() {
			continue // from the server, about the own account
		}
		bounced := st.IsType("error") // its from is the address that can't be reached, whatever it was
		if (err != nil || from.Domain != "d") && !bounced {
			t.Fatalf("%s got a stanza from %q: %s", who, st.AttrString(st.From), st.Raw)
		}
		if st.Kind == stanza.Message && !bounced && from != (stanza.JID{Local: "a", Domain: "d", Resource: "r"}) && from != (stanza.JID{Local: "m", Domain: "d", Resource: "r"}) {
			t.Fatalf("%s got a message of somebody who sent none: %s", own, st.Raw)
		}
	}
}
