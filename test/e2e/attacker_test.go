package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
)

// attack is on the port of one server for the others.
type attack struct {
	t       *testing.T
	cluster *devcluster.Cluster
	to      devcluster.Server
	dir     string // of the cluster
}

// connection is one, from an address where no server is. do need not close it.
func (a *attack) connection(ctx context.Context, from net.IP, do func(context.Context, net.Conn)) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	c, err := d.DialContext(ctx, "tcp", a.to.Cluster)
	if err != nil {
		time.Sleep(5 * time.Millisecond) // nobody listens fast enough
		return
	}
	ended := context.AfterFunc(ctx, func() { _ = c.Close() })
	do(ctx, c)
	ended()
	_ = c.Close()
	time.Sleep(10 * time.Millisecond) // before the next one
}

// account logs in at a server of the cluster, by its number.
func (a *attack) account(name string, server int) xmppconn.Config {
	a.t.Helper()
	info := a.cluster.Info()
	cfg, err := info.Config(name)
	if err != nil {
		a.t.Fatal(err)
	}
	cfg.Addrs = []string{info.Servers[server].C2S}
	return cfg
}

// logins are those at the attacked server, of an account that writes to another one.
func (a *attack) logins() *visits {
	to := harness.Login(a.t, a.account("user1", 2))
	return &visits{at: a.to.ID, users: []xmppconn.Config{a.account("user2", 1)}, to: to.JID(), count: func(body string) (n int) {
		for _, m := range to.Messages() {
			if strings.Contains(string(m.XML), body) {
				n++
			}
		}
		return n
	}}
}

// keeps has a message kept for somebody who is away, over another server, and delivered by the attacked one.
func (a *attack) keeps() {
	a.t.Helper()
	from := harness.Login(a.t, a.account("user1", 0))
	shop := a.account("shop", 1)
	from.Send([]byte("<message type='chat' to='" + shop.JID + "'><body>kept</body></message>"))
	from.IQ(a.cluster.Info().Domain, "get", "<ping xmlns='urn:xmpp:ping'/>") // the message is behind it
	harness.Login(a.t, shop).Await("what was kept", func(m harness.Message) bool { return strings.Contains(string(m.XML), "<body>kept</body>") })
}

// handshake is one with a certificate, and what comes behind it, until the connection is closed.
func (a *attack) handshake(cert tls.Certificate, then func(net.Conn)) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		conn := tls.Client(c, &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
			InsecureSkipVerify: true, //nolint:gosec // an attacker does not care
		})
		if conn.HandshakeContext(ctx) == nil {
			then(conn)
		}
		_, _ = conn.Read(make([]byte, 1))
	}
}

// certificate is a server's own.
func (a *attack) certificate(server string) tls.Certificate {
	a.t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(a.dir, "tls", server+".pem"), filepath.Join(a.dir, "tls", server+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// otherCertificate is in the name of a server, from another authority.
func (a *attack) otherCertificate() tls.Certificate { return clustertest.New(a.t).Sign(a.t, "x1") }

// greeting is what a server says first (package link).
type greeting struct {
	Major   int    `json:"major"`
	Cluster string `json:"cluster"`
	From    string `json:"from"`
	To      string `json:"to"`
	Time    int64  `json:"time"`
	Refused string `json:"refused,omitempty"`
}

// strangers are greetings that have to be refused, by the reason.
func (a *attack) strangers() map[string]greeting {
	well := greeting{Major: 1, Cluster: a.cluster.Info().Domain, From: "x1", To: a.to.ID, Time: time.Now().UnixMilli()}
	newer, other, late, early, misled, impostor := well, well, well, well, well, well
	newer.Major, other.Cluster, misled.To, impostor.From = 2, "elsewhere", "x9", "x3"
	late.Time, early.Time = well.Time-10*time.Minute.Milliseconds(), well.Time+10*time.Minute.Milliseconds()
	return map[string]greeting{"version": newer, "cluster": other, "clock": late, "clock ": early, "name": misled, "impostor": impostor}
}

// calls greets with the certificate of x1, and expects to be refused and counted for a reason.
func (a *attack) calls(reason string, say greeting) {
	a.t.Helper()
	reason = strings.TrimSpace(reason)
	series := fmt.Sprintf("xmppd_cluster_refused_total{reason=%q}", reason)
	before := a.metric(series)
	text, err := json.Marshal(say)
	if err != nil {
		a.t.Fatal(err)
	}
	var answer greeting
	a.connection(a.t.Context(), net.IPv4(127, 0, 9, 99), a.handshake(a.certificate("x1"), func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(floodPatience))
		_, _ = c.Write(append([]byte{byte(len(text) >> 8), byte(len(text))}, text...))
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return // an impostor gets no answer
		}
		b := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(c, b); err != nil || json.Unmarshal(b, &answer) != nil {
			a.t.Errorf("%s: answered %q", reason, b)
		}
	}))
	if answer.Refused != reason && reason != "impostor" {
		a.t.Errorf("%s: refused for %q", reason, answer.Refused)
	}
	harness.Eventually(a.t, floodPatience, reason+" is counted", func() bool { return a.metric(series) > before })
}

// otherKey starts a server that has all of the cluster but its key.
func (a *attack) otherKey() *harness.XMPPD {
	a.t.Helper()
	key, tlsDir := filepath.Join(a.t.TempDir(), "key"), filepath.Join(a.dir, "tls")
	if err := os.WriteFile(key, []byte("MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=\n"), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return harness.LaunchXMPPD(a.t, binary, a.t.TempDir(), fmt.Sprintf(
		"listen_c2s = \"127.0.0.1:0\"\nlisten_tls = \"\"\n[cluster]\nlisten = \"127.0.9.98:0\"\nname = \"x1\"\njoin = [%q]\nkey_file = %q\nca = %q\ncert = %q\nkey = %q\n",
		a.to.Cluster, key, filepath.Join(tlsDir, "cluster-ca.pem"), filepath.Join(tlsDir, "x1.pem"), filepath.Join(tlsDir, "x1.key")))
}

func (a *attack) log() string {
	a.t.Helper()
	b, err := os.ReadFile(a.cluster.Log(a.to.ID))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(b)
}

func (a *attack) logged(what string) bool { return strings.Contains(a.log(), what) }

// refused tells whether something was refused for each of the reasons.
func (a *attack) refused(reasons ...string) bool {
	for _, r := range reasons {
		if a.metric(fmt.Sprintf("xmppd_cluster_refused_total{reason=%q}", r)) == 0 {
			return false
		}
	}
	return true
}

// metric sums the series of the attacked server that begin so.
func (a *attack) metric(series string) (sum float64) {
	a.t.Helper()
	res, err := http.Get("http://" + a.to.HTTP + "/metrics")
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, series) {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				a.t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
