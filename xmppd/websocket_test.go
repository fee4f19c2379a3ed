package xmppd_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const nsFraming = "urn:ietf:params:xml:ns:xmpp-framing"

// wsClient is a client that sends and expects messages.
type wsClient struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context
}

func dialWS(t *testing.T, url string, opt *websocket.DialOptions) (*websocket.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, url, opt)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	return conn, err
}

// connectWS opens a WebSocket to the server's HTTP listener, or to its HTTPS listener.
func connectWS(t *testing.T, s *xmppd.Server, secure bool) *wsClient {
	t.Helper()
	_, _, addr := s.Addrs()
	url, opt := "ws://"+addr+"/ws", &websocket.DialOptions{Subprotocols: []string{"xmpp"}}
	if secure {
		url = "wss://" + s.AddrHTTPS() + "/ws"
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		t.Cleanup(transport.CloseIdleConnections)
		opt.HTTPClient = &http.Client{Transport: transport}
	}
	conn, err := dialWS(t, url, opt)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	c := &wsClient{t: t, conn: conn, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		_ = conn.CloseNow()
	})
	return c
}

func (c *wsClient) send(s string) {
	c.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(s)); err != nil {
		c.t.Fatalf("send %.100q: %v", s, err)
	}
}

func (c *wsClient) read() (string, error) {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	_, b, err := c.conn.Read(ctx)
	return string(b), err
}

// want reads one message, which contains all of the texts.
func (c *wsClient) want(texts ...string) string {
	c.t.Helper()
	got, err := c.read()
	if err != nil {
		c.t.Fatalf("wanted %q: %v", texts, err)
	}
	for _, s := range texts {
		if !strings.Contains(got, s) {
			c.t.Fatalf("wanted %q, got %q", texts, got)
		}
	}
	return got
}

func (c *wsClient) open() (features string) {
	c.t.Helper()
	c.send("<open xmlns='" + nsFraming + "' to='" + domain + "' version='1.0'/>")
	c.want("<open xmlns='"+nsFraming+"'", "from='"+domain+"'", "version='1.0'", " id='")
	return c.want("<stream:features", "xmlns:stream='http://etherx.jabber.org/streams'")
}

func (c *wsClient) login(user, resource string) {
	c.t.Helper()
	if features := c.open(); !strings.Contains(features, "<mechanism>PLAIN</mechanism>") || strings.Contains(features, "starttls") {
		c.t.Fatalf("features %q", features)
	}
	auth := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + auth + "</auth>")
	c.want("<success")
	c.open()
	c.send("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	c.want("<iq ", "xmlns='jabber:client'", user+"@"+domain+"/"+resource)
}

// loginWS returns a client with a session over WebSocket.
func loginWS(t *testing.T, s *xmppd.Server, secure bool, user, resource string) *wsClient {
	t.Helper()
	c := connectWS(t, s, secure)
	c.login(user, resource)
	return c
}

func webServer(t *testing.T, change func(*xmppd.Config)) *xmppd.Server {
	t.Helper()
	return startServer(t, options{cfg: func(c *xmppd.Config) {
		c.ListenHTTP, c.ListenHTTPS = "127.0.0.1:0", "127.0.0.1:0"
		if change != nil {
			change(c)
		}
	}})
}

func TestWebSocketChat(t *testing.T) {
	s := webServer(t, nil)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("secure %v", secure), func(t *testing.T) {
			alice := loginWS(t, s, secure, "alice", fmt.Sprint(secure))
			bob := login(t, s, "bob", fmt.Sprint(secure))
			for i := range 50 {
				bob.Send(xmppraw.Message(fmt.Sprintf("alice@%s/%v", domain, secure), fmt.Sprintf("line %d.", i)))
			}
			for i := range 50 {
				// Each stanza is a message of its own and says its namespace (RFC 7395 section 3.3.3).
				got := alice.want("<message xmlns='jabber:client'", fmt.Sprintf("line %d.", i))
				if strings.Count(got, "<message") != 1 {
					t.Fatalf("several stanzas in one message: %q", got)
				}
			}
			alice.send("<message xmlns='jabber:client' to='" + bob.JID + "' type='chat'><body>over</body></message>")
			bob.Want("<body>over</body></message>")
			alice.send("<iq type='get' id='p' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
			alice.want("id='p'", "type='result'")
			// A peer's prefix must not break the document of another.
			bob.Send("<message to='" + fmt.Sprintf("alice@%s/%v", domain, secure) + "'><stream:x/></message>")
			alice.want("xmlns:stream='http://etherx.jabber.org/streams'")
			alice.send("<close xmlns='" + nsFraming + "'/>")
			alice.want("<close xmlns='" + nsFraming + "'/>")
			if got, err := alice.read(); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Fatalf("behind the close element: %q, %v", got, err)
			}
		})
	}
}

// TestWebSocketErrors: each gets its stream error, a close element and a close frame.
func TestWebSocketErrors(t *testing.T) {
	s := webServer(t, func(c *xmppd.Config) { c.Limits.StanzaBytes = 20_000 })
	hasty := webServer(t, func(c *xmppd.Config) { c.Limits.NegotiationSeconds = 1 }) // too little for a login on a slow machine
	for name, tc := range map[string]struct {
		login bool
		send  string
		want  string
	}{
		"no open":                {false, "<iq/>", "bad-format"},
		"open of TCP":            {false, header, "restricted-xml"},
		"other namespace":        {false, "<open xmlns='jabber:client' to='" + domain + "' version='1.0'/>", "invalid-namespace"},
		"another domain":         {false, "<open xmlns='" + nsFraming + "' to='example.org' version='1.0'/>", "host-unknown"},
		"no version":             {false, "<open xmlns='" + nsFraming + "' to='" + domain + "'/>", "unsupported-version"},
		"bad address":            {false, "<open xmlns='" + nsFraming + "' to='@' version='1.0'/>", "improper-addressing"},
		"silence":                {false, "", "connection-timeout"},
		"two elements":           {true, "<presence/><presence/>", "bad-format"},
		"leading space":          {true, " <presence/>", "bad-format"},
		"half an element":        {true, "<message>", "not-well-formed"},
		"white space":            {true, " ", "not-well-formed"},
		"end of a TCP stream":    {true, "</stream:stream>", "not-well-formed"},
		"comment":                {true, "<!-- x --><presence/>", "restricted-xml"},
		"XML declaration":        {true, "<?xml version='1.0'?><presence/>", "restricted-xml"},
		"invalid UTF-8":          {true, "<message><body>\xff</body></message>", ""},
		"long":                   {true, "<message><body>" + strings.Repeat("x", 20_000) + "</body></message>", "policy-violation"},
		"deep":                   {true, strings.Repeat("<a>", 200) + strings.Repeat("</a>", 200), "policy-violation"},
		"spoofed":                {true, "<message from='bob@" + domain + "' to='bob@" + domain + "'/>", "invalid-from"},
		"unknown element":        {true, "<a xmlns='b'/>", "unsupported-stanza-type"},
		"open in a bound stream": {true, "<open xmlns='" + nsFraming + "' to='" + domain + "' version='1.0'/>", "unsupported-stanza-type"},
	} {
		t.Run(name, func(t *testing.T) {
			at := s
			if tc.send == "" {
				at = hasty
			}
			c := connectWS(t, at, false)
			if tc.login {
				c.login("alice", "errors")
			}
			if tc.send != "" {
				c.send(tc.send)
			}
			got, err := c.read()
			if err == nil && strings.HasPrefix(got, "<open ") {
				got, err = c.read()
			}
			if err != nil || !strings.HasPrefix(got, "<stream:error ") || !strings.Contains(got, "xmlns:stream=") || !strings.Contains(got, "<"+tc.want) {
				t.Fatalf("got %q, %v; want the stream error %q", got, err, tc.want)
			}
			c.want("<close xmlns='" + nsFraming + "'/>")
			if got, err := c.read(); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Fatalf("behind the close element: %q, %v", got, err)
			}
		})
	}
}

func TestWebSocketHandshake(t *testing.T) {
	s := webServer(t, func(c *xmppd.Config) { c.Web.Origins = []string{"https://chat.example.net"} })
	_, _, addr := s.Addrs()
	for name, tc := range map[string]struct {
		protocols []string
		origin    string
		ok        bool
	}{
		"no sub-protocol":      {nil, "", false},
		"another sub-protocol": {[]string{"soap"}, "", false},
		"several":              {[]string{"soap", "xmpp"}, "", true},
		"allowed origin":       {[]string{"xmpp"}, "https://chat.example.net", true},
		"another origin":       {[]string{"xmpp"}, "https://evil.example", false},
	} {
		opt := &websocket.DialOptions{Subprotocols: tc.protocols, HTTPHeader: http.Header{}}
		if tc.origin != "" {
			opt.HTTPHeader.Set("Origin", tc.origin)
		}
		conn, err := dialWS(t, "ws://"+addr+"/ws", opt)
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if got := conn.Subprotocol(); got != "xmpp" {
				t.Errorf("%s: sub-protocol %q", name, got)
			}
			_ = conn.CloseNow()
		}
	}
}

// TestWebSocketFrames: what RFC 6455 has besides whole text messages.
func TestWebSocketFrames(t *testing.T) {
	s := webServer(t, nil)
	t.Run("ping", func(t *testing.T) {
		c := loginWS(t, s, false, "alice", "ping")
		c.conn.CloseRead(c.ctx) // reads the pong
		if err := c.conn.Ping(c.ctx); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("fragments", func(t *testing.T) {
		c := loginWS(t, s, false, "alice", "fragments")
		w, err := c.conn.Writer(c.ctx, websocket.MessageText)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"<iq type='get' id='fra", "gments' to='" + domain + "'>", "<ping xmlns='urn:xmpp:ping'/>", "</iq>"} {
			if _, err := w.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		c.want("id='fragments'")
	})
	t.Run("binary", func(t *testing.T) {
		c := loginWS(t, s, false, "alice", "binary")
		if err := c.conn.Write(c.ctx, websocket.MessageBinary, []byte("<presence/>")); err != nil {
			t.Fatal(err)
		}
		if got, err := c.read(); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
			t.Fatalf("%q, %v", got, err)
		}
	})
	t.Run("large", func(t *testing.T) {
		c, bob := loginWS(t, s, true, "alice", "large"), loginWS(t, s, true, "bob", "large")
		body := strings.Repeat("0123456789abcdef", 15_000)
		for range 5 {
			c.send("<message xmlns='jabber:client' to='bob@" + domain + "/large'><body>" + body + "</body></message>")
		}
		for range 5 {
			bob.want("<body>" + body + "</body>")
		}
	})
}

// TestWebSocketEnds: others see the end of a session whose WebSocket ends without a close element,
// and clients are told when the server ends.
func TestWebSocketEnds(t *testing.T) {
	s := webServer(t, nil)
	bob := online(t, s, "bob", "end")
	alice := loginWS(t, s, false, "alice", "end")
	alice.send("<presence to='" + bob.JID + "'/>")
	bob.Want("from='alice@" + domain + "/end'/>")
	if err := alice.conn.Close(websocket.StatusGoingAway, ""); err != nil {
		t.Fatal(err)
	}
	bob.Want("type='unavailable'")
	alice = loginWS(t, s, true, "alice", "again")
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	alice.want("<stream:error", "system-shutdown")
	alice.want("<close")
	if _, err := alice.read(); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Error(err)
	}
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal(errors.New("the server does not end"))
	}
}

// TestWebLoginNeedsTLS: over plain HTTP no login is offered, unless a trusted proxy has taken TLS off.
func TestWebLoginNeedsTLS(t *testing.T) {
	for _, tc := range []struct {
		proxies []string
		proto   string
		offered bool
	}{
		{nil, "", false}, {nil, "https", false}, {[]string{"127.0.0.1"}, "http", false}, {[]string{"127.0.0.1"}, "https", true},
	} {
		s := webServer(t, func(c *xmppd.Config) { c.InsecurePlaintext, c.Web.TrustedProxies = false, tc.proxies })
		_, _, addr := s.Addrs()
		opt := &websocket.DialOptions{Subprotocols: []string{"xmpp"}, HTTPHeader: http.Header{}}
		if tc.proto != "" {
			opt.HTTPHeader.Set("X-Forwarded-Proto", tc.proto)
		}
		conn, err := dialWS(t, "ws://"+addr+"/ws", opt)
		if err != nil {
			t.Fatal(err)
		}
		c := &wsClient{t: t, conn: conn, ctx: t.Context()}
		if features := c.open(); strings.Contains(features, "<mechanism>") != tc.offered {
			t.Errorf("proxies %v, forwarded as %q: %s", tc.proxies, tc.proto, features)
		}
		c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00alice\x00"+password)) + "</auth>")
		want := "<encryption-required/>"
		if tc.offered {
			want = "<success"
		}
		c.want(want)
		_ = conn.CloseNow()
	}
}

// TestWebSocketResumption: a session goes on over another WebSocket, or over TCP, when its WebSocket is
// closed without the end of the stream (RFC 7395 section 3.6).
func TestWebSocketResumption(t *testing.T) {
	s := webServer(t, nil)
	alice := online(t, s, "alice", "a")
	for _, secure := range []bool{false, true} {
		bob := loginWS(t, s, secure, "bob", "w")
		bob.send("<enable xmlns='" + nsSM + "' resume='true'/>")
		id := regexp.MustCompile(` id='([^']+)'`).FindStringSubmatch(bob.want("<enabled "))[1]
		alice.Send(xmppraw.Message("bob@"+domain+"/w", "1"))
		bob.want("<message xmlns='jabber:client'", "<body>1</body>")
		_ = bob.conn.Close(websocket.StatusGoingAway, "")
		alice.Send(xmppraw.Message("bob@"+domain+"/w", "2"))
		if got := alice.Sync(); strings.Contains(got, "error") {
			t.Errorf("the sender got %s", got)
		}
		back := connectWS(t, s, secure)
		back.open()
		back.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00bob\x00"+password)) + "</auth>")
		back.want("<success")
		if got := back.open(); !strings.Contains(got, "<sm xmlns='"+nsSM+"'/>") {
			t.Errorf("features: %s", got)
		}
		back.send("<resume xmlns='" + nsSM + "' h='1' previd='" + id + "'/>")
		back.want("<resumed ", "h='0'", "previd='"+id+"'")
		back.want("<body>2</body>")
		back.want("<r xmlns='" + nsSM + "'/>")
		back.send("<a xmlns='" + nsSM + "' h='2'/>")
		tcp := authenticated(t, s, "bob")
		if got := tcp.resume(id, 2); !strings.Contains(got, "<resumed ") {
			t.Error(got)
		}
		alice.Send(xmppraw.Message("bob@"+domain+"/w", "3"))
		if got := bodies(tcp.Want("<body>3</body>")); len(got) != 1 {
			t.Errorf("on TCP: %q", got)
		}
		tcp.Send("</stream:stream>")
		tcp.Rest()
	}
}
