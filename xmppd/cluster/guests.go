package cluster

import (
	"errors"
	"net"
	"sync"
)

const (
	maxGuests = 128           // connections that have not proven to be a server's
	maxOfOne  = maxGuests / 2 // those of one address
)

// guests bounds the connections whose peers have not proven who they are: that bounds their memory, too. Whoever
// floods the port does not take it from the addresses of members, which don't count for the whole.
type guests struct {
	member func(host string) bool // is a server of the cluster there?

	mu     sync.Mutex
	byHost map[string]int
	others int // of those that are no members'
}

// guest is a connection that is counted until it is closed, or has proven to be a server's.
type guest struct {
	net.Conn
	first   []byte // was read already
	left    int    // bytes that it may still send; 0: no bound
	tooLong func()

	once sync.Once
	done func()
}

// errTooLong ends a gossip stream that says more than there is to say.
var errTooLong = errors.New("gossip of more than 128 KiB")

// admit counts a connection; nil and why not if there are too many.
func (g *guests) admit(conn net.Conn) (*guest, string) {
	host := addressOf(conn)
	member := g.member(host)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.byHost[host] >= maxOfOne:
		return nil, "too many connections at once of one address on the cluster's port: some are closed"
	case !member && g.others >= maxGuests:
		return nil, "too many connections at once on the cluster's port: some are closed"
	}
	if g.byHost == nil {
		g.byHost = make(map[string]int)
	}
	g.byHost[host]++
	if !member {
		g.others++
	}
	return &guest{Conn: conn, done: func() { g.release(host, member) }}, ""
}

func (g *guests) release(host string, member bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byHost[host]--; g.byHost[host] == 0 {
		delete(g.byHost, host)
	}
	if !member {
		g.others--
	}
}

// known ends the counting.
func (c *guest) known() { c.once.Do(c.done) }

func (c *guest) Read(p []byte) (n int, err error) {
	if len(c.first) > 0 && len(p) > 0 {
		n = copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	if c.left < 0 {
		return 0, errTooLong
	}
	n, err = c.Conn.Read(p)
	if c.left == 0 {
		return n, err //nolint:wrapcheck // a net.Conn's
	}
	if c.left -= n; c.left <= 0 {
		c.left = -1
		c.tooLong()
		return 0, errTooLong
	}
	return n, err //nolint:wrapcheck // a net.Conn's
}

func (c *guest) Close() error {
	c.known()
	return c.Conn.Close() //nolint:wrapcheck // a net.Conn's
}

// addressOf is a peer's address without port.
func addressOf(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return conn.RemoteAddr().String()
	}
	return host
}
