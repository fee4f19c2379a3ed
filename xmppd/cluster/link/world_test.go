package link

import (
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/internal/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Channels of these tests.
const (
	kept   Channel = 1 // comes back when it is not delivered
	lossy  Channel = 2
	inBulk Channel = 3
)

// authority signs certificates of one cluster.
type authority struct {
	pair *certs.Pair
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	pair, err := certs.New(certs.Options{Name: "cluster", Authority: true, Lifetime: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return &authority{pair, pool}
}

func (a *authority) sign(t *testing.T, name string) *certs.Pair {
	t.Helper()
	p, err := certs.New(certs.Options{Name: name, Hosts: []string{name}, Lifetime: time.Hour}, a.pair)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// node is a mesh, and what it was told.
type node struct {
	*Mesh
	addr string
	log  *lines

	mu     sync.Mutex
	events []string // up NAME, down NAME, Receive's and Undelivered's payloads
	came   []string // payloads
	back   []string
	doubt  []string
}

// lines is a log that tests look at.
type lines struct {
	mu  sync.Mutex
	all []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, p...)
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.all)
}

// start makes a node; change may alter its configuration.
func start(t *testing.T, a *authority, name string, change func(*Config)) *node {
	t.Helper()
	n := &node{log: new(lines)}
	cfg := Config{
		Name: name, Cluster: "c", Incarnation: uint64(time.Now().UnixNano()), Certificate: a.sign(t, name).TLS(), Authority: a.pool,
		Silence: time.Minute, Doubt: time.Minute,
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(n.log, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Up:  func(peer string, _ uint64) { n.note("up " + peer) }, Down: func(peer string) { n.note("down " + peer) },
	}
	if change != nil {
		change(&cfg)
	}
	n.Mesh = New(cfg)
	receive := func(from string, p []byte) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.events = append(n.events, "got from "+from)
		n.came = append(n.came, string(p))
	}
	n.Handle(kept, Handler{Receive: receive, Undelivered: func(_ string, p []byte, sent time.Time, doubt bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if doubt {
			n.doubt = append(n.doubt, string(p))
		} else {
			n.back = append(n.back, string(p))
		}
	}})
	n.Handle(lossy, Handler{Receive: receive})
	n.Handle(inBulk, Handler{Receive: receive, Bulk: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	n.Start(l)
	t.Cleanup(n.Close)
	return n
}

func (n *node) note(s string) {
	n.mu.Lock()
	n.events = append(n.events, s)
	n.mu.Unlock()
}

// read copies what one of the fields holds.
func (n *node) read(of *[]string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(*of)
}

func (n *node) peer() Peer { return Peer{n.cfg.Name, n.addr} }

// meet lets nodes know one another, and waits for their links.
func meet(t *testing.T, nodes ...*node) {
	t.Helper()
	var all []Peer
	for _, n := range nodes {
		all = append(all, n.peer())
	}
	for _, n := range nodes {
		n.SetPeers(all)
	}
	for _, n := range nodes {
		eventually(t, n.cfg.Name+" is connected", func() bool { return len(n.Connected()) == len(nodes)-1 })
	}
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) { // between looks
		if time.Now().After(end) {
			t.Fatalf("not in three minutes: %s", what)
		}
	}
}

// send sends what must be taken.
func (n *node) send(t *testing.T, to string, ch Channel, payload string) {
	t.Helper()
	if err := n.Send(to, ch, []byte(payload)); err != nil {
		t.Fatalf("send %s: %v", payload, err)
	}
}

// numbers are the payloads of a test.
func numbers(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}
