package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
)

// seedNames is a resolver that knows one name.
type seedNames []string

func (r seedNames) LookupHost(ctx context.Context, host string) ([]string, error) {
	if host != "servers.example.net" {
		return net.DefaultResolver.LookupHost(ctx, host)
	}
	return r, nil
}

// TestOneNameForAll: three servers have the same name to join, which has the addresses of all, their own included. They find each
// other, and are complete when all three are there, not before.
func TestOneNameForAll(t *testing.T) {
	w := newWorld(t)
	pid := os.Getpid()
	var name seedNames
	for i := range 3 { // addresses of loopback that no other process uses, so that one port is free at all of them
		name = append(name, fmt.Sprintf("127.%d.%d.%d", 1+pid/250%250, pid%250, 201+i))
	}
	port := "0" // the first chooses
	at := func(i int) func(*Config) {
		return func(c *Config) { c.Listen, c.Resolver = net.JoinHostPort(name[i], port), name }
	}
	a := w.node("a", at(0), "servers.example.net") // without a port: the own one
	port = strconv.Itoa(a.port.advertise.Port)
	b := w.node("b", at(1), "servers.example.net:"+port)
	whole(t, a, b)
	for _, n := range []*Node{a, b} {
		eventually(t, "all have been looked for", n.Settled)
		if n.Complete() {
			t.Errorf("%s is complete with two of three", n.cfg.Name)
		}
	}
	c := w.node("c", at(2), "servers.example.net:"+port)
	whole(t, a, b, c)
	for _, n := range []*Node{a, b, c} {
		eventually(t, "all three are there", n.Complete)
	}
	if w.logged("can't be resolved") {
		t.Error("a name was not resolved")
	}
}
