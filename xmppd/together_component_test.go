package xmppd_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
	events "github.com/rosterdb/rosterdb/xmppd/portal"
)

// withComponents lets the component gateway connect to each of three servers.
func withComponents(c *xmppd.Config) {
	c.ListenComponent = "127.0.0.1:0"
	c.Components = []xmppd.ComponentConfig{{Name: gateway, Secret: "s3cret"}}
}

// reach asks the component gateway for something until somebody answers, and returns the answer.
func reach(t *testing.T, c *client, want string) {
	t.Helper()
	n := 0
	eventually(t, "the component's domain answers "+want, func() bool {
		n++
		id := fmt.Sprintf("ask%d", n)
		c.Send("<iq type='get' id='" + id + "' to='" + gateway + "'><query xmlns='jabber:iq:version'/></iq>")
		return strings.Contains(c.Want("id='"+id+"'")+c.Want(">")+c.Sync(), want)
	})
}

// TestComponentTogether: a component that is connected to one server talks to the clients of all, by one hop, and
// what is wrong is told to either side.
func TestComponentTogether(t *testing.T) {
	x := startTrio(t, trioOptions{cfg: withComponents})
	a, b := x.at(t, 1, "alice", "a"), x.at(t, 2, "bob", "b")
	c := loginComponent(t, x.servers[0])
	x.quiet(t)
	before := x.hops()
	const n = 20
	for i := range n {
		a.Send(fmt.Sprintf("<message type='chat' to='icq@%s/r' id='%d'><body>out%d.</body></message>", gateway, i, i))
	}
	got := ""
	for i := range n { // in order, each once
		got = c.Want(fmt.Sprintf("out%d.", i))
		c.Want("</message>")
	}
	if !strings.Contains(got, "from='alice@"+domain+"/a'") || strings.Contains(got, "jabber:client") {
		t.Errorf("the component got %s", got)
	}
	if hops := x.hops() - before; hops != n {
		t.Errorf("%d stanzas took %d hops", n, hops)
	}
	a.Send("<iq type='get' to='" + gateway + "' id='3'><ping xmlns='urn:xmpp:ping'/></iq>")
	c.Want("</iq>")
	c.Send("<iq type='result' from='" + gateway + "' to='alice@" + domain + "/a' id='3'/>")
	a.Want("id='3'")
	c.Send("<message type='chat' from='icq@" + gateway + "' to='bob@" + domain + "'><body>in</body></message>")
	b.Want("in</body>")
	c.Send("<iq type='get' from='icq@" + gateway + "' to='bob@" + domain + "/gone' id='4'><ping xmlns='urn:xmpp:ping'/></iq>")
	if got := c.Want("</iq>"); !strings.Contains(got, "service-unavailable") {
		t.Errorf("a session that is nowhere: %s", got)
	}
	b.Send("<iq type='get' to='" + domain + "' id='items'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
	if got := b.Want("</iq>"); !strings.Contains(got, "<item jid='"+gateway+"'/>") {
		t.Errorf("services, at another server: %s", got)
	}
	a.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence type='subscribe' to='icq@" + gateway + "'/>")
	c.Want("type='subscribe'")
	c.Send("<presence type='subscribed' from='icq@" + gateway + "' to='alice@" + domain + "'/><presence from='icq@" + gateway + "/r' to='alice@" + domain + "/a'><show>away</show></presence>")
	a.Want("<show>away</show>")
}

// TestComponentMovesTogether: a component belongs to the server where it has connected last; without one its domain
// is answered with an error everywhere.
func TestComponentMovesTogether(t *testing.T) {
	x := startTrio(t, trioOptions{cfg: withComponents})
	a := x.at(t, 1, "alice", "a")
	reach(t, a, "remote-server-not-found")
	old := loginComponent(t, x.servers[0])
	x.quiet(t)
	a.Send("<message to='" + gateway + "' id='first'/>")
	old.Want("id='first'")
	now := loginComponent(t, x.servers[2])
	if got := old.Rest(); !strings.Contains(got, "<conflict") {
		t.Errorf("the connection to the first server: %s", got)
	}
	x.quiet(t)
	a.Send("<message to='" + gateway + "' id='second'/>")
	now.Want("id='second'")
	x.close(t, x.servers[2])
	reach(t, a, "remote-server-not-found")
	again := loginComponent(t, x.servers[1])
	a.Send("<message to='" + gateway + "' id='third'/>")
	again.Want("id='third'")
}

// TestComponentNoticesFaults: without word of it nobody finds the component.
func TestComponentNoticesFaults(t *testing.T) {
	x := startTrio(t, trioOptions{cfg: withComponents, own: xmppd.Together{Exchange: exchange.Faults{HideDomains: true}}, n: 2})
	a := x.at(t, 1, "alice", "a")
	loginComponent(t, x.servers[0])
	x.quiet(t)
	reach(t, a, "remote-server-not-found")
}

// TestPortalTogether: an event that is posted at any server reaches the account wherever it is, once, and counts as taken at
// all of them.
func TestPortalTogether(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := startTrio(t, trioOptions{cfg: func(c *xmppd.Config) { c.Portal = xmppd.PortalConfig{Listen: "127.0.0.1:0", SecretFile: file} }})
	b := x.at(t, 2, "bob", "b")
	post := func(server int, body, at string) int {
		mac := hmac.New(sha256.New, []byte(key))
		_, _ = mac.Write([]byte("v1:" + at + ":" + body))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+x.servers[server].PortalAddr()+"/portal", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(events.TimestampHeader, at)
		req.Header.Set(events.SignatureHeader, "v1="+hex.EncodeToString(mac.Sum(nil)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	for i, typ := range []string{"headline", "chat", "normal"} {
		body := fmt.Sprintf(`{"id":"e%d","to":"bob@%s","type":"%s","body":"event%d."}`, i, domain, typ, i)
		if got := post(i%2, body, at); got != http.StatusAccepted {
			t.Errorf("%s: %d", typ, got)
		}
		for server := range x.servers {
			if got := post(server, body, at); got != http.StatusConflict {
				t.Errorf("%s again, at server %d: %d", typ, server, got)
			}
		}
	}
	x.quiet(t)
	got := b.Sync()
	for i := range 3 {
		if n := strings.Count(got, fmt.Sprintf("event%d.", i)); n != 1 {
			t.Errorf("event %d came %d times: %s", i, n, got)
		}
	}
}
