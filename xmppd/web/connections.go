package web

import (
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Connections bounds the connections of HTTP servers by its Hook, which is for http.Server.ConnState.
// A connection that becomes a WebSocket is not counted any more: its stream is.
type Connections struct {
	Total      int     // all of them
	PerAddress int     // of one address, of a /64 with IPv6
	Free       Proxies // for them only Total counts

	mu   sync.Mutex
	open map[net.Conn]netip.Prefix
	by   map[netip.Prefix]int

	refused prometheus.Counter
}

// NewConnections makes one with metrics; reg may be nil.
func NewConnections(total, perAddress int, free Proxies, reg prometheus.Registerer) *Connections {
	c := &Connections{
		Total: total, PerAddress: perAddress, Free: free,
		open: make(map[net.Conn]netip.Prefix), by: make(map[netip.Prefix]int),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "xmppd", Subsystem: "http", Name: "connections_refused_total", Help: "HTTP connections closed because there were too many."}),
	}
	if reg != nil {
		reg.MustRegister(c.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "xmppd", Subsystem: "http", Name: "connections", Help: "Open HTTP connections, WebSockets left out."}, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return float64(len(c.open))
		}))
	}
	return c
}

// Hook counts a connection that comes or goes, and closes one that is too many.
func (c *Connections) Hook(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if !c.enter(conn) {
			c.refused.Inc()
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		c.leave(conn)
	case http.StateActive, http.StateIdle:
	}
}

func (c *Connections) enter(conn net.Conn) bool {
	key := place(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.Total {
		return false
	}
	if key.IsValid() && c.by[key] >= c.PerAddress && !c.Free.trusts(key.Addr().String()) {
		return false
	}
	c.open[conn] = key
	c.by[key]++
	return true
}

func (c *Connections) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, ok := c.open[conn]
	if !ok {
		return
	}
	delete(c.open, conn)
	if c.by[key]--; c.by[key] <= 0 {
		delete(c.by, key)
	}
}

// place is the address that a connection counts for; the zero Prefix if it has none.
func place(conn net.Conn) netip.Prefix {
	a, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := a.Addr().Unmap(), 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.WithZone("").Prefix(bits)
	return p
}
