package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/cluster/notice"
)

// Errors of Send.
var (
	// ErrDown: the peer is not connected. Nothing was sent.
	ErrDown = errors.New("server is not connected")
	// ErrFull: too much waits for the peer already. Nothing was sent.
	ErrFull = errors.New("too much waits for the server")
)

// Handler is one end of a channel. Its functions are called by one goroutine at a time for each
// peer, and must not wait: nothing else of the peer is received meanwhile.
type Handler struct {
	// Name of the channel in metrics; empty: it has none.
	Name string
	// Receive takes a frame. The payload is valid during the call.
	Receive func(from string, payload []byte)
	// Pause is called when all frames that have come together were received; nil: it is not.
	Pause func(from string)
	// Undelivered gets back what a peer has not acknowledged, in the order of Send. doubt says that the
	// peer may have taken it all the same. sent is a time of it, later for each frame: not later than the moment from which on Send
	// returned ErrDown. nil: it is dropped.
	Undelivered func(to string, payload []byte, sent time.Time, doubt bool)
	// Bulk frames don't delay those of other channels.
	Bulk bool
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	AnyClock   bool // a peer with another time is taken
	NoLease    bool // a server that was frozen takes what its peers have given up
	AckLate    bool // what was handled is not acknowledged
	Forget     bool // what a broken pair had not written is lost
	AnyName    bool // a certificate of the cluster speaks for every server
	AnyVersion bool // a peer of another Major is taken
	AnyData    bool // a peer with the data of another cluster is taken
	NoAsking   bool // the peer is not asked how far it came
	AnyProcess bool // two processes of one name are taken for one
	NoMemory   bool // how far a peer came is forgotten when it is not listed for a while
}

// Config is what a Mesh needs. Zero values of times and sizes stand for the defaults given.
type Config struct {
	Name        string // of this server; its certificate has to bear it
	Cluster     string // servers of another cluster are refused
	Incarnation uint64 // of this process, random
	// Data is the UUID of the cluster that this server has data of; "" while it has none, or nil: it never
	// has. Servers with data of two clusters refuse each other.
	Data func() string

	Certificate tls.Certificate
	Authority   *x509.CertPool // of the cluster

	Silence   time.Duration // after which a peer is cut off; 0: 4 s
	Doubt     time.Duration // how long a peer may stay away and still tell what it had; 0: 10 s
	Queue     int           // bytes that may wait for a peer; 0: 64 MiB
	BulkQueue int           // the same of bulk; 0: 64 MiB
	Window    int           // bytes that a peer may not have acknowledged; 0: 8 MiB

	Up   func(peer string, incarnation uint64) // nil: nobody wants to know
	Down func(peer string)

	// Dial connects to a peer; nil: by TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// Identified is told of connections, as the listener gave them, whose peers have proven to be servers of the
	// cluster; Refused of those that are not taken, with one of Reasons. nil: nobody wants to know.
	Identified func(net.Conn)
	Refused    func(reason string)

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Faults     Faults
}

func (c *Config) withDefaults() {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	if c.Silence == 0 {
		c.Silence = 4 * time.Second
	}
	if c.Doubt == 0 {
		c.Doubt = 10 * time.Second
	}
	def(&c.Queue, 64<<20)
	def(&c.BulkQueue, 64<<20)
	def(&c.Window, 8<<20)
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	if c.Data == nil {
		c.Data = func() string { return "" }
	}
	if c.Up == nil {
		c.Up = func(string, uint64) {}
	}
	if c.Down == nil {
		c.Down = func(string) {}
	}
	if c.Identified == nil {
		c.Identified = func(net.Conn) {}
	}
	if c.Refused == nil {
		c.Refused = func(string) {}
	}
}

// maxStrangers is how many connections may be in their handshake; whose listener bounds those of one address (package cluster)
// keeps below it.
const maxStrangers = 256

// Peer is another server of the cluster, and where it listens.
type Peer struct{ Name, Addr string }

// Mesh connects this server to its peers. It is safe for concurrent use.
type Mesh struct {
	cfg      Config
	log      *slog.Logger
	handlers [256]Handler
	pauses   []func(from string) // of handlers
	passed   [256]passed
	// certificate is Config.Certificate, or what has come after it.
	certificate atomic.Pointer[tls.Certificate]
	notices     notice.Log

	listener  net.Listener
	ctx       context.Context //nolint:containedctx // of all its goroutines
	cancel    context.CancelFunc
	closing   chan struct{}
	strangers chan struct{} // one entry for each connection that has not said who it is
	dials     chan struct{} // one entry for each dial under way
	wg        sync.WaitGroup

	mu     sync.Mutex
	peers  map[string]*peer
	had    map[string]lastStream // of peers that were retired: they may be back, and ask
	counts map[string]*counts    // of all peers that there ever were, nearly: a counter never falls
	closed bool
	view   atomic.Pointer[map[string]*peer] // what peers is, for readers
}

// New makes a mesh. Handle completes it; Start begins.
func New(cfg Config) *Mesh {
	cfg.withDefaults()
	m := &Mesh{
		cfg: cfg, log: cfg.Log, notices: notice.Log{To: cfg.Log}, closing: make(chan struct{}),
		strangers: make(chan struct{}, maxStrangers), dials: make(chan struct{}, dialsAtOnce), peers: make(map[string]*peer),
		had: make(map[string]lastStream), counts: make(map[string]*counts),
	}
	m.Renew(cfg.Certificate)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.view.Store(new(map[string]*peer))
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(&collector{m})
	}
	return m
}

// Handle sets what serves a channel. It is called before Start; channel 0 is taken.
func (m *Mesh) Handle(ch Channel, h Handler) {
	m.handlers[ch] = h
	if h.Pause != nil {
		m.pauses = append(m.pauses, h.Pause)
	}
}

// Start accepts the streams of peers on l, which the mesh closes, until Close.
func (m *Mesh) Start(l net.Listener) {
	m.listener = l
	m.wg.Go(m.accept)
}

// SetPeers says which servers there are. Streams to new ones are opened; those to servers that are not
// listed any more live on until they break.
func (m *Mesh) SetPeers(list []Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	wanted := make(map[string]bool, len(list))
	for _, l := range list {
		if l.Name == m.cfg.Name {
			continue
		}
		wanted[l.Name] = true
		p := m.peers[l.Name]
		if p == nil {
			p = newPeer(m, l.Name)
			p.had = m.had[l.Name]
			m.count(p)
			m.peers[l.Name] = p
			m.wg.Go(p.run)
		}
		p.want(l.Addr)
	}
	for name, p := range m.peers {
		if !wanted[name] {
			p.want("")
		}
	}
	m.publish()
}

// maxCounts bounds the servers whose counters are remembered, as names are no more than what gossip says.
const maxCounts = 256

// count has a peer go on with the counters of the one of its name before. mu must be held.
func (m *Mesh) count(p *peer) {
	if c := m.counts[p.name]; c != nil && !m.cfg.Faults.NoMemory {
		p.counts = c
	}
	m.counts[p.name] = p.counts
	for name := range m.counts {
		if len(m.counts) <= maxCounts {
			return
		}
		if m.peers[name] == nil && name != p.name {
			delete(m.counts, name)
		}
	}
}

// publish shows readers what peers is. mu must be held.
func (m *Mesh) publish() {
	now := maps.Clone(m.peers)
	m.view.Store(&now)
}

// peer finds a peer that is, or was lately, listed; nil without.
func (m *Mesh) peer(name string) *peer { return (*m.view.Load())[name] }

// hurryOthers dials the peers that are not connected at once: what can reach one may reach others again.
func (m *Mesh) hurryOthers() {
	for _, p := range *m.view.Load() {
		if !p.up.Load() {
			p.hurry()
		}
	}
}

// retire forgets a peer that has nothing to do, unless it is listed again meanwhile.
func (m *Mesh) retire(p *peer) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.address() != "" && !m.closed {
		return false
	}
	delete(m.peers, p.name)
	if !m.cfg.Faults.NoMemory {
		m.had[p.name] = p.had // a few bytes for each server that there ever was
	}
	m.publish()
	return true
}

// Send queues a frame for a peer. The payload is copied. It never waits; the error is ErrDown,
// ErrFull, or tells that the payload is too large.
func (m *Mesh) Send(to string, ch Channel, payload []byte) error {
	owed, err := m.Put(to, ch, payload)
	if err == nil {
		owed.Flush()
	}
	return err
}

// Owed is the queue of a peer.
type Owed interface {
	// Flush has what waits for the peer written. It doesn't wait.
	Flush()
}

// Put is Send of a payload in pieces that may wait for others: the caller owes a Flush. There is one Owed for each peer.
func (m *Mesh) Put(to string, ch Channel, pieces ...[]byte) (Owed, error) {
	n := 0
	for _, piece := range pieces {
		n += len(piece)
	}
	if n > MaxFrame {
		return nil, fmt.Errorf("send %d bytes: a frame has %d at most", n, MaxFrame)
	}
	p := m.peer(to)
	if p == nil {
		return nil, ErrDown
	}
	h := &m.handlers[ch]
	limit := m.cfg.Queue
	if h.Bulk {
		limit = m.cfg.BulkQueue
	}
	if err := p.q.put(ch, h.Bulk, limit, n, pieces...); err != nil {
		return nil, err
	}
	m.passed[ch].out.Add(1)
	return &p.q, nil
}

// Connected lists the peers that are connected, in order.
func (m *Mesh) Connected() []string {
	var out []string
	for name, p := range *m.view.Load() {
		if p.up.Load() {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Reports whether a peer is connected.
func (m *Mesh) Reaches(name string) bool {
	p := m.peer(name)
	return p != nil && p.up.Load()
}

// Incarnation tells which process of a peer is connected; ok is false if none is.
func (m *Mesh) Incarnation(name string) (incarnation uint64, ok bool) {
	p := m.peer(name)
	if p == nil {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == nil {
		return 0, false
	}
	return p.out.incarnation, true
}

// Close sends what waits, for two seconds at most, and ends all streams. Nothing is received, and
// no callback runs, when it has returned.
func (m *Mesh) Close() {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	close(m.closing)
	peers := slices.Collect(maps.Values(m.peers))
	m.mu.Unlock()
	if m.listener != nil {
		_ = m.listener.Close()
	}
	ctx, stop := context.WithTimeout(m.ctx, 2*time.Second)
	for _, p := range peers {
		p.drained(ctx)
	}
	stop()
	m.cancel()
	m.wg.Wait()
}
