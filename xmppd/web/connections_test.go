package web_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/web"
)

// peerConn is a connection from an address.
type peerConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *peerConn) RemoteAddr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", c.from); return a }
func (c *peerConn) Close() error         { c.closed = true; return nil }

func TestConnections(t *testing.T) {
	proxies, err := web.ParseProxies([]string{"10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	c := web.NewConnections(5, 2, proxies, nil)
	open := func(from string) *peerConn {
		p := &peerConn{from: from}
		c.Hook(p, http.StateNew)
		c.Hook(p, http.StateActive)
		return p
	}
	a, b := open("192.0.2.1:1"), open("192.0.2.1:2")
	if a.closed || b.closed {
		t.Fatal("refused too early")
	}
	third := open("192.0.2.1:3")
	if !third.closed {
		t.Error("a third connection of an address was taken")
	}
	c.Hook(third, http.StateClosed) // it was never counted
	if !open("192.0.2.1:4").closed {
		t.Error("a fourth connection was taken")
	}
	c.Hook(a, http.StateClosed)
	c.Hook(b, http.StateHijacked)
	if open("192.0.2.1:5").closed {
		t.Error("refused though others are gone")
	}
	open("[2001:db8::1]:1")
	open("[2001:db8::2]:1")
	if !open("[2001:db8::3]:1").closed {
		t.Error("a third one of a /64 was taken")
	}
	if open("10.0.0.1:1").closed || open("10.0.0.1:2").closed {
		t.Error("a proxy's connection was refused")
	}
	if !open("10.0.0.1:3").closed {
		t.Error("more than the total was taken")
	}
}
