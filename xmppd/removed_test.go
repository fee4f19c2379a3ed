package xmppd_test

import (
	"context"
	"strings"
	"testing"
)

// TestRemovedAccountCannotBind: a client that has authenticated before its account is removed gets
// no session afterwards.
func TestRemovedAccountCannotBind(t *testing.T) {
	s := startServer(t, options{})
	c := authenticated(t, s, "alice")
	if err := s.Accounts().Delete(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	c.Send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><presence/>")
	if got := c.Rest(); !strings.Contains(got, "<not-authorized ") {
		t.Errorf("got %s", got)
	}
}

// TestRemovedAccountLeavesNothing: what a session sends behind the removal of its own account is not
// kept for the next account of that name.
func TestRemovedAccountLeavesNothing(t *testing.T) {
	s := startServer(t, options{})
	alice := online(t, s, "alice", "a")
	alice.Send("<iq type='set' id='1' to='" + domain + "'><query xmlns='jabber:iq:register'><remove/></query></iq>" +
		"<iq type='set' id='2'><vCard xmlns='vcard-temp'><FN>Mallory</FN></vCard></iq>" +
		"<iq type='set' id='3'><query xmlns='jabber:iq:private'><x xmlns='urn:x'>secret</x></query></iq>" +
		"<iq type='set' id='4'><block xmlns='urn:xmpp:blocking'><item jid='bob@" + domain + "'/></block></iq>" +
		"<iq type='set' id='5'><query xmlns='jabber:iq:roster'><item jid='mallory@" + domain + "'/></query></iq>" +
		"<presence type='subscribed' to='carol@" + domain + "'/>" +
		"<iq type='set' id='6'><prefs xmlns='urn:xmpp:mam:2' default='always'/></iq>")
	alice.Rest()
	bob := login(t, s, "bob", "b")
	bob.Send("<iq type='get' id='v' to='alice@" + domain + "'><vCard xmlns='vcard-temp'/></iq>")
	if got := bob.Sync(); !strings.Contains(got, "<item-not-found ") { // neither a vCard nor a block list
		t.Errorf("what the account has said after its end counts: %s", got)
	}
	if err := s.Accounts().Add(context.Background(), "alice", password, ""); err != nil {
		t.Fatal(err)
	}
	alice = login(t, s, "alice", "b")
	alice.Send("<iq type='get' id='a'><vCard xmlns='vcard-temp'/></iq>" +
		"<iq type='get' id='b'><query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query></iq>" +
		"<iq type='get' id='c'><blocklist xmlns='urn:xmpp:blocking'/></iq>" +
		"<iq type='get' id='d'><query xmlns='jabber:iq:roster'/></iq>" +
		"<iq type='get' id='e'><prefs xmlns='urn:xmpp:mam:2'/></iq>")
	got := alice.Sync()
	for _, left := range []string{"Mallory", "secret", "bob@", "mallory@", "carol@", "always'"} {
		if strings.Contains(got, left) {
			t.Errorf("the next account of that name has %s: %s", left, got)
		}
	}
}
