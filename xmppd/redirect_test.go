package xmppd_test

import (
	"fmt"
	"strings"
	"testing"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/balance"
)

const nsRedirect = "urn:rosterdb:redirect:0"

// crowded is three servers, the first of which has some sessions more than the others.
func crowded(t *testing.T, change func(*xmppd.Config), f balance.Faults) *trio {
	t.Helper()
	x := startTrio(t, trioOptions{own: xmppd.Together{Balance: f}, cfg: func(c *xmppd.Config) {
		c.Cluster.PublicC2S = "127.0.0.1"
		if change != nil {
			change(c)
		}
	}})
	for i := range 8 {
		c := connect(t, clients(x.servers[0]))
		c.Open()
		c.Send("<redirect xmlns='" + nsRedirect + "' hops='1'/>") // whatever the load
		if c.Auth(sasl.ScramSha256, "alice", password) != "success" {
			t.Fatal("no login")
		}
		c.Open()
		c.Bind(fmt.Sprint(i))
	}
	return x
}

// asks opens a stream as one that can follow, until the server's answer is one that is wanted.
func asks(t *testing.T, s *xmppd.Server, attrs, want string) string {
	t.Helper()
	got := ""
	eventually(t, "a server answers "+want, func() bool {
		c := connect(t, clients(s))
		defer c.Conn.Close()
		c.Open()
		c.Send("<redirect xmlns='" + nsRedirect + "'" + attrs + "/>")
		got = c.Want("<stay xmlns='"+nsRedirect+"'/>", "</see-other-host></stream:error></stream:stream>")
		return strings.Contains(got, want)
	})
	return got
}

func clients(s *xmppd.Server) string {
	addr, _, _ := s.Addrs()
	return addr
}

func TestRedirect(t *testing.T) {
	x := crowded(t, nil, balance.Faults{})
	got := asks(t, x.servers[0], "", "see-other-host")
	if !strings.Contains(got, clients(x.servers[1])) && !strings.Contains(got, clients(x.servers[2])) {
		t.Errorf("sent to %s", got)
	}
	asks(t, x.servers[1], "", "stay")
	asks(t, x.servers[0], " hops='1' from='x2'", "stay") // it was sent here
	for _, hops := range []string{"-1", "no number", ""} {
		asks(t, x.servers[0], " hops='"+hops+"'", "see-other-host")
	}
}

// TestRedirectOnlyWhoCanFollow: who doesn't say so logs in where it is, and also one that was told to stay.
func TestRedirectOnlyWhoCanFollow(t *testing.T) {
	x := crowded(t, nil, balance.Faults{})
	asks(t, x.servers[0], "", "see-other-host")
	login(t, x.servers[0], "bob", "cannot")
	c := connect(t, clients(x.servers[0]))
	c.Open()
	c.Send("<redirect xmlns='" + nsRedirect + "' hops='1'/>" + xmppraw.Plain("bob", password))
	c.Want("<stay xmlns='" + nsRedirect + "'/>")
	c.Want("<success")
}

func TestRedirectAll(t *testing.T) {
	x := crowded(t, func(c *xmppd.Config) { c.Cluster.Redirect = "all" }, balance.Faults{})
	asks(t, x.servers[0], "", "see-other-host")
	c := connect(t, clients(x.servers[0]))
	c.Open()
	c.Send(xmppraw.Plain("bob", password))
	c.Want("</see-other-host></stream:error></stream:stream>")
	c.End()
	c = connect(t, clients(x.servers[0]))
	c.Open()
	c.Send("<redirect xmlns='" + nsRedirect + "' hops='1'/>" + xmppraw.Plain("bob", password))
	c.Want("<success")
}

func TestRedirectOff(t *testing.T) {
	x := crowded(t, func(c *xmppd.Config) { c.Cluster.Redirect = "off" }, balance.Faults{})
	c := connect(t, clients(x.servers[0]))
	if f := c.Open(); strings.Contains(f, nsRedirect) {
		t.Errorf("offered: %s", f)
	}
}

// TestNoRedirectToServersThatLeaveOrAreDead: one leaves, and sends its own clients away; one is dead.
func TestNoRedirectToServersThatLeaveOrAreDead(t *testing.T) {
	x := crowded(t, nil, balance.Faults{})
	asks(t, x.servers[0], "", "see-other-host")
	x.servers[1].Leave()
	if err := x.servers[2].Node().Close(); err != nil {
		t.Error(err)
	}
	asks(t, x.servers[1], "", clients(x.servers[0]))
	for range 5 {
		asks(t, x.servers[0], "", "stay")
	}
}

// TestFaultRedirectAnywhere: with the bug clients are still sent there.
func TestFaultRedirectAnywhere(t *testing.T) {
	x := crowded(t, nil, balance.Faults{Leaving: true})
	asks(t, x.servers[0], "", "see-other-host")
	dead := clients(x.servers[2])
	x.servers[1].Leave()
	if err := x.servers[2].Node().Close(); err != nil {
		t.Error(err)
	}
	asks(t, x.servers[0], "", dead)
}
