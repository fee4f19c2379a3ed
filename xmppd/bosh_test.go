package xmppd_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const nsBOSH = "http://jabber.org/protocol/httpbind"

// boshClient is a session over real HTTP requests.
type boshClient struct {
	t    *testing.T
	http *http.Client
	url  string
	sid  string
	rid  int64
}

func (c *boshClient) post(attrs, payload string) string {
	c.t.Helper()
	c.rid++
	if c.sid != "" {
		attrs += " sid='" + c.sid + "'"
	}
	body := fmt.Sprintf("<body xmlns='"+nsBOSH+"' xmlns:xmpp='urn:xmpp:xbosh' rid='%d' %s>%s</body>", c.rid, attrs, payload)
	resp, err := c.http.Post(c.url, "text/xml; charset=utf-8", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		c.t.Fatalf("%s, %v: %v", resp.Status, resp.Header, err)
	}
	return string(got)
}

func (c *boshClient) want(got string, texts ...string) {
	c.t.Helper()
	for _, s := range texts {
		if !strings.Contains(got, s) {
			c.t.Fatalf("wanted %q, got %q", texts, got)
		}
	}
}

// loginBOSH returns a client with a session over BOSH.
func loginBOSH(t *testing.T, s *xmppd.Server, user, resource string) *boshClient {
	t.Helper()
	_, _, addr := s.Addrs()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := &boshClient{t: t, http: &http.Client{Transport: transport, Timeout: 3 * patience}, url: "http://" + addr + "/bosh", rid: 4711}
	got := c.post("to='"+domain+"' wait='20' hold='1' ver='1.6' xmpp:version='1.0'", "")
	c.want(got, " requests='2'", " inactivity='60'", "xmpp:restartlogic='true'", "<stream:features", "<mechanism>PLAIN</mechanism>")
	c.sid = regexp.MustCompile(` sid='([^']+)'`).FindStringSubmatch(got)[1]
	auth := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	c.want(c.post("", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"+auth+"</auth>"), "<success")
	features := c.post("to='"+domain+"' xmpp:restart='true'", "")
	if c.want(features, "<bind"); strings.Contains(features, nsSM) {
		t.Errorf("offered on BOSH: %s", features)
	}
	c.want(c.post("", "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"+resource+"</resource></bind></iq>"), "xmlns='jabber:client'", user+"@"+domain+"/"+resource)
	return c
}

func TestBOSHChat(t *testing.T) {
	s := webServer(t, nil)
	alice, bob := loginBOSH(t, s, "alice", "b"), online(t, s, "bob", "b")
	alice.want(alice.post("", "<presence xmlns='jabber:client'/><iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"), "id='r'")
	for i := range 20 {
		line := fmt.Sprintf("line %d.", i)
		bob.Send(xmppraw.Message("alice@"+domain+"/b", line))
		bob.Sync()
		alice.want(alice.post("", "<message xmlns='jabber:client' type='chat' to='bob@"+domain+"/b'><body>to "+line+"</body></message>"), "<message xmlns='jabber:client'", line)
		bob.Want("<body>to " + line + "</body>")
	}
	alice.want(alice.post("type='terminate'", "<presence xmlns='jabber:client' type='unavailable'/>"), "type='terminate'")
}

// TestBOSHHolds: a request is answered when something comes, or when its time is over, and the HTTP
// server's own deadlines don't cut it.
func TestBOSHHolds(t *testing.T) {
	s := webServer(t, func(c *xmppd.Config) { c.Web.BOSH.WaitSeconds = 1 })
	alice := loginBOSH(t, s, "alice", "holds")
	begin := time.Now()
	alice.want(alice.post("", ""), "<body xmlns='"+nsBOSH+"'/>")
	if d := time.Since(begin); d < 900*time.Millisecond || d > patience {
		t.Errorf("an empty request was held for %v", d)
	}
	bob := online(t, s, "bob", "holds")
	go func() {
		time.Sleep(100 * time.Millisecond) // while a request is held
		bob.TrySend(xmppraw.Message("alice@"+domain+"/holds", "wake up"))
	}()
	got := alice.post("", "")
	for end := time.Now().Add(patience); !strings.Contains(got, "wake up") && time.Now().Before(end); {
		got = alice.post("", "") // the time of the one before was over
	}
	alice.want(got, "wake up")
}

// TestBOSHPreflight: what browsers ask before they send XML to another origin.
func TestBOSHPreflight(t *testing.T) {
	for origin, want := range map[string]int{"https://chat.example.net": http.StatusNoContent, "https://evil.example": http.StatusForbidden} {
		s := webServer(t, func(c *xmppd.Config) { c.Web.Origins = []string{"https://chat.example.net"} })
		_, _, addr := s.Addrs()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+addr+"/bosh", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		req.Header.Set("Access-Control-Request-Headers", "content-type")
		transport := &http.Transport{}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.StatusCode != want || want == http.StatusNoContent && (resp.Header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "Content-Type")) {
			t.Errorf("%s: %s %v", origin, resp.Status, resp.Header)
		}
	}
}

// TestBOSHNeedsTLS: as for WebSocket.
func TestBOSHNeedsTLS(t *testing.T) {
	s := webServer(t, func(c *xmppd.Config) { c.InsecurePlaintext = false })
	_, _, addr := s.Addrs()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := &boshClient{t: t, http: &http.Client{Transport: transport}, url: "http://" + addr + "/bosh", rid: 1}
	if got := c.post("to='"+domain+"'", ""); strings.Contains(got, "<mechanism") || !strings.Contains(got, "<stream:features") {
		t.Errorf("plain HTTP: %s", got)
	}
}

// TestBOSHIsReliable: BOSH loses and doubles nothing by itself, so stream management is not offered on it.
func TestBOSHIsReliable(t *testing.T) {
	s := webServer(t, nil)
	bob := loginBOSH(t, s, "bob", "b")
	bob.want(bob.post("", "<enable xmlns='"+nsSM+"' resume='true'/>"), "<failed xmlns='"+nsSM+"'><feature-not-implemented ")
}
