package mission

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// limit is a key of the configuration's [limits]: set low, what runs into it, and the metric that
// counts that. TestEveryLimitHasARow of package xmppd holds that no key is missing here.
type limit struct {
	key    string
	config string // of [limits], and what follows it
	bite   func(*testing.T, *harness.XMPPD)
	metric string // "" where the limit is about others' limits
}

const streamOpening = "<stream:stream to='" + harness.Domain + "' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"

func limits() []limit {
	return []limit{
		{"stanza_bytes", "stanza_bytes = 10000", sends(chatMessage("bob@"+harness.Domain, 10_000), "<policy-violation "), `xmppd_stream_errors_total{condition="policy-violation"}`},
		{"depth", "depth = 5", sends("<message>"+strings.Repeat("<a>", 5), "<policy-violation "), `xmppd_stream_errors_total{condition="policy-violation"}`},
		{"queue_bytes", "queue_bytes = 100000", overflows("bob"), "xmppd_overflows_total"},
		{"group_queue_bytes", "queue_bytes = 100000\ngroup_queue_bytes = 200000\n[[account]]\nname = \"dn1\"\ngroup = \"G\"\npassword_file = \"PASSWORD\"", overflows("dn1"), "xmppd_stanzas_busy_total or xmppd_overflows_total"},
		{"queue_total_bytes", "queue_bytes = 100000000\nqueue_total_bytes = 100000", overflows("bob"), "xmppd_overflows_total"},
		{"connections", "connections = 3", refusesConnection(3), `xmppd_connections_refused_total{limit="total"}`},
		{"logins_per_second", "logins_per_second = 1", queuesLogins, `xmppd_connections_refused_total{limit="logins"}`},
		{"connections_per_address", "connections_per_address = 3\nexempt = []", refusesConnection(3), `xmppd_connections_refused_total{limit="address"}`},
		{"connection_rate_per_address", "connection_rate_per_address = 3\nexempt = []", refusesConnection(3), `xmppd_connections_refused_total{limit="rate"}`},
		{"exempt", "connections_per_address = 3\nexempt = [\"127.0.0.0/8\"]", exempts, ""},
		{"login_attempts_per_address", "login_attempts_per_address = 2\nexempt = []", refusesGuesses, `xmppd_logins_limited_total{limit="address"}`},
		{"login_attempts_per_account", "login_attempts_per_account = 2\nexempt = []", refusesGuesses, `xmppd_logins_limited_total{limit="account"}`},
		{"sessions_per_account", "sessions_per_account = 1", refusesSession, "xmppd_sessions_refused_total"},
		{"negotiation_seconds", "negotiation_seconds = 3", cutsSilence, `xmppd_stream_errors_total{condition="connection-timeout"}`},
		{"stanzas_per_second", "stanzas_per_second = 20\nburst_seconds = 1", slows(60, 0, 1), `xmppd_pauses_total{limit="stanzas"}`},
		{"bytes_per_second", "bytes_per_second = 20000\nburst_seconds = 1", slows(6, 9000, 1), `xmppd_pauses_total{limit="bytes"}`},
		{"account_stanzas_per_second", "account_stanzas_per_second = 20\nburst_seconds = 1", slows(30, 0, 2), `xmppd_pauses_total{limit="account_stanzas"}`},
		{"account_bytes_per_second", "account_bytes_per_second = 20000\nburst_seconds = 1", slows(3, 9000, 2), `xmppd_pauses_total{limit="account_bytes"}`},
		{"burst_seconds", "stanzas_per_second = 10\nburst_seconds = 10", bursts, `xmppd_pauses_total{limit="stanzas"}`},
		{"stanza_seconds", "stanza_seconds = 1", cutsSlowStanza, "xmppd_unfinished_stanzas_total"},
		{"keepalive_seconds", "keepalive_seconds = 7", keepsAlive, ""}, // a peer is dead after 30 s more
		{"roster_items", "roster_items = 1", asks(rosterItem("a")+rosterItem("b"), "<resource-constraint "), "xmppd_roster_refused_total"},
		{"directed_presence", "directed_presence = 1", asks("<presence to='a@"+harness.Domain+"'/><presence to='b@"+harness.Domain+"' id='p'/>", "<resource-constraint "), `xmppd_presence_refused_total{policy="directed"}`},
	}
}

// checkLimits: each limit bites at its value and not before, others go on, and its metric counts.
func checkLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(harness.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, l := range limits() {
		t.Run(l.key, func(t *testing.T) {
			config := "listen_http = \"127.0.0.1:0\"\n[limits]\n" + strings.ReplaceAll(l.config, "PASSWORD", file)
			s := harness.StartXMPPD(t, binary, config, "alice", "bob", "carol")
			if l.metric != "" && either(t, s, l.metric) != 0 {
				t.Error("the metric has counted before the limit was reached")
			}
			l.bite(t, s)
			if l.metric != "" && either(t, s, l.metric) == 0 {
				t.Errorf("%s has not counted", l.metric)
			}
		})
	}
}

// either adds up those that are named with "or" between them: how much the kernel holds decides whether it is the
// sender's share of a queue that is used up, or the queue.
func either(t *testing.T, s *harness.XMPPD, names string) (sum float64) {
	t.Helper()
	for name := range strings.SplitSeq(names, " or ") {
		sum += metric(t, s, name)
	}
	return sum
}

// metric reads one; 0 where it has not appeared yet.
func metric(t *testing.T, s *harness.XMPPD, name string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + s.Addr(t, "http") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func chatMessage(to string, body int) string {
	return "<message type='chat' to='" + to + "'><body>" + strings.Repeat("x", body) + "</body></message>"
}

func rosterItem(name string) string {
	return "<iq type='set' id='" + name + "'><query xmlns='jabber:iq:roster'><item jid='" + name + "@example.com'/></query></iq>"
}

// sends costs the sender the stream, and nobody else.
func sends(text, want string) func(*testing.T, *harness.XMPPD) {
	return func(t *testing.T, s *harness.XMPPD) {
		other, c := s.Online(t, "carol", "c"), s.Login(t, "alice", "a")
		c.Send(text)
		if got := c.End(); !strings.Contains(got, want) {
			t.Errorf("answered %q, want %s", got, want)
		}
		other.Sync()
	}
}

// asks gets an error behind which the stream goes on.
func asks(text, want string) func(*testing.T, *harness.XMPPD) {
	return func(t *testing.T, s *harness.XMPPD) {
		c := s.Login(t, "alice", "a")
		c.Send(text)
		if got := c.Sync(); strings.Count(got, want) != 1 {
			t.Errorf("answered %q, want %s once", got, want)
		}
	}
}

// overflows sends to a session that does not read, until messages come back.
func overflows(user string) func(*testing.T, *harness.XMPPD) {
	return func(t *testing.T, s *harness.XMPPD) {
		deaf, c := s.Login(t, user, "deaf"), s.Login(t, "alice", "a")
		const most = 64 << 20 // what the kernel holds for a connection is far less
		for sent := 0; sent < most; sent += 500_000 {
			for range 10 {
				c.Send(chatMessage(deaf.JID, 50_000))
			}
			if strings.Contains(c.Sync(), "type='error'") {
				return
			}
		}
		t.Errorf("%d bytes wait for one that does not read", most)
	}
}

// refusesConnection holds n connections, one of them with a session, and tries one more.
func refusesConnection(n int) func(*testing.T, *harness.XMPPD) {
	return func(t *testing.T, s *harness.XMPPD) {
		first := s.Login(t, "alice", "a")
		for range n - 1 {
			c := xmppraw.Connect(t, s.Addr(t, "clients"))
			c.Send(streamOpening)
			c.Want("</stream:features>")
		}
		if got := xmppraw.Connect(t, s.Addr(t, "clients")).End(); got != "" {
			t.Errorf("one more connection was told %q", got)
		}
		first.Sync()
	}
}

// queuesLogins has many begin at once: some wait for their turn, and those are refused that would wait
// too long.
func queuesLogins(t *testing.T, s *harness.XMPPD) {
	var all []*xmppraw.Client
	for range 40 {
		c := xmppraw.Connect(t, s.Addr(t, "clients"))
		c.Send(streamOpening)
		all = append(all, c)
	}
	served, refused := 0, 0
	for _, c := range all {
		if strings.Contains(c.Want("</stream:features>", "<resource-constraint "), "<resource-constraint ") {
			refused++
		} else {
			served++
		}
	}
	if served < 2 || refused == 0 || metric(t, s, "xmppd_logins_queued_total") == 0 {
		t.Errorf("%d served, %d refused, %v of them after a while", served, refused, metric(t, s, "xmppd_logins_queued_total"))
	}
}

func exempts(t *testing.T, s *harness.XMPPD) {
	for i := range 6 {
		s.Login(t, "alice", fmt.Sprint(i))
	}
}

// refusesGuesses tries two wrong passwords; the right one is then not looked at.
func refusesGuesses(t *testing.T, s *harness.XMPPD) {
	for _, try := range []struct{ password, want string }{{"wrong", "<not-authorized/>"}, {"wrong", "<not-authorized/>"}, {harness.Password, "<temporary-auth-failure/>"}} {
		c := xmppraw.Connect(t, s.Addr(t, "clients"))
		c.Send(streamOpening)
		c.Want("</stream:features>")
		c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00alice\x00"+try.password)) + "</auth>")
		if got := c.Want(">") + c.Want(">"); !strings.Contains(got, try.want) {
			t.Errorf("login with %q: %q, want %s", try.password, got, try.want)
		}
	}
}

func refusesSession(t *testing.T, s *harness.XMPPD) {
	first := s.Login(t, "alice", "one")
	c := xmppraw.Connect(t, s.Addr(t, "clients"))
	c.Send(streamOpening)
	c.Want("</stream:features>")
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00alice\x00"+harness.Password)) + "</auth>")
	c.Want("<success")
	c.Send(streamOpening)
	c.Want("</stream:features>")
	c.Send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>two</resource></bind></iq>")
	if got := c.Want("</iq>"); !strings.Contains(got, "<resource-constraint ") {
		t.Errorf("a second session: %q", got)
	}
	first.Sync()
}

// slows sends on several sessions of an account; what is too much is read, but later, and nobody
// else waits.
func slows(stanzas, size, sessions int) func(*testing.T, *harness.XMPPD) {
	return func(t *testing.T, s *harness.XMPPD) {
		other := s.Login(t, "carol", "c")
		begin := time.Now()
		var all []*harness.Stream
		for i := range sessions {
			c := s.Login(t, "alice", fmt.Sprint("a", i))
			c.Send(strings.Repeat(chatMessage(c.JID, size), stanzas))
			all = append(all, c)
		}
		for range 10 {
			other.Sync()
		}
		for _, c := range all {
			for range stanzas {
				c.Want("</message>")
			}
			c.Sync() // what was in one packet goes through at once; the pause is behind it
		}
		if d := time.Since(begin); d < time.Second/2 {
			t.Errorf("%d stanzas of %d bytes took %v only", stanzas*sessions, size, d)
		}
	}
}

// bursts sends what may come at once, which costs no pause, and then more.
func bursts(t *testing.T, s *harness.XMPPD) {
	c := s.Login(t, "alice", "a")
	c.Send(strings.Repeat(chatMessage(c.JID, 0), 80))
	for range 80 {
		c.Want("</message>")
	}
	if n := metric(t, s, `xmppd_pauses_total{limit="stanzas"}`); n != 0 {
		t.Errorf("%v pauses within the burst", n)
	}
	c.Send(strings.Repeat(chatMessage(c.JID, 0), 40))
	for range 40 {
		c.Want("</message>")
	}
}

// cutsSlowStanza sends a stanza without an end; white space between stanzas takes as long as it likes.
func cutsSlowStanza(t *testing.T, s *harness.XMPPD) {
	other, c := s.Login(t, "carol", "c"), s.Login(t, "alice", "a")
	c.Send("<message to='" + other.JID + "'><body>")
	if got := c.End(); !strings.Contains(got, "<policy-violation ") {
		t.Errorf("half a stanza: %q", got)
	}
	other.Send(" ")
	if got := other.Sync(); got != "" {
		t.Errorf("the other got %q", got)
	}
}

// keepsAlive looks at the kernel's timer for the server's end of an idle connection.
func keepsAlive(t *testing.T, s *harness.XMPPD) {
	c := s.Login(t, "alice", "a")
	_, port, err := net.SplitHostPort(c.Conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	// Remote address, state ESTABLISHED, queues, timer 02 (keep-alive) and when it rings, in 1/100 s.
	row := regexp.MustCompile(fmt.Sprintf(`(?m)^ *\d+: \S+ [0-9A-F]{8}:%04X 01 \S+ 02:([0-9A-F]{8}) `, n))
	var m [][]byte
	for end := time.Now().Add(harness.Patience); m == nil; time.Sleep(20 * time.Millisecond) { // until all is acknowledged
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", s.Cmd.Process.Pid))
		if err != nil || time.Now().After(end) {
			t.Fatalf("no keep-alive timer for port %d, %v", n, err)
		}
		m = row.FindSubmatch(table)
	}
	if when, err := strconv.ParseUint(string(m[1]), 16, 64); err != nil || when > 700 {
		t.Errorf("the peer is asked in %d/100 s, %v", when, err)
	}
}

func cutsSilence(t *testing.T, s *harness.XMPPD) {
	other := s.Login(t, "carol", "c")
	begin := time.Now()
	if got := xmppraw.Connect(t, s.Addr(t, "clients")).End(); !strings.Contains(got, "<connection-timeout ") || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("a silent connection was told %q after %v", got, time.Since(begin))
	}
	other.Sync()
}
