package xmppconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
)

// asked notes what clients say to a server that sends them elsewhere.
type asked struct {
	mu  sync.Mutex
	all []xmppconntest.Redirect
	to  func(n int) string // where the nth, from 1, is sent
}

func (a *asked) redirect(r xmppconntest.Redirect) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, r)
	return a.to(len(a.all))
}

func (a *asked) said() []xmppconntest.Redirect {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]xmppconntest.Redirect(nil), a.all...)
}

// send sets where clients are sent.
func (a *asked) send(to func(n int) string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.to = to
}

// always sends everybody to one place.
func always(to string) func(int) string { return func(int) string { return to } }

func TestFollowsRedirect(t *testing.T) {
	there := &asked{to: always("")}
	second := serve(t, xmppconntest.Options{Redirect: there.redirect})
	here := &asked{to: always(second.Addr())}
	first := serve(t, xmppconntest.Options{Redirect: here.redirect})
	r := newRecorder()
	start(t, first, Config{InsecurePlaintext: true, Zone: "east"}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	if at := r.conn().Addr(); at != second.Addr() {
		t.Errorf("logged in at %s, want %s", at, second.Addr())
	}
	if got, want := here.said(), (xmppconntest.Redirect{Zone: "east"}); len(got) != 1 || got[0] != want {
		t.Errorf("the first server was told %+v, want %+v", got, want)
	}
	if got, want := there.said(), (xmppconntest.Redirect{Zone: "east", Hops: "1", From: first.Addr()}); len(got) != 1 || got[0] != want {
		t.Errorf("the second server was told %+v, want %+v", got, want)
	}
}

// circle is two servers that send everybody to each other, up to the limit of tries that
// ends the test.
func circle(t *testing.T, f faults) (tries int, r *recorder) {
	t.Helper()
	const enough = 20
	var a, b asked
	first := serve(t, xmppconntest.Options{Redirect: a.redirect})
	second := serve(t, xmppconntest.Options{Redirect: b.redirect})
	a.send(func(n int) string {
		if n >= enough {
			return ""
		}
		return second.Addr()
	})
	b.send(always(first.Addr()))
	r = newRecorder()
	stop := start(t, first, Config{InsecurePlaintext: true, faults: f}, r)
	r.until(t, "the end of the first attempt", func() bool { return len(r.retries)+len(r.up) > 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	return len(a.said()), r
}

func TestRedirectsInACircleEnd(t *testing.T) {
	if _, r := circle(t, faults{}); len(r.retries) == 0 || !errors.Is(r.retries[0], errCircle) {
		t.Errorf("retries for %v, want for errCircle", r.retries)
	}
}

func TestFaultNoLoopGuard(t *testing.T) {
	if n, r := circle(t, faults{circles: true}); n < 20 || len(r.up) == 0 {
		t.Errorf("without a guard the client went in a circle %d times only", n)
	}
}

func TestFollowsTwoRedirectsAtMost(t *testing.T) {
	last := serve(t, xmppconntest.Options{})
	third := serve(t, xmppconntest.Options{Redirect: (&asked{to: always(last.Addr())}).redirect})
	second := serve(t, xmppconntest.Options{Redirect: (&asked{to: always(third.Addr())}).redirect})
	first := serve(t, xmppconntest.Options{Redirect: (&asked{to: always(second.Addr())}).redirect})
	r := newRecorder()
	stop := start(t, first, Config{InsecurePlaintext: true}, r)
	r.until(t, "the end of the first attempt", func() bool { return len(r.retries)+len(r.up) > 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(r.retries) == 0 || !errors.Is(r.retries[0], errCircle) {
		t.Errorf("retries for %v, want for errCircle", r.retries)
	}
}

// TestRedirectThatLeadsNowhere is taken for a failed attempt; the next one stays.
func TestRedirectThatLeadsNowhere(t *testing.T) {
	dead := serve(t, xmppconntest.Options{})
	addr := dead.Addr()
	dead.Close()
	here := &asked{to: func(n int) string {
		if n == 1 {
			return addr
		}
		return ""
	}}
	first := serve(t, xmppconntest.Options{Redirect: here.redirect})
	r := newRecorder()
	start(t, first, Config{InsecurePlaintext: true}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	if at := r.conn().Addr(); at != first.Addr() {
		t.Errorf("logged in at %s, want %s", at, first.Addr())
	}
}

// both trusts both servers' certificates.
func both(a, b *xmppconntest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate())
	pool.AddCert(b.Certificate())
	return pool
}

// impostor runs a client that its server sends to one with another domain's certificate.
func impostor(t *testing.T, f faults) *recorder {
	t.Helper()
	other := serve(t, xmppconntest.Options{TLS: true, CertName: "other.example"})
	here := &asked{to: func(n int) string {
		if n == 1 {
			return other.Addr()
		}
		return ""
	}}
	s := serve(t, xmppconntest.Options{TLS: true, Redirect: here.redirect})
	r := newRecorder()
	stop := start(t, s, Config{TLS: &tls.Config{RootCAs: both(s, other), MinVersion: tls.VersionTLS12}, faults: f}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if f == (faults{}) && r.conn().Addr() != s.Addr() {
		t.Errorf("logged in at %s, want %s", r.conn().Addr(), s.Addr())
	}
	return r
}

func TestDomainIsVerifiedBehindRedirect(t *testing.T) {
	r := impostor(t, faults{})
	if len(r.retries) != 1 || !strings.Contains(r.retries[0].Error(), "certificate") {
		t.Errorf("retries for %v, want one for the certificate", r.retries)
	}
}

func TestFaultNoVerificationBehindRedirect(t *testing.T) {
	if r := impostor(t, faults{unverified: true}); len(r.retries) != 0 {
		t.Errorf("retries for %v; without the check the impostor gets the login", r.retries)
	}
}

// TestRedirectBeforeTLS may be anybody's word.
func TestRedirectBeforeTLS(t *testing.T) {
	second := serve(t, xmppconntest.Options{TLS: true})
	first := serve(t, xmppconntest.Options{TLS: true, RedirectAll: second.Addr()})
	r := newRecorder()
	stop := start(t, first, Config{TLS: &tls.Config{RootCAs: both(first, second), MinVersion: tls.VersionTLS12}}, r)
	r.until(t, "the end of the first attempt", func() bool { return len(r.retries)+len(r.up) > 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(r.retries) == 0 || !errors.Is(r.retries[0], errUnproven) {
		t.Errorf("retries for %v, want for errUnproven", r.retries)
	}
}

// TestSentAwayFromAStream is a server that asks its clients to go elsewhere.
func TestSentAwayFromAStream(t *testing.T) {
	there := &asked{to: always("")}
	second := serve(t, xmppconntest.Options{Redirect: there.redirect})
	first := serve(t, xmppconntest.Options{Login: func(s *xmppconntest.Session) {
		s.Send([]byte(`<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>` + second.Addr() + `</see-other-host></stream:error></stream:stream>`))
	}})
	r := newRecorder()
	start(t, first, Config{InsecurePlaintext: true}, r)
	r.until(t, "both logins", func() bool { return len(r.up) == 2 })
	if at := r.conn().Addr(); at != second.Addr() {
		t.Errorf("logged in at %s, want %s", at, second.Addr())
	}
	if got := there.said(); len(got) != 1 || got[0].Hops != "1" {
		t.Errorf("the second server was told %+v, want one hop", got)
	}
}

func TestHostAddr(t *testing.T) {
	for said, want := range map[string]string{
		"x2.example.org": "x2.example.org:5222", " x2.example.org:5333\n": "x2.example.org:5333", "192.0.2.1": "192.0.2.1:5222",
		"[2001:db8::1]": "[2001:db8::1]:5222", "[2001:db8::1]:5333": "[2001:db8::1]:5333",
		"": "", ":5222": "", "x2:0": "", "x2:http": "", "x 2": "", "x2:70000": "", "<a>": "", "me@x2": "",
	} {
		if got, err := hostAddr(said, false); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q (%v), want %q", said, got, err, want)
		}
	}
	if got, _ := hostAddr("x2", true); got != "x2:5223" {
		t.Errorf("direct TLS goes to %s", got)
	}
}
