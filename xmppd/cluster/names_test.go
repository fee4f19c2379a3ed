package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
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

// named has three servers begin with the same name to join, which has the addresses of all, their own included: two of them first. It
// tells whether these take themselves for complete, and whether all do when the third one is there. They find each other.
func named(t *testing.T, f faults) (two, three bool) {
	t.Helper()
	w := newWorld(t)
	pid := os.Getpid()
	var name seedNames
	for i := range 3 { // addresses of loopback that no other process uses, so that one port is free at all of them
		name = append(name, fmt.Sprintf("127.%d.%d.%d", 1+pid/250%250, pid%250, 201+i))
	}
	port := "0" // the first chooses
	at := func(i int) func(*Config) {
		return func(c *Config) { c.Listen, c.Resolver, c.faults = net.JoinHostPort(name[i], port), name, f }
	}
	a := w.node("a", at(0), "servers.example.net") // without a port: the own one
	port = strconv.Itoa(a.port.advertise.Port)
	b := w.node("b", at(1), "servers.example.net:"+port)
	whole(t, a, b)
	complete := func(nodes ...*Node) bool {
		for _, n := range nodes { // what is known of the others does not change behind that
			eventually(t, "all have been looked for", n.Settled)
		}
		return !slices.ContainsFunc(nodes, func(n *Node) bool { return !n.Complete() })
	}
	two = complete(a) || complete(b)
	c := w.node("c", at(2), "servers.example.net:"+port)
	whole(t, a, b, c)
	three = complete(a, b, c)
	if w.logged("can't be resolved") {
		t.Error("a name was not resolved")
	}
	return two, three
}

// TestOneNameForAll: three servers that have the same name to join are complete when all three are there, not before.
func TestOneNameForAll(t *testing.T) {
	for _, c := range []struct {
		name       string
		f          faults
		two, three bool
	}{
		{"as it is", faults{}, false, true},
		{"a name counts as one server", faults{oneName: true}, true, true},
		{"a server looks for itself", faults{seeksSelf: true}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if two, three := named(t, c.f); two != c.two || three != c.three {
				t.Errorf("complete with two of three: %v, with all: %v", two, three)
			}
		})
	}
}
