package xmppd_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const nsBlocking = "urn:xmpp:blocking"

// command sends a block or unblock command and waits until it is done.
func (c *client) block(command string, jids ...string) string {
	c.T.Helper()
	items := ""
	for _, j := range jids {
		items += "<item jid='" + j + "'/>"
	}
	c.Send("<iq type='set' id='block'><" + command + " xmlns='" + nsBlocking + "'>" + items + "</" + command + "></iq>")
	return c.Sync()
}

func (c *client) blocklist() string {
	c.T.Helper()
	c.Send("<iq type='get' id='list'><blocklist xmlns='" + nsBlocking + "'/></iq>")
	return c.Sync()
}

// befriend subscribes two users to each other's presence.
func befriend(t *testing.T, a, b *client) {
	t.Helper()
	bareA, _, _ := strings.Cut(a.JID, "/")
	bareB, _, _ := strings.Cut(b.JID, "/")
	a.Send("<presence type='subscribe' to='" + bareB + "'/>")
	b.Want("type='subscribe'")
	b.Send("<presence type='subscribed' to='" + bareA + "'/><presence type='subscribe' to='" + bareA + "'/>")
	a.Want("type='subscribe'")
	a.Send("<presence type='subscribed' to='" + bareB + "'/>")
	a.Sync()
	b.Sync()
	a.Sync()
}

func TestBlockingStopsEverything(t *testing.T) {
	s := startServer(t, options{})
	alice, bob := online(t, s, "alice", "a"), online(t, s, "bob", "b")
	befriend(t, alice, bob)
	if got := alice.block("block", "bob@"+domain); !strings.Contains(got, "<iq type='result' id='block'") {
		t.Fatalf("block: %s", got)
	}
	if got := bob.Sync(); !strings.Contains(got, "type='unavailable'") || !strings.Contains(got, "from='"+alice.JID+"'") {
		t.Errorf("bob was told %q, want that alice is unavailable", got)
	}
	// bob's stanzas: none arrives, and the answers are those of somebody who isn't there.
	for _, to := range []string{"alice@" + domain, alice.JID} {
		bob.Send("<message to='" + to + "' type='chat' id='m1'><body>x</body></message>")
		bob.Send("<iq type='get' to='" + to + "' id='q1'><ping xmlns='urn:xmpp:ping'/></iq>")
		got := bob.Sync()
		if strings.Count(got, "<service-unavailable ") != 2 || strings.Contains(got, "blocked") {
			t.Errorf("to %s: bob got %s", to, got)
		}
	}
	bob.Send("<presence to='alice@" + domain + "'/><presence type='probe' to='alice@" + domain + "'/><presence><status>new</status></presence><presence type='unsubscribe' to='alice@" + domain + "'/>")
	if got := bob.Sync(); strings.Contains(got, "alice") {
		t.Errorf("presence of somebody who is blocked was answered: %s", got)
	}
	if got := alice.Sync(); strings.Contains(got, "bob") {
		t.Errorf("alice got %s", got)
	}
	// alice's stanzas to bob are refused, with the reason.
	alice.Send("<message to='bob@" + domain + "' id='m2'><body>x</body></message>" +
		"<iq type='get' to='" + bob.JID + "' id='q2'><ping xmlns='urn:xmpp:ping'/></iq><presence to='" + bob.JID + "' id='p2'/>")
	if got := alice.Sync(); strings.Count(got, "<not-acceptable ") != 3 || strings.Count(got, "<blocked xmlns='urn:xmpp:blocking:errors'/>") != 3 {
		t.Errorf("alice got %s", got)
	}
	alice.Send("<presence><status>busy</status></presence>")
	alice.Sync()
	if got := bob.Sync(); strings.Contains(got, "alice") {
		t.Errorf("bob got %s", got)
	}
	// The block holds for later sessions, and for bob's.
	bob2, alice2 := online(t, s, "bob", "b2"), online(t, s, "alice", "a2")
	bob2.Send(xmppraw.Message("alice@"+domain, "x"))
	if got := bob2.Sync(); !strings.Contains(got, "<service-unavailable ") || strings.Contains(got, "from='alice@"+domain+"/") {
		t.Errorf("bob's other session got %s", got)
	}
	if got := alice2.Sync(); strings.Contains(got, "bob") {
		t.Errorf("alice's other session got %s", got)
	}
}

func TestUnblocking(t *testing.T) {
	s := startServer(t, options{})
	alice, bob := online(t, s, "alice", "a"), online(t, s, "bob", "b")
	befriend(t, alice, bob)
	for _, command := range [][]string{{"bob@" + domain}, nil} {
		alice.block("block", "bob@"+domain)
		alice.Send("<presence><status>back</status></presence>")
		alice.Sync()
		bob.Sync()
		got := alice.block("unblock", command...)
		if !strings.Contains(got, "from='"+bob.JID+"'") {
			t.Errorf("unblock %q: alice got %s, want bob's presence", command, got)
		}
		if got := bob.Sync(); !strings.Contains(got, "<status>back</status>") {
			t.Errorf("unblock %q: bob got %s, want alice's presence", command, got)
		}
		bob.Send(xmppraw.Message(alice.JID, "again"))
		alice.Want("again")
		alice.Send(xmppraw.Message("bob@"+domain, "again"))
		bob.Want("again")
		if got := alice.blocklist(); !strings.Contains(got, "<blocklist xmlns='"+nsBlocking+"'/>") {
			t.Errorf("list: %s", got)
		}
	}
}

func TestBlockingPushes(t *testing.T) {
	s := startServer(t, options{})
	one, two, deaf := online(t, s, "alice", "1"), online(t, s, "alice", "2"), online(t, s, "alice", "3")
	one.blocklist()
	two.blocklist()
	push := func(name, item string) string {
		return "<" + name + " xmlns='" + nsBlocking + "'>" + item + "</" + name + "></iq>"
	}
	item := "<item jid='bob@" + domain + "'/>"
	if got := deaf.block("block", "BOB@"+domain); strings.Contains(got, "<block ") {
		t.Errorf("pushed to a session that has not asked for the list: %s", got)
	}
	for _, c := range []*client{one, two} {
		if got := c.Sync(); strings.Count(got, push("block", item)) != 1 || !strings.Contains(got, "to='"+c.JID+"'") {
			t.Errorf("%s got %s", c.JID, got)
		}
	}
	if got := one.block("unblock"); !strings.Contains(got, "<unblock xmlns='"+nsBlocking+"'/></iq>") {
		t.Errorf("unblock all: %s", got)
	}
	if got := two.Sync(); !strings.Contains(got, "<unblock xmlns='"+nsBlocking+"'/></iq>") {
		t.Errorf("unblock all: %s", got)
	}
}

// TestBlockingMatches walks through XEP-0191 section 5.
func TestBlockingMatches(t *testing.T) {
	s := startServer(t, options{})
	alice := online(t, s, "alice", "a")
	one, two := online(t, s, "bob", "1"), online(t, s, "bob", "2")
	for _, tt := range []struct {
		item     string
		one, two bool // blocked
	}{
		{"bob@" + domain + "/1", true, false},
		{"bob@" + domain, true, true},
		{domain + "/1", false, false},
		{domain, true, true},
		{"carol@" + domain, false, false},
		{"example.com", false, false},
	} {
		alice.block("block", tt.item)
		for c, blocked := range map[*client]bool{one: tt.one, two: tt.two} {
			c.Send(xmppraw.Message(alice.JID, "mark"))
			if got := c.Sync(); strings.Contains(got, "<service-unavailable ") != blocked {
				t.Errorf("%s blocked: %s got %s", tt.item, c.JID, got)
			}
			if got := alice.Sync(); strings.Contains(got, "mark") == blocked {
				t.Errorf("%s blocked: alice got %s from %s", tt.item, got, c.JID)
			}
			alice.Send(xmppraw.Message(c.JID, "mark"))
			if got := alice.Sync(); strings.Contains(got, "<not-acceptable ") != blocked {
				t.Errorf("%s blocked: alice was told %s of a message to %s", tt.item, got, c.JID)
			}
			c.Sync()
		}
		alice.block("unblock", tt.item)
	}
	// The server stays within reach of somebody who has blocked its domain.
	alice.block("block", domain)
	if got := alice.blocklist(); !strings.Contains(got, "<item jid='"+domain+"'/>") {
		t.Errorf("list: %s", got)
	}
}

// TestBlockedSession: presence between a session and an account that has blocked just it.
func TestBlockedSession(t *testing.T) {
	s := startServer(t, options{})
	alice, one := online(t, s, "alice", "a"), online(t, s, "bob", "1")
	befriend(t, alice, one)
	two := online(t, s, "bob", "2")
	alice.Sync()
	alice.block("block", one.JID)
	if got := one.Sync(); !strings.Contains(got, "type='unavailable'") {
		t.Errorf("the blocked session got %s", got)
	}
	if got := two.Sync(); strings.Contains(got, "type='unavailable'") {
		t.Errorf("the other session got %s", got)
	}
	alice.Send("<presence><status>s1</status></presence>")
	alice.Sync()
	if got := one.Sync(); strings.Contains(got, "s1") {
		t.Errorf("the blocked session got %s", got)
	}
	two.Want("s1")
	one.Send("<presence><status>s2</status></presence>")
	one.Sync()
	two.Send("<presence><status>s3</status></presence>")
	two.Sync()
	if got := alice.Sync(); strings.Contains(got, "s2") || !strings.Contains(got, "s3") {
		t.Errorf("alice got %s", got)
	}
}

func TestSubscriptionRequestsOfTheBlocked(t *testing.T) {
	s := startServer(t, options{})
	alice, bob := online(t, s, "alice", "a"), online(t, s, "bob", "b")
	alice.block("block", "bob@"+domain)
	bob.Send("<presence type='subscribe' to='alice@" + domain + "'/>")
	bob.Sync()
	if got := alice.Sync(); strings.Contains(got, "bob") {
		t.Errorf("alice got %s", got)
	}
	alice.block("unblock")
	if got := online(t, s, "alice", "a2").Sync(); strings.Contains(got, "subscribe") {
		t.Errorf("a request of somebody who was blocked waited: %s", got)
	}
}

func TestBlockingRefuses(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.Blocking.Items = 3 }})
	alice := online(t, s, "alice", "a")
	for _, tt := range []struct{ send, want string }{
		{"<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'/></iq>", "<bad-request "},
		{"<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item/></block></iq>", "<jid-malformed "},
		{"<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='@'/></block></iq>", "<jid-malformed "},
		{"<iq type='set' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>", "<bad-request "},
		{"<iq type='get' id='1'><block xmlns='urn:xmpp:blocking'><item jid='a@b'/></block></iq>", "<bad-request "},
		{"<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='alice@" + domain + "/x'/></block></iq>", "<not-allowed "},
		{"<iq type='get' id='1' to='bob@" + domain + "'><blocklist xmlns='urn:xmpp:blocking'/></iq>", "<forbidden "},
		{"<iq type='get' id='1' to='" + domain + "'><blocklist xmlns='urn:xmpp:blocking'/></iq>", "<service-unavailable "},
	} {
		alice.Send(tt.send)
		if got := alice.Sync(); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", tt.send, got)
		}
	}
	alice.block("block", "a@b", "b@b")
	if got := alice.block("block", "c@b", "d@b"); !strings.Contains(got, "<resource-constraint ") {
		t.Errorf("four of three: %s", got)
	}
	if got := alice.block("block", "c@b", "a@b"); !strings.Contains(got, "type='result' id='block'") {
		t.Errorf("three of three: %s", got)
	}
	if got := alice.block("block", strings.Repeat("x", 900)+"@b", "a@b"); !strings.Contains(got, "<resource-constraint ") {
		t.Errorf("full: %s", got)
	}
	if got := alice.blocklist(); strings.Count(got, "<item ") != 3 {
		t.Errorf("list: %s", got)
	}
}

// TestBlockingSurvives: the list is there after a restart, and gone with the account.
func TestBlockingSurvives(t *testing.T) {
	dir := t.TempDir()
	o := options{cfg: func(c *xmppd.Config) { c.Data = dir }}
	s := startServer(t, o)
	online(t, s, "alice", "a").block("block", "bob@"+domain)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = serve(t, o)
	alice := online(t, s, "alice", "a")
	if got := alice.blocklist(); !strings.Contains(got, "<item jid='bob@"+domain+"'/>") {
		t.Errorf("after a restart: %s", got)
	}
	if err := s.Accounts().Delete(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if err := s.Accounts().Add(t.Context(), "alice", password, ""); err != nil {
		t.Fatal(err)
	}
	if got := online(t, s, "alice", "a").blocklist(); strings.Contains(got, "<item ") {
		t.Errorf("an account made anew has the list of the old one: %s", got)
	}
}

// TestBlockingWhileMessagesFlow: once the block command is answered nothing more comes through but
// what each sender had under way.
func TestBlockingWhileMessagesFlow(t *testing.T) {
	s := startServer(t, options{})
	alice := online(t, s, "alice", "a")
	const senders = 3
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range senders {
		bob := online(t, s, "bob", fmt.Sprint(i))
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond): // a pace
					bob.TrySend(xmppraw.Message(alice.JID, "flow"))
				}
			}
		})
	}
	for range 20 {
		alice.Want("flow")
		if got := alice.block("block", "bob@"+domain); !strings.Contains(got, "type='result' id='block'") {
			t.Fatalf("block: %s", got)
		}
		late := 0
		for range 10 {
			late += strings.Count(alice.Sync(), "flow")
		}
		if late > senders {
			t.Fatalf("%d messages after the block", late)
		}
		alice.block("unblock", "bob@"+domain)
	}
	close(stop)
	wg.Wait()
}
