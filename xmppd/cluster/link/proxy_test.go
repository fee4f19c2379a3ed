package link

import (
	"net"
	"sync"
	"testing"
)

// proxy is a network between two nodes that a test breaks. It forwards to one address.
type proxy struct {
	l    net.Listener
	to   string
	addr string
	wg   sync.WaitGroup

	mu    sync.Mutex
	moved sync.Cond
	conns []net.Conn
	held  bool  // bytes stay in the proxy
	deaf  bool  // what is answered stays in the proxy
	drop  bool  // connections are refused
	left  int64 // bytes until all connections are cut; negative: never
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, addr: l.Addr().String(), left: -1}
	p.moved.L = &p.mu
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.set(func() { p.drop, p.held, p.deaf = true, false, false })
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		a, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		to := p.to
		p.mu.Unlock()
		b, err := net.Dial("tcp", to)
		p.mu.Lock()
		if p.drop || err != nil {
			p.mu.Unlock()
			_ = a.Close()
			if b != nil {
				_ = b.Close()
			}
			continue
		}
		p.conns = append(p.conns, a, b)
		p.mu.Unlock()
		p.wg.Go(func() { p.forward(a, b, true) })
		p.wg.Go(func() { p.forward(b, a, false) })
	}
}

func (p *proxy) forward(to, from net.Conn, answers bool) {
	defer to.Close()
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.held || p.deaf && answers {
			p.moved.Wait()
		}
		cut := false
		if p.left >= 0 {
			p.left -= int64(n)
			cut = p.left < 0
		}
		p.mu.Unlock()
		if cut {
			p.cut()
			return
		}
		if _, werr := to.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

// set changes how the proxy behaves.
func (p *proxy) set(change func()) {
	p.mu.Lock()
	change()
	p.moved.Broadcast()
	p.mu.Unlock()
}

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	conns := p.conns
	p.conns, p.left = nil, -1
	p.mu.Unlock()
	for _, c := range conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}
