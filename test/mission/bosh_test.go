package mission

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

const nsBOSH = "http://jabber.org/protocol/httpbind"

// bosh is a BOSH session (XEP-0124) by hand: which request goes out when, and how often, is up to the caller.
type bosh struct {
	t    *testing.T
	url  string
	http http.Client
	sid  string
	rid  int64 // of the last request made
}

// body makes the next request.
func (b *bosh) body(attrs, payload string) string {
	b.rid++
	if b.sid != "" {
		attrs += " sid='" + b.sid + "'"
	}
	return fmt.Sprintf("<body xmlns='"+nsBOSH+"' xmlns:xmpp='urn:xmpp:xbosh' rid='%d' %s>%s</body>", b.rid, attrs, payload)
}

// post sends a request and returns the answer; "" if the connection was cut.
func (b *bosh) post(ctx context.Context, body string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(body))
	if err != nil {
		b.t.Error(err)
		return ""
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	resp, err := b.http.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Errorf("%s %v: %s", resp.Status, err, got)
	}
	return string(got)
}

// want is post of the next request, whose answer has to contain a text.
func (b *bosh) want(attrs, payload, text string) string {
	b.t.Helper()
	got := b.post(b.t.Context(), b.body(attrs, payload))
	if !strings.Contains(got, text) {
		b.t.Fatalf("wanted %q, got %q", text, got)
	}
	return got
}

// later sends a request whose answer comes some time.
func (b *bosh) later(body string) (answer chan string, cut context.CancelFunc) {
	ctx, cancel := context.WithCancel(b.t.Context())
	answer = make(chan string, 1)
	go func() { answer <- b.post(ctx, body) }()
	return answer, cancel
}

// loginBOSH logs a user in.
func loginBOSH(t *testing.T, s *harness.XMPPD, user, resource string) *bosh {
	t.Helper()
	b := &bosh{t: t, url: "http://" + s.Addr(t, "http") + "/bosh", rid: time.Now().Unix()}
	b.http = http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	t.Cleanup(b.http.CloseIdleConnections)
	got := b.want("to='"+harness.Domain+"' wait='30' hold='1' ver='1.6' xmpp:version='1.0'", "", "<mechanism>PLAIN</mechanism>")
	b.sid = regexp.MustCompile(` sid='([^']+)'`).FindStringSubmatch(got)[1]
	proof := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + harness.Password))
	b.want("", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"+proof+"</auth>", "<success")
	b.want("to='"+harness.Domain+"' xmpp:restart='true'", "", "<bind")
	b.want("", "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"+resource+"</resource></bind></iq>", "</jid>")
	return b
}

func saying(to, text string) string {
	return "<message xmlns='jabber:client' type='chat' to='" + to + "'><body>" + text + "</body></message>"
}
