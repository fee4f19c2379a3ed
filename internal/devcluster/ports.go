package devcluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const (
	loopback = "127.0.0.1"

	// Free ports are looked for below the range from which Linux takes the ports
	// of outgoing connections (32768 up), or a client's socket could take one
	// between the look and the server's bind.
	lowPort, highPort = 15000, 32000
)

// portsError: there are no ports for a cluster.
type portsError struct{ error }

// portsOf is how many ports each of so many servers has: client-to-server, direct
// TLS, HTTP, and the one for other servers if there are such.
func portsOf(servers int) int {
	if servers > 1 {
		return 4
	}
	return 3
}

// ChoosePorts finds n free loopback addresses, as host:port. From base on they are fixed, and one
// in use is an error that names it.
func ChoosePorts(n, base int) ([]string, error) {
	addrs := make([]string, 0, n)
	if base != 0 {
		for p := base; p < base+n; p++ {
			addr := net.JoinHostPort(loopback, strconv.Itoa(p))
			if err := probe(addr); err != nil {
				return nil, portsError{fmt.Errorf("port %d cannot be used (%w); choose another --base-port, or none to have free ones chosen", p, err)}
			}
			addrs = append(addrs, addr)
		}
		return addrs, nil
	}
	start := lowPort + rand.IntN(highPort-lowPort)
	for i := 0; i < highPort-lowPort && len(addrs) < n; i++ {
		p := lowPort + (start-lowPort+i)%(highPort-lowPort)
		if addr := net.JoinHostPort(loopback, strconv.Itoa(p)); probe(addr) == nil {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) < n {
		return nil, portsError{errors.New("no free ports on 127.0.0.1; stop other programs or name a range with --base-port")}
	}
	return addrs, nil
}

// probe says whether a port is free; for UDP, too, with which servers gossip.
func probe(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return errors.Join(u.Close(), l.Close())
}
