package xmppd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
)

// openPortal opens the accounts of a running server through its admin socket.
func openPortal(t *testing.T, data string) xmppd.Users {
	t.Helper()
	u, err := xmppd.OpenUsers(t.Context(), data, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	return u
}

// startWithSocket starts a server whose data directory is short enough for a socket.
func startWithSocket(t *testing.T) (*xmppd.Server, string) {
	t.Helper()
	data, err := os.MkdirTemp("", "xmppd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	return startServer(t, options{cfg: func(c *xmppd.Config) { c.Data = data }}), data
}

// TestRosterFromPortal: what a trusted source says reaches clients at once, roster and presence.
func TestRosterFromPortal(t *testing.T) {
	s, data := startWithSocket(t)
	p, ctx := openPortal(t, data), t.Context()
	a, b := login(t, s, "alice", "a"), login(t, s, "bob", "b")
	for _, c := range []*client{a, b} {
		roster(c)
		c.Send("<presence><status>here</status></presence>")
		c.Sync()
	}
	set := func(sub string) {
		t.Helper()
		if err := p.SetRosterItem(ctx, "alice", xmppd.RosterItem{JID: bob, Name: "Bob", Groups: []string{"Desk"}, Subscription: sub}); err != nil {
			t.Fatal(err)
		}
	}
	set("both")
	has(t, "alice", a.Sync(), "<item jid='"+bob+"' name='Bob' subscription='both'><group>Desk</group></item>", "<presence to='"+alice+"' from='"+bob+"/b'><status>here</status>")
	has(t, "bob", b.Sync(), "<item jid='"+alice+"' subscription='both'/>", "<presence to='"+bob+"' from='"+alice+"/a'><status>here</status>")
	set("both")
	hasNot(t, "no news", a.Sync()+b.Sync(), "<item", "<presence")
	set("to")
	has(t, "alice keeps hers", a.Sync(), "subscription='to'")
	has(t, "bob loses hers", b.Sync(), "subscription='from'", "<presence to='"+bob+"' from='"+alice+"/a' type='unavailable'/>")
	items, err := p.Roster(ctx, "bob")
	if err != nil || len(items) != 1 || items[0].JID != alice || items[0].Subscription != "from" {
		t.Errorf("bob's roster: %v, %v", items, err)
	}
	if err := p.RemoveRosterItem(ctx, "alice", bob); err != nil {
		t.Fatal(err)
	}
	has(t, "removed", a.Sync(), "<item jid='"+bob+"' subscription='remove'/>", "type='unavailable'")
	if err := p.RemoveRosterItem(ctx, "alice", bob); !errors.Is(err, account.ErrNoContact) {
		t.Errorf("second removal: %v", err)
	}
	// A request that waits is answered by the portal.
	b.Send("<presence type='subscribe' to='" + alice + "'/>")
	b.Sync()
	has(t, "request", a.Sync(), "type='subscribe'")
	set("from")
	has(t, "granted", b.Sync(), "<item jid='"+alice+"' subscription='to'/>", "<status>here</status>")
}

// TestGroupChangesWhileRunning: an account enters, changes and leaves a shared group.
func TestGroupChangesWhileRunning(t *testing.T) {
	s, data := startWithSocket(t)
	p, ctx := openPortal(t, data), t.Context()
	a, d := login(t, s, "alice", "a"), login(t, s, "dn1", "d")
	for _, c := range []*client{a, d} {
		roster(c)
		c.Send("<presence/>")
		c.Sync()
	}
	group := func(g string) {
		t.Helper()
		if err := p.SetGroup(ctx, "alice", g); err != nil {
			t.Fatal(err)
		}
	}
	group("People")
	has(t, "the node", d.Sync(), "<item jid='"+alice+"' name='alice' subscription='both'><group>People</group></item>", "<presence to='dn1@"+domain+"' from='"+alice+"/a'/>")
	has(t, "alice", a.Sync(), "<item jid='dn1@"+domain+"' name='dn1' subscription='both'><group>Data nodes</group></item>", "jid='app@", "jid='dn2@", "<presence to='"+alice+"' from='dn1@"+domain+"/d'/>")
	group("Staff")
	has(t, "the node", d.Sync(), "<group>Staff</group>")
	hasNot(t, "alice", a.Sync(), "<item", "<presence")
	group("")
	has(t, "the node", d.Sync(), "<item jid='"+alice+"' subscription='remove'/>", "from='"+alice+"/a' type='unavailable'")
	has(t, "alice", a.Sync(), "<item jid='dn1@"+domain+"' subscription='remove'/>", "from='dn1@"+domain+"/d' type='unavailable'")
	hasNot(t, "roster", roster(a), "<item")
	d.Send("<presence><status>secret</status></presence>")
	d.Sync()
	hasNot(t, "presence", a.Sync(), "secret")
	if err := p.SetGroup(ctx, "nobody", "G"); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("group of nobody: %v", err)
	}
}

// model is a client that keeps its roster by versions (RFC 6121 section 2.6).
type model struct {
	ver   string
	items map[string]string
}

// take applies results and pushes of what a client was sent, in order.
func (m *model) take(t *testing.T, text string) (pushes int, whole bool) {
	t.Helper()
	for _, iq := range strings.Split(text, "<iq ") {
		_, q, ok := strings.Cut(iq, "<query xmlns='jabber:iq:roster' ver='")
		if !ok {
			continue
		}
		ver, body, _ := strings.Cut(q, "'>")
		if strings.HasPrefix(iq, "type='result'") {
			m.items, whole = map[string]string{}, true
		} else {
			pushes++
		}
		m.ver = ver
		for _, it := range strings.SplitAfter(body, "/>") {
			_, rest, ok := strings.Cut(it, "<item jid='")
			if !ok {
				continue
			}
			jid, attrs, _ := strings.Cut(rest, "'")
			m.items[jid] = attrs
			if strings.Contains(attrs, "subscription='remove'") {
				delete(m.items, jid)
			}
		}
	}
	return pushes, whole
}

// fetch asks for the roster by its version.
func (m *model) fetch(t *testing.T, c *client) (pushes int, whole bool) {
	t.Helper()
	c.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver='" + m.ver + "'/></iq>")
	return m.take(t, c.Sync())
}

func rosterSet(c *client, item string) {
	c.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>" + item + "</query></iq>")
}

// TestRosterCatchesUp: RFC 6121 section 2.6.3: a client is sent what it has missed, once each, or
// all of it when that was too much.
func TestRosterCatchesUp(t *testing.T) {
	s := startServer(t, options{})
	editor := login(t, s, "alice", "editor")
	m := &model{}
	first := login(t, s, "alice", "1")
	if pushes, whole := m.fetch(t, first); pushes != 0 || !whole {
		t.Fatalf("an empty version: %d pushes, whole %v", pushes, whole)
	}
	_ = first.Conn.Close()
	for _, item := range []string{"<item jid='a@x' name='A'/>", "<item jid='b@x'/>", "<item jid='b@x' subscription='remove'/>", "<item jid='a@x' name='A2'/>", "<item jid='c@x'/>"} {
		rosterSet(editor, item)
	}
	editor.Sync()
	second := login(t, s, "alice", "2")
	// The roster had never changed when the client left: it is told all.
	if _, whole := m.fetch(t, second); !whole || fmt.Sprint(m.items) != fmt.Sprint(map[string]string{"a@x": " name='A2' subscription='none'/>", "c@x": " subscription='none'/>"}) {
		t.Fatalf("after the first changes: whole %v, %v", whole, m.items)
	}
	ver := m.ver
	for _, item := range []string{"<item jid='a@x' subscription='remove'/>", "<item jid='d@x'/>", "<item jid='c@x' name='C1'/>", "<item jid='c@x' name='C2'/>"} {
		rosterSet(editor, item)
	}
	editor.Sync()
	_ = second.Conn.Close()
	m.ver = ver
	m.items = map[string]string{"a@x": "", "c@x": ""}
	third := login(t, s, "alice", "3")
	if pushes, whole := m.fetch(t, third); whole || pushes != 3 || fmt.Sprint(m.items) != fmt.Sprint(map[string]string{"c@x": " name='C2' subscription='none'/>", "d@x": " subscription='none'/>"}) {
		t.Fatalf("missed changes: %d pushes, whole %v, %v", pushes, whole, m.items)
	}
	if pushes, whole := m.fetch(t, third); whole || pushes != 0 {
		t.Errorf("the present version: %d pushes, whole %v", pushes, whole)
	}
	for i := range 150 {
		rosterSet(editor, "<item jid='c@x' name='"+strconv.Itoa(i)+"'/>")
	}
	editor.Sync()
	third.Sync()
	m.ver = ver
	if _, whole := m.fetch(t, third); !whole {
		t.Error("a version that is far behind was not answered with the whole roster")
	}
}

// TestRosterUnderChange: a client asks for its roster again and again while another changes it; no
// push gets lost between the request for a roster and its result.
func TestRosterUnderChange(t *testing.T) {
	s := startServer(t, options{})
	editor, reader := login(t, s, "alice", "editor"), login(t, s, "alice", "reader")
	m, want := &model{}, &model{}
	m.fetch(t, reader)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			rosterSet(editor, fmt.Sprintf("<item jid='x%d@y'/>", i))
			if i%5 == 0 {
				rosterSet(editor, fmt.Sprintf("<item jid='x%d@y' subscription='remove'/>", i/2))
			}
		}
		editor.Sync()
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			m.fetch(t, reader)
		}
	}
	m.take(t, reader.Sync())
	want.fetch(t, login(t, s, "alice", "fresh"))
	if fmt.Sprint(m.items) != fmt.Sprint(want.items) || m.ver != want.ver {
		t.Errorf("the client has %v at %s, the server %v at %s", m.items, m.ver, want.items, want.ver)
	}
}

// TestRosterChangesInTheGap: what changes after a roster was read, and before the client is
// interested in it, is caught up.
func TestRosterChangesInTheGap(t *testing.T) {
	has := func(f im.Faults) bool {
		data, err := os.MkdirTemp("", "xmppd")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(data) })
		change := make(chan func() error, 1)
		f.Gap = func() {
			select {
			case c := <-change:
				if err := c(); err != nil {
					t.Error(err)
				}
			default:
			}
		}
		s := startServer(t, options{im: f, cfg: func(c *xmppd.Config) { c.Data = data }})
		p, reader, m := openPortal(t, data), login(t, s, "alice", "reader"), &model{}
		change <- func() error {
			return p.SetRosterItem(context.Background(), "alice", xmppd.RosterItem{JID: "x@y", Subscription: "none"})
		}
		m.fetch(t, reader)
		m.take(t, reader.Sync())
		_, ok := m.items["x@y"]
		return ok
	}
	if !has(im.Faults{}) {
		t.Error("the client was not told of the change")
	}
	if has(im.Faults{NoCatchUp: true}) {
		t.Error("the planted bug was not noticed")
	}
}

// TestDeletedAccountLeavesNoSubscription: who gets the name next is a stranger to the contacts of
// the former owner, whether the server ran while the account was deleted or not.
func TestDeletedAccountLeavesNoSubscription(t *testing.T) {
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("running %v", running), func(t *testing.T) {
			data, err := os.MkdirTemp("", "xmppd")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(data) })
			ctx := t.Context()
			if !running {
				offline, err := xmppd.OpenOrMakeUsers(ctx, data, domain)
				if err != nil {
					t.Fatal(err)
				}
				for _, err := range []error{
					offline.Add(ctx, "alice", password, ""), offline.Add(ctx, "bob", password, ""),
					offline.SetRosterItem(ctx, "alice", xmppd.RosterItem{JID: bob, Subscription: "both"}),
					offline.Delete(ctx, "bob"), offline.Add(ctx, "bob", password, ""), offline.Close(),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			s := serve(t, options{cfg: func(c *xmppd.Config) { c.Data = data }})
			if running {
				p := openPortal(t, data)
				for _, err := range []error{
					p.Add(ctx, "alice", password, ""), p.Add(ctx, "bob", password, ""),
					p.SetRosterItem(ctx, "alice", xmppd.RosterItem{JID: bob, Subscription: "both"}),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
				a, b := online(t, s, "alice", "early"), online(t, s, "bob", "b")
				roster(a)
				if err := errors.Join(p.Delete(ctx, "bob"), p.Add(ctx, "bob", password, "")); err != nil {
					t.Fatal(err)
				}
				b.Rest()
				has(t, "alice is told", a.Sync(), "<item jid='"+bob+"' subscription='none'/>", "from='"+bob+"/b' type='unavailable'")
			}
			a, b := login(t, s, "alice", "a"), online(t, s, "bob", "b")
			a.Send("<presence><status>secret</status></presence>")
			a.Sync()
			hasNot(t, "the new bob", b.Sync(), "secret")
			hasNot(t, "alice", a.Sync(), "from='"+bob)
		})
	}
}
