package xmppd_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestPacedWebSocketHoldsNobodyUp: while a client that has sent too much is paused, what it has sent
// before, and what others send to the same receiver, arrives.
func TestPacedWebSocketHoldsNobodyUp(t *testing.T) {
	s := startServer(t, options{cfg: slow})
	_, _, addr := s.Addrs()
	var raw net.Conn
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var err error
		raw, err = new(net.Dialer).DialContext(ctx, network, addr)
		return raw, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	conn, err := dialWS(t, "ws://"+addr+"/ws", &websocket.DialOptions{Subprotocols: []string{"xmpp"}, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	alice := &wsClient{t: t, conn: conn, ctx: t.Context()}
	t.Cleanup(func() { _ = conn.CloseNow() })
	alice.login("alice", "x")
	bob, carol := login(t, s, "bob", "x"), login(t, s, "carol", "x")
	var frames []byte    // the server reads many at once
	for i := range 300 { // 14 s worth
		text := fmt.Sprintf("<message xmlns='jabber:client' to='%s' id='a%d'/>", bob.JID, i)
		frames = append(append(frames, 0x81, 0x80|byte(len(text)), 0, 0, 0, 0), text...) // masked with zeros
	}
	if _, err := raw.Write(frames); err != nil {
		t.Fatal(err)
	}
	bob.Want("id='a0'")
	carol.Send("<message to='" + bob.JID + "' id='c'/>")
	if got := bob.Want("id='c'"); strings.Contains(got, "id='a299'") {
		t.Error("somebody else's message came behind all that was sent too fast")
	}
	bob.Want("id='a59'")
}

// TestResumedIsTrusted: an account of the cluster has no limits of rates, on a resumed stream either.
func TestResumedIsTrusted(t *testing.T) {
	s := startServer(t, options{cfg: slow})
	bob := login(t, s, "bob", "x")
	first := enable(login(t, s, "dn1", "x"), "")
	first.Sync()
	_ = first.Conn.Close()
	again := authenticated(t, s, "dn1")
	if got := again.resume(first.id, 1); !strings.HasPrefix(got, "<resumed") {
		t.Fatal(got)
	}
	arrival(t, again, bob, 60, 4000)
	if n := counter(t, s, `xmppd_pauses_total{limit="stanzas"}`); n != 0 {
		t.Errorf("held up %d times", n)
	}
}
