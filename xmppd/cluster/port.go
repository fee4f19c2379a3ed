package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/rosterdb/rosterdb/internal/rawio"
	"github.com/rosterdb/rosterdb/xmppd/cluster/notice"
)

const (
	firstByte   = 5 * time.Second // for a connection to say what it is
	tlsRecord   = 0x16            // what a TLS handshake begins with (RFC 8446 section 5.1), and gossip does not
	maxPacket   = 64 << 10        // bytes of a UDP packet
	maxGossip   = 128 << 10       // bytes of a gossip stream: what is said of 200 servers
	packetQueue = 256
)

// port is the one port of a server: a memberlist.Transport, and a net.Listener of links. Whoever
// closes it is sure that its goroutines have ended.
type port struct {
	tcp       net.Listener
	udp       net.PacketConn
	advertise *net.TCPAddr
	notices   *notice.Log
	refused   func(reason string) // counts
	guests    guests
	cut       func(addr string) bool // tests: the network to an address is broken; nil: it never is
	faults    faults

	packets chan *memberlist.Packet
	streams chan net.Conn
	links   chan net.Conn
	closing chan struct{}
	once    sync.Once
	wg      sync.WaitGroup

	mu     sync.Mutex
	young  map[net.Conn]struct{} // have said nothing
	dialed map[*dialed]struct{}  // gossip that this server has begun
	hung   bool                  // hangUp
}

// openPort listens by TCP and UDP. Port 0: any that is free for both.
// member tells whether a server of the cluster is at a host; refused counts.
func openPort(cfg *Config, member func(host string) bool, refused func(reason string)) (*port, error) {
	const tries = 10
	var err error
	for range tries {
		var p *port
		if p, err = listenBoth(cfg.Listen); err != nil {
			continue
		}
		p.notices, p.refused, p.guests.member, p.cut, p.faults = &notice.Log{To: cfg.Log}, refused, member, cfg.Cut, cfg.faults
		if p.advertise, err = advertised(p.tcp.Addr(), cfg.Advertise); err != nil {
			return nil, errors.Join(err, p.tcp.Close(), p.udp.Close())
		}
		p.wg.Go(p.accept)
		p.wg.Go(p.receive)
		return p, nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: the address is in use: stop the program that listens there, or give cluster.listen another port (UDP and TCP have to be free)", cfg.Listen)
	}
	return nil, fmt.Errorf("listen for other servers on %s: %w", cfg.Listen, err)
}

func listenBoth(addr string) (*port, error) {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says for what
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	return &port{
		tcp: tcp, udp: udp, packets: make(chan *memberlist.Packet, packetQueue), streams: make(chan net.Conn),
		links: make(chan net.Conn), closing: make(chan struct{}), young: make(map[net.Conn]struct{}), dialed: make(map[*dialed]struct{}),
	}, nil
}

// advertised is the address that others reach this server at: what the operator says, or what it listens on.
func advertised(at net.Addr, said string) (*net.TCPAddr, error) {
	own, ok := at.(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("%s is no TCP address", at)
	}
	if said == "" {
		if own.IP.IsUnspecified() {
			return nil, fmt.Errorf("others can't be told to connect to %s: give the address that they reach this server at (cluster.advertise)", own)
		}
		return own, nil
	}
	if _, _, err := net.SplitHostPort(said); err != nil {
		said = net.JoinHostPort(said, fmt.Sprint(own.Port))
	}
	addr, err := net.ResolveTCPAddr("tcp", said)
	if err != nil {
		return nil, fmt.Errorf("cluster.advertise: %w", err)
	}
	if addr.Port == 0 {
		addr.Port = own.Port
	}
	return addr, nil
}

// accept finds out what connections are.
func (p *port) accept() {
	for {
		conn, err := p.tcp.Accept()
		if err != nil {
			select {
			case <-p.closing:
				return
			case <-time.After(100 * time.Millisecond): // such as when files have run out
			}
			p.notices.Warn("a connection of another server can't be accepted", "error", err.Error())
			continue
		}
		g, why := p.guests.admit(rawio.Wrap(conn))
		if g == nil {
			p.refused(reasonFlood)
			p.notices.Warn(why, "address", addressOf(conn))
			_ = conn.Close()
			continue
		}
		p.wg.Go(func() { p.sort(g) })
	}
}

// sort looks at the first byte of a connection.
func (p *port) sort(conn *guest) {
	p.mu.Lock()
	p.young[conn] = struct{}{}
	p.mu.Unlock()
	first := make([]byte, 1)
	_ = conn.SetReadDeadline(time.Now().Add(firstByte))
	_, err := conn.Conn.Read(first)
	p.mu.Lock()
	delete(p.young, conn)
	p.mu.Unlock()
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.refused(reasonSilent)
			p.notices.Warn("connection on the cluster's port refused: it says nothing", "peer", addressOf(conn))
		}
		_ = conn.Close()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	if conn.first = first; p.faults.uncounted != nil {
		conn.known()
		p.faults.uncounted()
	}
	to := p.links
	if first[0] != tlsRecord {
		if to = p.streams; !p.faults.endless {
			conn.left = maxGossip
		}
		conn.tooLong = func() {
			p.refused(reasonSize)
			p.notices.Warn("gossip of a stranger refused: it is longer than that of any cluster", "peer", addressOf(conn))
		}
	}
	select {
	case to <- conn:
	case <-p.closing:
		_ = conn.Close()
	}
}

// receive takes packets.
func (p *port) receive() {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := p.udp.ReadFrom(buf)
		if err != nil {
			select {
			case <-p.closing:
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if n == 0 || p.isCut(from.String()) {
			continue
		}
		b := make([]byte, n)
		copy(b, buf)
		select {
		case p.packets <- &memberlist.Packet{Buf: b, From: from, Timestamp: time.Now()}:
		case <-p.closing:
			return
		}
	}
}

func (p *port) isCut(addr string) bool { return p.cut != nil && p.cut(addr) }

// FinalAdvertiseAddr implements memberlist.Transport.
func (p *port) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	ip := p.advertise.IP
	if ip4 := ip.To4(); ip4 != nil {
		ip = ip4
	}
	return ip, p.advertise.Port, nil
}

// WriteTo implements memberlist.Transport.
func (p *port) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("send gossip: %w", err)
	}
	if !p.isCut(to.String()) {
		if _, err := p.udp.WriteTo(b, to); err != nil {
			return time.Time{}, fmt.Errorf("send gossip: %w", err)
		}
	}
	return time.Now(), nil
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (p *port) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return p.WriteTo(b, a.Addr)
}

// PacketCh implements memberlist.Transport.
func (p *port) PacketCh() <-chan *memberlist.Packet { return p.packets }

// StreamCh implements memberlist.Transport.
func (p *port) StreamCh() <-chan net.Conn { return p.streams }

// DialTimeout implements memberlist.Transport.
func (p *port) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := p.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hung {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	c := &dialed{conn, p}
	p.dialed[c] = struct{}{}
	return c, nil
}

// dialed is a gossip stream that hangUp ends.
type dialed struct {
	net.Conn
	p *port
}

func (d *dialed) Close() error {
	d.p.mu.Lock()
	delete(d.p.dialed, d)
	d.p.mu.Unlock()
	return d.Conn.Close() //nolint:wrapcheck // a net.Conn's
}

// hangUp ends the gossip streams that this server has begun, and begins no more: who stands still would be waited for.
func (p *port) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hung = true
	for d := range p.dialed {
		_ = d.Conn.Close()
	}
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (p *port) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return p.DialTimeout(a.Addr, timeout)
}

// dial connects to another server's port.
func (p *port) dial(ctx context.Context, addr string) (net.Conn, error) {
	if p.isCut(addr) {
		return nil, fmt.Errorf("connect to %s: the network is cut", addr)
	}
	conn, err := (&net.Dialer{LocalAddr: p.from(addr)}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	conn = rawio.Wrap(conn) // docs/adr/0008-raw-system-calls.md
	if p.cut != nil {
		return &breakable{conn, addr, p.cut}, nil
	}
	return conn, nil
}

// from is the address to connect from: the one that this server listens at, as the gossip's packets do, so that firewalls
// and the others know it by one; nil, and the system chooses, where it listens at all, or can't reach addr from there.
func (p *port) from(addr string) net.Addr {
	own, ok := p.tcp.Addr().(*net.TCPAddr)
	to, err := netip.ParseAddrPort(addr)
	if !ok || err != nil || own.IP.IsUnspecified() {
		return nil
	}
	there := net.IP(to.Addr().Unmap().AsSlice())
	if (own.IP.To4() == nil) != (there.To4() == nil) || own.IP.IsLoopback() && !there.IsLoopback() {
		return nil
	}
	return &net.TCPAddr{IP: own.IP, Zone: own.Zone}
}

// breakable is a connection over a network that a test cuts: what is written then gets lost.
type breakable struct {
	net.Conn
	addr string
	cut  func(string) bool
}

func (b *breakable) Write(p []byte) (int, error) {
	if b.cut(b.addr) {
		return len(p), nil
	}
	return b.Conn.Write(p) //nolint:wrapcheck // a net.Conn's
}

// Shutdown implements memberlist.Transport: it ends the gossip, and with it the port.
func (p *port) Shutdown() error {
	p.once.Do(func() {
		close(p.closing)
		_ = p.tcp.Close()
		_ = p.udp.Close()
		p.mu.Lock()
		for conn := range p.young {
			_ = conn.Close()
		}
		p.mu.Unlock()
	})
	p.wg.Wait()
	return nil
}

// listener is the net.Listener of links. Closing it ends Accept only.
type listener struct {
	*port
	done chan struct{}
	once sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.links:
		return conn, nil
	case <-l.done:
	case <-l.closing:
	}
	return nil, net.ErrClosed
}

func (l *listener) Addr() net.Addr { return l.tcp.Addr() }

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}
