package mission

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/rosterdb/rosterdb/test/harness"
)

const nsFraming = "urn:ietf:params:xml:ns:xmpp-framing"

// checkWebSocket: host-meta tells where the WebSocket is; two users log in there, through TLS, and
// chat, each element a message of its own; errors and ends are those of RFC 7395.
func checkWebSocket(t *testing.T) {
	s := harness.StartXMPPD(t, binary, "insecure_plaintext = false\nlisten_http = \"127.0.0.1:0\"\nlisten_https = \"127.0.0.1:0\"\n", "alice", "bob")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // self-signed
	t.Cleanup(client.CloseIdleConnections)
	url := alternative(t, client, "https://"+s.Addr(t, "https"), "wss://")
	if plain := alternative(t, client, "http://"+s.Addr(t, "http"), "ws://"); !strings.HasSuffix(plain, "/ws") {
		t.Errorf("plain WebSocket at %s", plain)
	}
	alice, bob := dialWebSocket(t, client, url), dialWebSocket(t, client, url)
	alice.login("alice")
	bob.login("bob")
	for i := range 50 {
		alice.send(saying("bob@"+harness.Domain+"/web", fmt.Sprintf("line %d.", i)))
	}
	for i := range 50 {
		got := bob.want("<message ", "xmlns='jabber:client'", fmt.Sprintf("line %d.", i))
		if strings.Count(got, "<message ") != 1 {
			t.Fatalf("several elements in a message: %s", got)
		}
	}
	bob.send(saying("alice@"+harness.Domain+"/web", "over"))
	alice.want("<body>over</body>")
	alice.send("<close xmlns='" + nsFraming + "'/>")
	alice.want("<close xmlns='" + nsFraming + "'/>")
	alice.ends()
	bob.send("<message><body></message>")
	bob.want("<stream:error", "xmlns:stream='http://etherx.jabber.org/streams'", "<not-well-formed")
	bob.want("<close xmlns='" + nsFraming + "'/>")
	bob.ends()
	// In the clear nobody can log in, and a page can't do without the sub-protocol.
	insecure := dialWebSocket(t, client, "ws://"+s.Addr(t, "http")+"/ws")
	if features := insecure.open(); strings.Contains(features, "<mechanism>") {
		t.Errorf("login is offered in the clear: %s", features)
	}
	if conn, resp, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: client}); err == nil {
		_ = conn.CloseNow()
		t.Error("a WebSocket without the sub-protocol xmpp")
	} else if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
}

// alternative finds the WebSocket as clients do (XEP-0156), in both formats.
func alternative(t *testing.T, client *http.Client, base, scheme string) string {
	t.Helper()
	get := func(path string) string {
		resp, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s: %s %v %v", path, resp.Status, resp.Header, err)
		}
		return string(b)
	}
	var meta struct{ Links []struct{ Rel, Href string } }
	if err := json.Unmarshal([]byte(get("/.well-known/host-meta.json")), &meta); err != nil {
		t.Fatal(err)
	}
	xml := get("/.well-known/host-meta")
	for _, l := range meta.Links {
		if !strings.Contains(xml, l.Href) {
			t.Errorf("%s is not in %s", l.Href, xml)
		}
		if l.Rel == "urn:xmpp:alt-connections:websocket" && strings.HasPrefix(l.Href, scheme) {
			return l.Href
		}
	}
	t.Fatalf("no WebSocket in %v", meta)
	return ""
}

// webSocket is a stream of RFC 7395 by hand.
type webSocket struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func dialWebSocket(t *testing.T, client *http.Client, url string) *webSocket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"xmpp"}}) //nolint:bodyclose // it is the connection
	if err != nil {
		t.Fatal(err)
	}
	if conn.Subprotocol() != "xmpp" {
		t.Errorf("sub-protocol %q", conn.Subprotocol())
	}
	t.Cleanup(func() {
		cancel()
		_ = conn.CloseNow()
	})
	return &webSocket{t: t, ctx: ctx, conn: conn}
}

func (w *webSocket) send(s string) {
	w.t.Helper()
	if err := w.conn.Write(w.ctx, websocket.MessageText, []byte(s)); err != nil {
		w.t.Fatal(err)
	}
}

// want reads one message, which has to contain the texts.
func (w *webSocket) want(texts ...string) string {
	w.t.Helper()
	_, b, err := w.conn.Read(w.ctx)
	if err != nil {
		w.t.Fatalf("wanted %q: %v", texts, err)
	}
	for _, s := range texts {
		if !strings.Contains(string(b), s) {
			w.t.Fatalf("wanted %q, got %q", texts, b)
		}
	}
	return string(b)
}

// ends expects the WebSocket's own end (RFC 6455).
func (w *webSocket) ends() {
	w.t.Helper()
	if _, b, err := w.conn.Read(w.ctx); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		w.t.Errorf("%q, %v", b, err)
	}
}

func (w *webSocket) open() (features string) {
	w.t.Helper()
	w.send("<open xmlns='" + nsFraming + "' to='" + harness.Domain + "' version='1.0'/>")
	w.want("<open xmlns='"+nsFraming+"'", "from='"+harness.Domain+"'", "version='1.0'")
	return w.want("<stream:features")
}

func (w *webSocket) login(user string) {
	w.t.Helper()
	w.open()
	proof := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + harness.Password))
	w.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + proof + "</auth>")
	w.want("<success")
	w.open()
	w.send("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>web</resource></bind></iq>")
	w.want("</jid>")
}
