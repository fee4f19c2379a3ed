package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
)

// gate is a way to an XMPP server that can be shut for new connections: those that there are go on.
type gate struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	server string // where it leads
	open   map[net.Conn]bool
}

func newGate(t *testing.T) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, open: make(map[net.Conn]bool)}
	g.wg.Go(g.accept)
	t.Cleanup(g.close)
	return g
}

func (g *gate) addr() string { return g.listener.Addr().String() }

func (g *gate) leadTo(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.server = server
}

func (g *gate) accept() {
	for {
		near, err := g.listener.Accept()
		if err != nil {
			return // shut
		}
		g.wg.Go(func() { g.serve(near) })
	}
}

func (g *gate) serve(near net.Conn) {
	defer near.Close() //nolint:errcheck // whatever it says, it is closed
	g.mu.Lock()
	server := g.server
	g.mu.Unlock()
	far, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer far.Close() //nolint:errcheck // as above
	g.mu.Lock()
	g.open[near] = true
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.open, near)
		g.mu.Unlock()
	}()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // an error is an end
			way[0].Close()                 //nolint:errcheck // ends the other way
			way[1].Close()                 //nolint:errcheck // as above
		})
	}
	both.Wait()
}

// streams is how many connections there are.
func (g *gate) streams() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

// shut lets nobody in any more.
func (g *gate) shut() { g.listener.Close() } //nolint:errcheck // a second time it is closed already

func (g *gate) close() {
	g.shut()
	g.mu.Lock()
	for c := range g.open {
		c.Close() //nolint:errcheck // all that is wanted
	}
	g.mu.Unlock()
	g.wg.Wait()
}
