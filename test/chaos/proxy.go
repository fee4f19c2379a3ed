package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// link is a TCP proxy between one participant and the XMPP server. It can be
// slow, stall, and break connections with what is under way in them.
type link struct {
	listener net.Listener
	target   func() string // address of the server now
	wg       sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when delay or stalled change
	delay   time.Duration // of each piece, in each direction
	stalled bool
	muted   bool // what comes from the server is held back
	held    int  // connections in which something is
	conns   map[*net.TCPConn]bool
	closed  bool
}

// newLink listens on an address, port 0 for any.
func newLink(addr string, target func() string) (*link, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	k := &link{listener: l, target: target, changed: make(chan struct{}), conns: make(map[*net.TCPConn]bool)}
	k.wg.Go(k.accept)
	return k, nil
}

func (k *link) addr() string { return k.listener.Addr().String() }

func (k *link) accept() {
	for {
		c, err := k.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, perhaps: no reason to spin
			continue
		}
		k.wg.Go(func() { k.serve(c.(*net.TCPConn)) })
	}
}

func (k *link) serve(near *net.TCPConn) {
	defer near.Close() //nolint:errcheck // whatever it says, it is closed
	if !k.enter(near) {
		return
	}
	defer k.leave(near)
	c, err := net.DialTimeout("tcp", k.target(), 5*time.Second)
	if err != nil {
		return // the server is down; the participant tries again
	}
	far := c.(*net.TCPConn)
	defer far.Close() //nolint:errcheck // as above
	if !k.enter(far) {
		return
	}
	defer k.leave(far)
	var both sync.WaitGroup
	both.Go(func() { k.pump(near, far, false) })
	both.Go(func() { k.pump(far, near, true) })
	both.Wait()
}

// pump carries bytes one way, which may be down from the server, until an end
// closes; then both close.
func (k *link) pump(from, to *net.TCPConn, down bool) {
	defer from.Close() //nolint:errcheck // ends the other direction
	defer to.Close()   //nolint:errcheck // as above
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !k.hold(down) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold waits as long as the link wants; false: it is closed.
func (k *link) hold(down bool) bool {
	k.mu.Lock()
	delay := k.delay
	for (k.stalled || k.muted && down) && !k.closed {
		changed := k.changed
		if down {
			k.held++
		}
		k.mu.Unlock()
		<-changed
		k.mu.Lock()
		if down {
			k.held--
		}
	}
	closed := k.closed
	k.mu.Unlock()
	time.Sleep(delay) // the link's latency
	return !closed
}

func (k *link) enter(c *net.TCPConn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns[c] = true
	return !k.closed
}

func (k *link) leave(c *net.TCPConn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
}

// slow sets the latency.
func (k *link) slow(delay time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.delay = delay
}

// stall lets nothing through any more, or again.
func (k *link) stall(stalled bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stalled = stalled
	close(k.changed)
	k.changed = make(chan struct{})
}

// mute holds back what comes from the server, or lets it through again.
func (k *link) mute(muted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.muted = muted
	close(k.changed)
	k.changed = make(chan struct{})
}

// muffled tells whether something is held back in every connection.
func (k *link) muffled() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held > 0 && 2*k.held >= len(k.conns) // two ends each
}

// drop breaks all connections (RST): what is under way is lost.
func (k *link) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		_ = c.SetLinger(0) // a connection that is gone already needs none
		_ = c.Close()
	}
}

func (k *link) close() {
	k.mu.Lock()
	k.closed = true
	close(k.changed)
	k.changed = make(chan struct{})
	k.mu.Unlock()
	err := k.listener.Close()
	k.drop()
	k.wg.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		panic(err) // a listener is closed once
	}
}
