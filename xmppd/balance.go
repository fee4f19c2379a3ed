package xmppd

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/cluster"
	"github.com/rosterdb/rosterdb/xmppd/cluster/balance"
	links "github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// checkPublic reports what can't be where clients are sent to: a host, or host:port; IPv6 in brackets.
func checkPublic(addr string) error {
	if addr == "" {
		return nil
	}
	host, port := splitPublic(addr)
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) || host == "" || strings.ContainsAny(host, " /@<>") {
		return fmt.Errorf("%q is neither a host nor HOST:PORT", addr)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("%q is no address that a client could connect to", addr)
	}
	return nil
}

func splitPublic(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return strings.Trim(addr, "[]"), ""
	}
	return host, port
}

// public is where clients are sent to that shall come to a listener of this server; empty if nowhere.
func (s *Server) public(addr, listener string) string {
	at := s.addrOf(listener)
	if addr == "" || at == "" {
		return ""
	}
	host, port := splitPublic(addr)
	if port == "" {
		_, port, _ = net.SplitHostPort(at) // the listener's own address is one
	}
	return net.JoinHostPort(host, port)
}

// balanceChannel is that of package balance on the links.
const balanceChannel links.Channel = 9

type balanceLinks struct{ *links.Mesh }

func (l balanceLinks) Send(to string, frame []byte) error {
	return l.Mesh.Send(to, balanceChannel, frame)
}

// newBalance spreads clients over the servers of the cluster, unless that is off.
func (s *Server) newBalance(n *cluster.Node, table *session.Table) {
	c := &s.cfg.Cluster
	if c.Redirect == "off" {
		return
	}
	s.balance = balance.New(balance.Config{
		Self: n.Self().Name, Zone: c.Zone, Links: balanceLinks{n.Mesh()}, All: c.Redirect == "all",
		C2S: s.public(c.PublicC2S, forClients), TLS: s.public(c.PublicTLS, forTLS),
		Sessions: table.Count, CPU: s.cpu.Share, Takes: func() bool { return !s.draining.Load() && n.Self().State == cluster.Up },
		Now: time.Now, Draw: rand.IntN, Log: s.log, Registerer: s.registry, Faults: s.faults.balance,
	})
	n.Mesh().Handle(balanceChannel, links.Handler{Receive: s.balance.Receive})
}

// drain has no more clients sent to this server, and those that come sent away.
func (s *Server) drain() {
	s.draining.Store(true)
	if s.balance != nil {
		s.balance.Report(true)
	}
}

// redirection is what c2s sends clients to other servers with.
func (s *Server) redirection() c2s.Redirection {
	if s.balance == nil {
		return nil
	}
	return s.balance
}
