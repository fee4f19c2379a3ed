package xmppd_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/xmppd"
)

// logs is a log that can be read while it is written.
type logs struct {
	mu    sync.Mutex
	b     bytes.Buffer
	wrote sync.Cond // once somebody waits
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrote.L != nil {
		l.wrote.Broadcast()
	}
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// wait waits until the log has a text, and returns the log.
func (l *logs) wait(t *testing.T, text string) string {
	t.Helper()
	late := false
	stop := time.AfterFunc(patience, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.wrote.Broadcast()
	})
	defer stop.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrote.L = &l.mu
	for !strings.Contains(l.b.String(), text) {
		if late {
			t.Fatalf("the log has no %q: %s", text, &l.b)
		}
		l.wrote.Wait()
	}
	return l.b.String()
}

// TestRefusalsAreTold: the log tells why clients don't get in, once for each reason.
func TestRefusalsAreTold(t *testing.T) {
	log := new(logs)
	s := startServer(t, options{log: log, cfg: func(c *xmppd.Config) {
		c.ListenHTTP, c.ListenHTTPS = "127.0.0.1:0", "127.0.0.1:0"
		c.Web.TrustedProxies = []string{"127.0.0.1"} // may read metrics as often as it likes
		c.Limits.Exempt, c.Limits.ConnectionsPerAddress, c.Limits.SessionsPerAccount = nil, 3, 1
	}})
	addr, secure, _ := s.Addrs()
	gone := func() { // or one that has ended counts yet
		t.Helper()
		waitFor(t, func() bool { return strings.Contains(metrics(t, s), "xmppd_connections 0\n") })
	}
	for range 2 { // the second one of each is silent
		c := connect(t, addr)
		c.Send("<?xml version='1.0'?><stream:stream to='other.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
		c.Rest()
		_ = c.Conn.Close()
		if conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
			_ = conn.Close()
			t.Error("TLS on the port of STARTTLS")
		}
		c = connect(t, secure)
		c.Send("<stream:stream>")
		c.Rest()
		_ = c.Conn.Close()
		gone()
	}
	// A client that does not trust the certificate; with TLS 1.3 the server's handshake is over by then.
	if conn, err := tls.Dial("tcp", secure, &tls.Config{ServerName: domain, RootCAs: x509.NewCertPool()}); err == nil {
		_ = conn.Close()
		t.Error("trusted by nobody, and accepted")
	}
	log.wait(t, "a client has refused TLS with this server")
	web := connect(t, s.AddrHTTPS())
	web.Send("GET / HTTP/1.0\r\n\r\n")
	web.Rest()
	if got := log.wait(t, "http listener"); !strings.Contains(got, "level=DEBUG msg=\"http listener\" error=\"http: TLS handshake error") {
		t.Errorf("HTTP without TLS: %s", got)
	}
	gone()
	login(t, s, "alice", "a")
	second := connect(t, addr)
	second.Open()
	if got := second.Auth(sasl.Plain, "alice", password); got != "success" {
		t.Fatal(got)
	}
	second.Open()
	second.Send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	if got := second.Want("</iq>"); !strings.Contains(got, "resource-constraint") {
		t.Errorf("a session too many: %s", got)
	}
	third := connect(t, addr)
	third.Open()
	connect(t, addr).Rest() // one too many
	got := log.String()
	for _, want := range []string{
		"level=INFO msg=\"a client has asked for another domain\"", "this looks like TLS on the port of STARTTLS: such clients belong to --listen-tls",
		"msg=\"TLS handshake failed\"", "limits.connections_per_address", "limits.sessions_per_account",
	} {
		if n := strings.Count(got, want); n != 1 {
			t.Errorf("%d times %q: %s", n, want, got)
		}
	}
}

// TestAttemptsWithoutUser: an attempt to log in that ends before there is a name is no failed login; one
// with a name is.
func TestAttemptsWithoutUser(t *testing.T) {
	log := new(logs)
	s := startServer(t, options{log: log, cfg: func(c *xmppd.Config) { c.ListenHTTP = "127.0.0.1:0" }})
	_, addr, _ := s.Addrs()
	c := dialTLS(t, addr, &tls.Config{})
	c.Open()
	for range 4 { // as slixmpp does
		c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256-PLUS'>" +
			base64.StdEncoding.EncodeToString([]byte("p=tls-unique,,n=alice,r=0123456789")) + "</auth>")
		c.Want("</failure>")
	}
	if got := log.String(); strings.Contains(got, "authentication failed") {
		t.Error(got)
	}
	if got := metrics(t, s); !strings.Contains(got, "\nxmppd_auth_failures_total 0\n") || !strings.Contains(got, "\nxmppd_auth_unclaimed_total 4\n") {
		t.Error(got)
	}
	if got := c.Auth(sasl.Plain, "alice", "wrong"); !strings.Contains(got, "not-authorized") {
		t.Fatal(got)
	}
	if got := log.String(); !strings.Contains(got, "authentication failed\" user=alice") {
		t.Error(got)
	}
	if got := metrics(t, s); !strings.Contains(got, "\nxmppd_auth_failures_total 1\n") {
		t.Error(got)
	}
}

// TestStartIsTold: the first line of the log says what is started, and risks are warned about.
func TestStartIsTold(t *testing.T) {
	log := new(logs)
	startServer(t, options{log: log, cfg: func(c *xmppd.Config) {
		c.Components = []xmppd.ComponentConfig{{Name: "gateway." + domain, Secret: "s3cret"}}
	}})
	first, rest, _ := strings.Cut(log.String(), "\n")
	for _, want := range []string{"level=INFO msg=starting", "version=" + xmppd.Version, "domain=" + domain, "data="} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in the first line: %s", want, first)
		}
	}
	for _, want := range []string{"level=WARN msg=\"clients may log in without TLS", "level=WARN msg=\"components are configured, but nothing listens"} {
		if !strings.Contains(rest, want) {
			t.Errorf("no %q in %s", want, rest)
		}
	}
}

// TestUselessConfiguration: what nobody could use is refused also where it is not needed yet.
func TestUselessConfiguration(t *testing.T) {
	for want, change := range map[string]func(*xmppd.Config){
		"it has no secret": func(c *xmppd.Config) {
			c.Components = []xmppd.ComponentConfig{{Name: "gateway." + domain}}
		},
		"EXTERNAL needs auth.client_ca": func(c *xmppd.Config) { c.Auth.Mechanisms = []string{"EXTERNAL"} },
	} {
		cfg := xmppd.Defaults()
		cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = domain, t.TempDir(), "127.0.0.1:0", ""
		change(&cfg)
		if s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			if s != nil {
				_ = s.Close()
			}
		}
	}
}

// TestMetricsBeginAtZero: a rate needs the value before the first event.
func TestMetricsBeginAtZero(t *testing.T) {
	got := metrics(t, startServer(t, options{cfg: func(c *xmppd.Config) { c.ListenHTTP = "127.0.0.1:0" }}))
	for _, want := range []string{
		`xmppd_connections_refused_total{limit="address"} 0`, `xmppd_logins_limited_total{limit="account"} 0`,
		`xmppd_authentications_total{mechanism="PLAIN"} 0`, `xmppd_pauses_total{limit="bytes"} 0`,
		`xmppd_carbons_total{direction="sent"} 0`, `xmppd_archive_removed_total{reason="age"} 0`,
		`xmppd_offline_dropped_total{reason="full"} 0`, `xmppd_auth_source_requests_total{outcome="failed"} 0`,
		"go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
}

// TestUnsentPresenceIsNamed: who looks for presence that does not arrive finds whose it was.
func TestUnsentPresenceIsNamed(t *testing.T) {
	log := new(logs)
	var data string
	s := startServer(t, options{log: log, cfg: func(c *xmppd.Config) { data = c.Data }})
	users, err := xmppd.OpenUsers(t.Context(), data, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = users.Close() }()
	if err := users.SetRosterItem(t.Context(), "alice", xmppd.RosterItem{JID: "romeo@elsewhere.example", Subscription: "from"}); err != nil {
		t.Fatal(err)
	}
	online(t, s, "alice", "a")
	if got := log.String(); !strings.Contains(got, "msg=\"presence not sent to another domain\" from=alice@example.net/a to=romeo@elsewhere.example") {
		t.Error(got)
	}
}
