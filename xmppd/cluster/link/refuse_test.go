package link

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// stranger is a node that a healthy pair must not take, and that says why.
func stranger(t *testing.T, want string, f Faults, build func(a *authority) *node) (taken bool) {
	t.Helper()
	ca := newAuthority(t)
	faulty := func(c *Config) { c.Faults = f }
	a, b := start(t, ca, "a", faulty), start(t, ca, "b", faulty)
	meet(t, a, b)
	x := build(ca)
	a.SetPeers([]Peer{a.peer(), b.peer(), {"x", x.addr}})
	x.SetPeers([]Peer{a.peer()})
	eventually(t, "it is refused, or taken: "+want, func() bool {
		return strings.Contains(a.log.String(), want) || len(x.Connected()) == 1
	})
	a.send(t, "b", kept, "healthy")
	eventually(t, "the others go on", func() bool { return len(b.read(&b.came)) == 1 })
	return len(x.Connected()) == 1
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		want  string
		build func(t *testing.T, ca *authority) *node
	}{
		"another authority": {"not of the authority of this cluster", func(t *testing.T, _ *authority) *node {
			return start(t, newAuthority(t), "x", nil)
		}},
		"another cluster": {`to \"c\"`, func(t *testing.T, ca *authority) *node {
			return start(t, ca, "x", func(c *Config) { c.Cluster = "other" })
		}},
		"another name": {"certificate does not", func(t *testing.T, ca *authority) *node {
			return start(t, ca, "x", func(c *Config) { c.Certificate = ca.sign(t, "y").TLS() })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if stranger(t, c.want, Faults{}, func(ca *authority) *node { return c.build(t, ca) }) {
				t.Error("it is connected")
			}
		})
	}
}

// TestRenewedCertificate: streams that begin show the new certificate, to both ends; those that stand go on.
func TestRenewedCertificate(t *testing.T) {
	ca := newAuthority(t)
	a, b := start(t, ca, "a", nil), start(t, ca, "b", nil)
	meet(t, a, b)
	shown := func() string {
		conn, err := tls.Dial("tcp", a.addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is what it is for
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before, next := shown(), ca.sign(t, "a")
	a.Renew(next.TLS())
	if now := shown(); now == before || now != next.Leaf.SerialNumber.String() {
		t.Errorf("shown before: %s, then %s", before, now)
	}
	if ups(a) != 1 || len(a.Connected()) != 1 {
		t.Error("the stream that stood has ended")
	}
	own := a.clientTLS("b").Certificates[0].Leaf
	if own.SerialNumber.Cmp(next.Leaf.SerialNumber) != 0 {
		t.Error("the streams that it opens show the old one")
	}
	a.Reconnect("b")
	eventually(t, "a new pair", func() bool { return ups(a) == 2 && ups(b) == 2 })
}

func TestNoticesAnyName(t *testing.T) {
	if h, _ := visitor(t, "y", Major, Faults{}); h != nil {
		t.Errorf("a certificate of y is taken for that of x: %+v", h)
	}
	if h, _ := visitor(t, "y", Major, Faults{AnyName: true}); h == nil || h.Refused != "" {
		t.Errorf("the planted bug does not show: %+v", h)
	}
}

// TestClocks: a server whose clock is ten minutes off is refused, and told so; a second is nothing.
func TestClocks(t *testing.T) {
	for off, want := range map[time.Duration]string{10 * time.Minute: "ahead of", -10 * time.Minute: "behind", time.Second: "", -time.Second: ""} {
		h, a := caller(t, "x", &hello{Major: Major, Time: time.Now().Add(off).UnixMilli()}, Faults{})
		if h == nil || (h.Refused == refusedClock) != (want != "") || !strings.Contains(h.Text, want) {
			t.Errorf("%v off: %+v", off, h)
		}
		eventually(t, "the log tells", func() bool { return want == "" || strings.Contains(a.log.String(), want+" that of server a") })
	}
	if h, _ := caller(t, "x", &hello{Major: Major, Time: 1}, Faults{AnyClock: true}); h == nil || h.Refused != "" {
		t.Errorf("the planted bug does not show: %+v", h)
	}
}

// TestData: servers whose records are those of two clusters refuse each other; one that has none yet is taken.
func TestData(t *testing.T) {
	mine := func(c *Config) { c.Data = func() string { return "one" } }
	for data, refused := range map[string]string{"two": refusedData, "one": "", "": ""} {
		h, a := caller(t, "x", &hello{Major: Major, Data: data}, Faults{}, mine)
		if h == nil || h.Refused != refused {
			t.Errorf("data of %q: %+v", data, h)
		}
		eventually(t, "the log tells", func() bool {
			return refused == "" || strings.Contains(a.log.String(), "founded apart from the other")
		})
	}
	if h, _ := caller(t, "x", &hello{Major: Major, Data: "two"}, Faults{AnyData: true}, mine); h == nil || h.Refused != "" {
		t.Errorf("the planted bug does not show: %+v", h)
	}
}

// visitor says hello as x, with a certificate of some name, and returns the answer; nil if there is none.
func visitor(t *testing.T, name string, major int, f Faults) (*hello, *node) {
	t.Helper()
	return caller(t, name, &hello{Major: major}, f)
}

// caller is visitor with a hello of which the rest is filled in.
func caller(t *testing.T, name string, say *hello, f Faults, more ...func(*Config)) (*hello, *node) {
	t.Helper()
	ca := newAuthority(t)
	a := start(t, ca, "a", func(c *Config) {
		c.Faults = f
		for _, m := range more {
			m(c)
		}
	})
	a.SetPeers([]Peer{{"x", "127.0.0.1:1"}})
	conn, err := net.Dial("tcp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	cert := ca.sign(t, name).TLS()
	c := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "a", RootCAs: ca.pool, Certificates: []tls.Certificate{cert}})
	say.Cluster, say.From, say.To, say.Incarnation, say.Stream = "c", "x", "a", 1, 1
	if say.Time == 0 {
		say.Time = time.Now().UnixMilli()
	}
	text, err := json.Marshal(newer{say, "what nobody knows yet", map[string]int{"x": 1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)); err != nil { //nolint:gosec // short
		t.Fatal(err)
	}
	h, _ := readHello(c)
	return h, a
}

// newer is the hello of a version that is still to come.
type newer struct {
	*hello
	Word  string         `json:"word"`
	Words map[string]int `json:"words"`
}

// TestNewerMinor: a server of a later Minor is taken, with what it says more, and its frames of channels that are not known are
// passed over.
func TestNewerMinor(t *testing.T) {
	if h, _ := caller(t, "x", &hello{Major: Major, Minor: Minor + 1}, Faults{}); h == nil || h.Refused != "" || h.Minor != Minor {
		t.Errorf("the answer: %+v", h)
	}
	ca := newAuthority(t)
	a, b := start(t, ca, "a", nil), start(t, ca, "b", nil)
	meet(t, a, b)
	a.send(t, "b", 200, "news")
	a.send(t, "b", kept, "as ever")
	eventually(t, "what it knows has come", func() bool { return slices.Equal(b.read(&b.came), []string{"as ever"}) })
	eventually(t, "all is acknowledged", func() bool { return a.Mesh.peer("b").settled() })
	if a.Status()[0].Resets+b.Status()[0].Resets > 0 {
		t.Error("the link was ended")
	}
}

func TestVersions(t *testing.T) {
	for major, want := range map[int]string{Major + 1: "upgrade a first", Major - 1: "upgrade x"} {
		h, a := visitor(t, "x", major, Faults{})
		if h == nil || h.Refused != refusedVersion || !strings.Contains(h.Text, want) {
			t.Errorf("version %d: %+v", major, h)
		}
		eventually(t, "the log tells", func() bool { return strings.Contains(a.log.String(), want) })
	}
	if h, _ := visitor(t, "x", Major, Faults{}); h == nil || h.Refused != "" {
		t.Errorf("version %d: %+v", Major, h)
	}
	if h, _ := visitor(t, "x", Major+1, Faults{AnyVersion: true}); h == nil || h.Refused != "" {
		t.Errorf("the planted bug does not show: %+v", h)
	}
}

// TestFlood: connections that never say who they are don't keep members from one another.
func TestFlood(t *testing.T) {
	ca := newAuthority(t)
	a, b := start(t, ca, "a", nil), start(t, ca, "b", nil)
	var conns []net.Conn
	for range maxStrangers + 50 {
		c, err := net.Dial("tcp", a.addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	eventually(t, "the log tells", func() bool { return strings.Contains(a.log.String(), "too many connections at once") })
	for _, c := range conns {
		_, _ = c.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	}
	meet(t, a, b)
	for _, c := range conns {
		_ = c.Close()
	}
}
