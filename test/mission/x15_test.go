package mission

import (
	"crypto/sha1" //nolint:gosec // the handshake of XEP-0114
	"encoding/hex"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// checkComponents: a component proves its secret by the digest handshake, then
// talks to users and they to it; with a wrong secret it is refused.
func checkComponents(t *testing.T) {
	const name, secret = "gateway." + harness.Domain, "s3cret"
	s := harness.StartXMPPD(t, binary, "listen_component = \"127.0.0.1:0\"\n[[component]]\nname = \""+name+"\"\nsecret = \""+secret+"\"\n", "alice")
	handshake := func(secret string) *harness.Stream {
		c := xmppraw.Connect(t, s.Addr(t, "components"))
		c.Send("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + name + "'>")
		_, id, _ := strings.Cut(c.Want("'>"), " id='")
		sum := sha1.Sum([]byte(strings.TrimSuffix(id, "'>") + secret)) //nolint:gosec // see above
		c.Send("<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>")
		return c
	}
	if got := handshake("wrong").End(); !strings.Contains(got, "<not-authorized") {
		t.Errorf("with a wrong secret: %q", got)
	}
	component := handshake(secret)
	component.Want("<handshake/>")
	alice := s.Online(t, "alice", "desk")
	alice.Send("<message type='chat' to='bot@" + name + "'><body>out</body></message>")
	if got := component.Want("</message>"); !strings.Contains(got, "from='"+alice.JID+"'") || !strings.Contains(got, "<body>out</body>") {
		t.Errorf("the component got %q", got)
	}
	component.Send("<message type='chat' from='bot@" + name + "/x' to='" + alice.JID + "'><body>in</body></message>")
	if got := alice.Want("</message>"); !strings.Contains(got, "from='bot@"+name+"/x'") || !strings.Contains(got, "<body>in</body>") {
		t.Errorf("the user got %q", got)
	}
}
