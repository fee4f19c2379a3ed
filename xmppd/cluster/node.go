package cluster

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/cluster/notice"
)

// Config is what a Node needs. Zero values of times stand for the defaults given.
type Config struct {
	Name    string // of this server, in its certificate; others must not have it
	Cluster string // name of the cluster: servers of another one are refused
	Zone    string // may be empty

	Listen    string   // host:port
	Advertise string   // host or host:port that others reach it at; empty: Listen
	Join      []string // host:port of other servers; a DNS name stands for all its addresses
	Key       []byte   // of the gossip: 16, 24 or 32 bytes

	Certificate tls.Certificate
	Authority   *x509.CertPool

	Resolver Resolver // of the names in Join; nil: the system's

	Rejoin time.Duration // how often servers are looked for that are not there; 0: 5 s
	// Links is what package link lets one choose; identity, log and callbacks are the Node's.
	Links link.Config

	// Changed is called when the members, or what is said of them, have changed; nil: nobody wants to
	// know. It must not wait.
	Changed func([]Member)

	// Asked is called when another server says what an operator wants of this one; nil: nothing comes of it.
	// It must not wait.
	Asked func(word string)

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	// Cut is for tests: the network to an address is broken; nil: it never is.
	Cut    func(addr string) bool
	faults faults
}

// Resolver looks DNS names up, as net.Resolver does.
type Resolver interface {
	LookupHost(ctx context.Context, host string) (addrs []string, err error)
}

// faults are what this package's tests plant.
type faults struct {
	quick func(*memberlist.Config) // other times
	stays bool                     // a bug: members that are gone stay
	waits bool                     // a bug: who stops waits for who stands still

	anyProcess bool // a bug: what gossip tells of a server's last process is believed of this one
	leftOnce   bool // a bug: who has said once that it leaves is not looked for any more, whichever process said so
	seeksSelf  bool // a bug: this server's own address counts as another one's
	oneName    bool // a bug: a name in Config.Join counts as one server

	uncounted func() // a bug: who has said one byte counts no more, and this is called
	endless   bool   // a bug: gossip of a stranger may have any length
}

// Node is a server's part in the cluster. It is safe for concurrent use.
type Node struct {
	cfg    Config
	log    *slog.Logger
	port   *port
	mesh   *link.Mesh
	gossip *memberlist.Memberlist
	lines  *gossipLines
	wake   chan struct{} // capacity 1: members have changed
	wg     sync.WaitGroup
	once   sync.Once // of Close
	stop   context.CancelFunc

	refused func(reason string) // counts

	sought atomic.Bool  // all servers of Config.Join have been looked for once
	wanted atomic.Int64 // how many servers Config.Join has named, without this one

	mu      sync.Mutex
	self    Member
	members map[string]Member // without self
	known   map[string]place  // where members are or were, by name
}

var serverName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// ErrName tells that a server's name can't be one.
var ErrName = errors.New("a server's name has lower-case letters, digits, dots and hyphens, 63 at most")

// CheckName is ErrName for what can't be a server's name.
func CheckName(name string) error {
	if !serverName.MatchString(name) {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	return nil
}

// New opens the port. Start begins; Close releases everything, also without Start.
func New(cfg Config) (*Node, error) {
	if err := CheckName(cfg.Name); err != nil {
		return nil, err
	}
	if cfg.Rejoin == 0 {
		cfg.Rejoin = 5 * time.Second
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Changed == nil {
		cfg.Changed = func([]Member) {}
	}
	var id [8]byte
	if _, err := crand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("draw incarnation: %w", err)
	}
	n := &Node{
		cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1), refused: refusals(cfg.Registerer),
		members: make(map[string]Member), known: make(map[string]place),
	}
	p, err := openPort(&n.cfg, n.at, n.refused)
	if err != nil {
		return nil, err
	}
	n.port = p
	n.self = Member{
		Name: cfg.Name, Addr: p.advertise.String(), Incarnation: binary.BigEndian.Uint64(id[:]),
		Major: link.Major, Zone: cfg.Zone, State: Joining,
	}
	l := cfg.Links
	l.Name, l.Cluster, l.Incarnation = cfg.Name, cfg.Cluster, n.self.Incarnation
	l.Certificate, l.Authority = cfg.Certificate, cfg.Authority
	l.Dial, l.Log, l.Registerer, l.Refused = p.dial, cfg.Log, cfg.Registerer, n.refused
	l.Identified = func(conn net.Conn) { // before, nothing of it is believed
		if g, ok := conn.(*guest); ok {
			g.known()
		}
	}
	n.mesh = link.New(l)
	n.mesh.Handle(Control, link.Handler{Name: "control", Receive: n.control})
	return n, nil
}

// at reports whether a member is, or was lately, at an address without port.
func (n *Node) at(host string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.known {
		if h, _, err := net.SplitHostPort(p.addr); err == nil && h == host {
			return true
		}
	}
	return false
}

// place is where a member is, or was until some time.
type place struct {
	addr  string
	until time.Time // zero: it is there
	bye   bool      // it has said that it leaves
}

// remembered is how long a member that is gone is looked for; the servers of Config.Join always are.
const remembered = time.Hour

// tellFor bounds how long Tell waits until gossip has taken what is new.
const tellFor = time.Second

// Control is the channel of this package on the links; the others are free.
const Control link.Channel = 1

// What a server says on Control, beside what operators want (Ask).
const (
	bye  = "bye"  // it leaves
	anew = "anew" // it has something else to say in its hello
)

// control takes what other servers say on Control. What a newer version may say is ignored.
func (n *Node) control(from string, payload []byte) {
	switch string(payload) {
	case bye:
		n.mesh.Expect(from, link.Stopped)
		n.leaves(from)
	case anew:
		n.mesh.Reconnect(from)
	default:
		if n.cfg.Asked != nil {
			n.cfg.Asked(string(payload))
		}
	}
}

// leaves takes note that a server says that it does. Gossip may have said before that it is gone.
func (n *Node) leaves(from string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch p, ok := n.known[from]; {
	case !ok:
	case p.until.IsZero():
		p.bye = true
		n.known[from] = p
	default:
		delete(n.known, from)
	}
}

// Ask tells another server what an operator wants of it (Config.Asked). The errors are those of link.Mesh.
func (n *Node) Ask(server, word string) error { return n.mesh.Send(server, Control, []byte(word)) }

// Reconnect has all servers that are connected, and this one, say anew who they are and what data they have.
func (n *Node) Reconnect() {
	for _, peer := range n.mesh.Connected() {
		n.mesh.Expect(peer, link.Anew)
		if err := n.mesh.Send(peer, Control, []byte(anew)); err != nil { // it will not do so by itself
			n.mesh.Reconnect(peer)
		}
	}
}

// Mesh connects this server to the others. Channels are set before Start.
func (n *Node) Mesh() *link.Mesh { return n.mesh }

// Addr is where others reach this server.
func (n *Node) Addr() string { return n.port.advertise.String() }

// Start joins the cluster. That none of the servers of Config.Join is there is no error: this may be the
// first one. It goes on looking for them.
func (n *Node) Start(context.Context) error {
	cfg := memberlist.DefaultLANConfig()
	cfg.Name, cfg.Label, cfg.SecretKey = n.cfg.Name, n.cfg.Cluster, n.cfg.Key
	cfg.Transport = n.port
	cfg.BindPort, cfg.AdvertisePort = n.port.advertise.Port, n.port.advertise.Port
	n.lines = &gossipLines{notices: notice.Log{To: n.log}, refused: n.refused}
	cfg.Logger = log.New(n.lines, "", 0)
	cfg.Delegate, cfg.Events, cfg.Conflict = (*delegate)(n), (*events)(n), (*events)(n)
	cfg.GossipVerifyIncoming, cfg.GossipVerifyOutgoing = true, true
	cfg.DeadNodeReclaimTime = time.Second // a server may come back at another address
	cfg.DNSConfigPath = ""                // the system's resolver is enough
	if n.cfg.faults.quick != nil {
		n.cfg.faults.quick(cfg)
	}
	g, err := memberlist.Create(cfg)
	if err != nil {
		return fmt.Errorf("start gossip between servers: %w", err)
	}
	n.gossip = g
	n.mesh.Start(&listener{port: n.port, done: make(chan struct{})})
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.wg.Go(func() { n.follow(ctx) })
	n.wg.Go(func() { n.rejoin(ctx) })
	return nil
}

// follow tells of changes.
func (n *Node) follow(ctx context.Context) {
	for {
		all := n.Members()
		peers := make([]link.Peer, 0, len(all))
		for _, m := range all {
			peers = append(peers, link.Peer{Name: m.Name, Addr: m.Addr})
		}
		n.mesh.SetPeers(peers)
		n.cfg.Changed(all)
		select {
		case <-n.wake:
		case <-ctx.Done():
			return
		}
	}
}

// rejoin looks for servers that are not connected: those of the configuration, and those that were
// members once. Gossip alone doesn't come back to them when the network was broken for long, and a
// member that has no link may not have heard that this server has another address.
func (n *Node) rejoin(ctx context.Context) {
	t := time.NewTicker(n.cfg.Rejoin)
	defer t.Stop()
	silent := make(silent)
	for _, addr := range n.missing(ctx) {
		if ctx.Err() == nil {
			n.join(addr, silent)
		}
	}
	n.sought.Store(true)
	for {
		missing := n.missing(ctx)
		silent.only(missing)
		rand.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
		for _, addr := range missing[:min(len(missing), atOnce)] {
			if ctx.Err() == nil {
				n.join(addr, silent)
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// Settled reports whether the servers of Config.Join have been looked for, and all that there are can be
// reached: who has not been found by then is not there.
func (n *Node) Settled() bool { return n.sought.Load() && len(n.Unreached()) == 0 }

// Unreached lists the servers of which gossip tells and that this one has no link with, in order.
func (n *Node) Unreached() (names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.members {
		if !n.mesh.Reaches(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Complete reports whether as many servers can be reached as Config.Join names.
func (n *Node) Complete() bool {
	return n.sought.Load() && int64(len(n.mesh.Connected())) >= n.wanted.Load()
}

// atOnce is how many servers are looked for in a round: each that answers knows the others.
const atOnce = 2

// missing are the addresses to look for servers at.
func (n *Node) missing(ctx context.Context) (out []string) {
	n.mu.Lock()
	here := map[string]bool{n.self.Addr: true}
	for name, p := range n.known {
		if n.mesh.Reaches(name) {
			here[p.addr] = true
		} else if !p.until.IsZero() && time.Since(p.until) > remembered {
			delete(n.known, name)
		}
	}
	for _, p := range n.known {
		if !here[p.addr] {
			out = append(out, p.addr)
			here[p.addr] = true
		}
	}
	n.mu.Unlock()
	for _, addr := range n.seeds(ctx) {
		if !here[addr] {
			out = append(out, addr)
			here[addr] = true
		}
	}
	return out
}

// seeds are the addresses of Config.Join, without the own one. It notes how many servers these are: a server may have one
// address of each family, and a name that can't be resolved stands for one.
func (n *Node) seeds(ctx context.Context) (out []string) {
	wanted := 0
	for _, seed := range n.cfg.Join {
		host, port, err := net.SplitHostPort(seed)
		if err != nil {
			host, port = seed, strconv.Itoa(n.port.advertise.Port)
		}
		ips, err := n.cfg.Resolver.LookupHost(ctx, host)
		if err != nil {
			wanted++
			n.port.notices.Warn("the name of another server can't be resolved", "reason", err.Error())
		}
		four, six := 0, 0
		for _, ip := range ips {
			addr := net.JoinHostPort(ip, port)
			switch {
			case addr == n.port.advertise.String() && !n.cfg.faults.seeksSelf || slices.Contains(out, addr):
				continue
			case strings.Contains(ip, ":"):
				six++
			default:
				four++
			}
			out = append(out, addr)
		}
		if n.cfg.faults.oneName {
			four, six = min(four, 1), min(six, 1)
		}
		wanted += max(four, six)
	}
	n.wanted.Store(int64(wanted))
	return out
}

// Members lists the servers of the cluster by name, this one included.
func (n *Node) Members() []Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := []Member{n.self}
	for _, m := range n.members {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Current reports whether another server is connected, and what Members says of it is of that process: gossip may still tell of the
// one before.
func (n *Node) Current(server string) bool {
	process, connected := n.mesh.Incarnation(server)
	if !connected || !n.mesh.Reaches(server) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.members[server].Incarnation == process || n.cfg.faults.anyProcess
}

// Zone is the zone of a server of the cluster; empty if it has none, or is not known.
func (n *Node) Zone(server string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if server == n.self.Name {
		return n.self.Zone
	}
	return n.members[server].Zone
}

// Self is this server.
func (n *Node) Self() Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.self
}

// Close leaves the cluster: the others know at once. What waits for them is sent, for a short while.
func (n *Node) Close() (err error) {
	n.once.Do(func() { err = n.close() })
	return err
}

func (n *Node) close() error {
	var errs []error
	for _, peer := range n.mesh.Connected() {
		if err := n.mesh.Send(peer, Control, []byte(bye)); err != nil {
			n.log.Debug("server is not told that this one leaves", "server", peer, "error", err)
		}
	}
	n.mesh.Close()
	if n.gossip != nil {
		n.stop()
		if err := n.gossip.Leave(time.Second); err != nil {
			n.log.Debug("the others were not told", "error", err)
		}
		if !n.cfg.faults.waits {
			n.port.hangUp()
		}
		n.wg.Wait()
		errs = append(errs, n.endGossip())
	}
	return errors.Join(append(errs, n.port.Shutdown())...)
}
