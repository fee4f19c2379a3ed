package mission

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// checkExtensions: what the server announces is there, each extension by one
// thing that a client does with it. Rooms and publish-subscribe are not due yet.
func checkExtensions(t *testing.T) {
	s := harness.StartXMPPD(t, binary, "[modules.adhoc]\nadmins = [\"alice\"]\n", "alice", "bob")
	features := streamFeatures(t, s)
	for _, want := range []string{"http://jabber.org/protocol/caps", "urn:xmpp:sm:3", "urn:xmpp:csi:0", "urn:xmpp:features:rosterver", "urn:xmpp:features:pre-approval"} {
		if !strings.Contains(features, want) {
			t.Errorf("the stream features lack %s: %s", want, features)
		}
	}
	alice, bob := s.Online(t, "alice", "desk"), s.Online(t, "bob", "desk")
	for _, c := range []struct{ name, typ, to, payload, want string }{
		{"discovery", "get", harness.Domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<identity category='server' type='im'"},
		{"capabilities", "get", harness.Domain, "<query xmlns='http://jabber.org/protocol/disco#info' node='" + capsNode(t, features) + "'/>", "<feature var='http://jabber.org/protocol/caps'/>"},
		{"ping", "get", harness.Domain, "<ping xmlns='urn:xmpp:ping'/>", "type='result'"},
		{"version", "get", harness.Domain, "<query xmlns='jabber:iq:version'/>", "<version>"},
		{"time", "get", harness.Domain, "<time xmlns='urn:xmpp:time'/>", "<utc>"},
		{"last activity", "get", harness.Domain, "<query xmlns='jabber:iq:last'/>", "seconds='"},
		{"private XML, written", "set", "", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><url name='a' url='b'/></storage></query>", "type='result'"},
		{"private XML, read", "get", "", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>", "<url name='a' url='b'/>"},
		{"vCard, written", "set", "", "<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>", "type='result'"},
		{"registration is off", "get", harness.Domain, "<query xmlns='jabber:iq:register'/>", "<registered/>"},
		{"commands", "get", harness.Domain, "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>", "add-user"},
		{"a command", "set", harness.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/admin#get-online-users-num'/>", "<value>2</value>"},
		{"block list", "get", "", "<blocklist xmlns='urn:xmpp:blocking'/>", "<blocklist"},
	} {
		if got := request(alice, c.typ, c.to, c.payload); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := request(bob, "get", "alice@"+harness.Domain, "<vCard xmlns='vcard-temp'/>"); !strings.Contains(got, "<FN>Alice</FN>") {
		t.Errorf("somebody else's vCard: %s", got)
	}
	if strings.Contains(streamFeaturesBeforeLogin(t, s), "iq-register") {
		t.Error("registration is offered though it is closed")
	}
	checkCarbons(t, s, alice, bob)
	checkClientState(t, alice, bob)
	checkResumption(t, s, bob)
}

// request sends an IQ and returns what comes up to its answer and the next one's.
func request(c *harness.Stream, typ, to, payload string) string {
	if to != "" {
		to = " to='" + to + "'"
	}
	c.Send("<iq type='" + typ + "' id='request'" + to + ">" + payload + "</iq>")
	return c.Sync()
}

const plainHeader = "<stream:stream to='" + harness.Domain + "' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"

func streamFeaturesBeforeLogin(t *testing.T, s *harness.XMPPD) string {
	t.Helper()
	c := xmppraw.Connect(t, s.Addr(t, "clients"))
	c.Send(plainHeader)
	return c.Want("</stream:features>")
}

// streamFeatures are what a client is offered that has logged in.
func streamFeatures(t *testing.T, s *harness.XMPPD) string {
	t.Helper()
	_, features := xmppraw.Authenticate(t, s.Addr(t, "clients"), "alice")
	return features
}

func capsNode(t *testing.T, features string) string {
	t.Helper()
	m := regexp.MustCompile(`<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='([^']+)' ver='([^']+)'/>`).FindStringSubmatch(features)
	if m == nil {
		t.Fatalf("no capabilities in %s", features)
	}
	return m[1] + "#" + m[2]
}

// checkCarbons: another client of a user sees both sides of a conversation.
func checkCarbons(t *testing.T, s *harness.XMPPD, alice, bob *harness.Stream) {
	t.Helper()
	phone := s.Online(t, "alice", "phone")
	if got := request(phone, "set", "", "<enable xmlns='urn:xmpp:carbons:2'/>"); !strings.Contains(got, "type='result'") {
		t.Fatalf("carbons: %s", got)
	}
	bob.Send("<message type='chat' to='" + alice.JID + "'><body>question</body></message>")
	alice.Want("question")
	alice.Send("<message type='chat' to='" + bob.JID + "'><body>reply</body></message>")
	bob.Want("reply")
	for _, want := range []string{"<received xmlns='urn:xmpp:carbons:2'>", "question", "<sent xmlns='urn:xmpp:carbons:2'>", "reply"} {
		phone.Want(want)
	}
}

// checkClientState: presence waits while a client is inactive, and messages don't.
func checkClientState(t *testing.T, alice, bob *harness.Stream) {
	t.Helper()
	alice.Sync()
	alice.Send("<inactive xmlns='urn:xmpp:csi:0'/>")
	alice.Sync()
	bob.Send("<presence to='" + alice.JID + "'><status>one</status></presence><presence to='" + alice.JID + "'><status>two</status></presence>")
	bob.Sync()
	bob.Send("<message type='chat' to='" + alice.JID + "'><body>wake up</body></message>")
	got := alice.Want("wake up")
	if strings.Contains(got, "<status>one") || !strings.Contains(got, "<status>two") {
		t.Errorf("an inactive client got %s", got)
	}
	alice.Send("<active xmlns='urn:xmpp:csi:0'/>")
}

// checkResumption: what was sent while a client's connection was gone reaches it
// when it comes back, once and in order, and what it had is not sent again.
func checkResumption(t *testing.T, s *harness.XMPPD, bob *harness.Stream) {
	t.Helper()
	c := s.Online(t, "alice", "train")
	c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	m := regexp.MustCompile(`<enabled[^>]* id='([^']+)'`).FindStringSubmatch(c.Want("/>"))
	if m == nil {
		t.Fatal("stream management gives no id")
	}
	bob.Send("<message type='chat' to='" + c.JID + "' id='m0'><body>0</body></message>")
	c.Want("id='m0'")
	c.Want("</message>")
	_ = c.Conn.Close()
	for i := 1; i <= 5; i++ {
		bob.Send(fmt.Sprintf("<message type='chat' to='%s' id='m%d'><body>%d</body></message>", c.JID, i, i))
	}
	if got := bob.Sync(); strings.Contains(got, "type='error'") {
		t.Fatalf("a message bounced: %s", got)
	}
	again, _ := xmppraw.Authenticate(t, s.Addr(t, "clients"), "alice")
	again.JID = c.JID
	again.Send("<resume xmlns='urn:xmpp:sm:3' h='1' previd='" + m[1] + "'/>")
	if got := again.Want("id='m1'"); !strings.Contains(got, "<resumed") || strings.Contains(got, "id='m0'") {
		t.Errorf("resumed: %s", got)
	}
	for i := 2; i <= 5; i++ {
		if got := again.Want(fmt.Sprintf("id='m%d'", i)); strings.Count(got, "<message") != 1 {
			t.Errorf("message %d came with others: %s", i, got)
		}
	}
	if got := again.Sync(); strings.Contains(got, "<message") {
		t.Errorf("doubled: %s", got)
	}
}
