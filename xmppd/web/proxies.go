package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// Proxies are the reverse proxies whose word is taken for where a request comes from
// (X-Forwarded-For) and whether it came through TLS (X-Forwarded-Proto). Of others these header
// fields are ignored: anybody can write them.
type Proxies struct{ nets []netip.Prefix }

// ParseProxies reads addresses and networks ("10.0.0.1", "10.0.0.0/8").
func ParseProxies(list []string) (Proxies, error) {
	var p Proxies
	for _, s := range list {
		n, err := netip.ParsePrefix(s)
		if err != nil {
			addr, err := netip.ParseAddr(s)
			if err != nil {
				return Proxies{}, fmt.Errorf("trusted proxy %q is neither an address nor a network such as 10.0.0.0/8", s)
			}
			n = netip.PrefixFrom(addr, addr.BitLen())
		}
		p.nets = append(p.nets, n.Masked())
	}
	return p, nil
}

// Peer tells whose request it is: the nearest address that is no trusted proxy. It is secure if the
// request came through TLS, or if a trusted proxy says so.
func (p Proxies) Peer(r *http.Request) c2s.Peer {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	peer := c2s.Peer{Addr: host, Secure: r.TLS != nil}
	if !p.trusts(host) {
		return peer
	}
	// A proxy appends the address that it has seen, so what a client has written itself is on the left.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		peer.Addr = addr.Unmap().String()
		if !p.trusts(peer.Addr) {
			break
		}
	}
	if proto := r.Header.Values("X-Forwarded-Proto"); len(proto) > 0 {
		peer.Secure = strings.EqualFold(proto[len(proto)-1], "https")
	}
	return peer
}

func (p Proxies) trusts(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	return slices.ContainsFunc(p.nets, func(n netip.Prefix) bool { return n.Contains(addr) })
}
