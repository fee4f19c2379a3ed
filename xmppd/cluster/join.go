package cluster

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// silent are addresses at which no server answers, and since when it is so for one reason.
type silent map[string]*silence

type silence struct {
	reason string
	since  time.Time
	told   bool
}

// only forgets all addresses but some.
func (s silent) only(addresses []string) {
	maps.DeleteFunc(s, func(addr string, _ *silence) bool { return !slices.Contains(addresses, addr) })
}

// tells notes why nobody answers, and reports whether that is to be told: once it has lasted for a while, since servers may be
// started together.
func (s silent) tells(addr, reason string, while time.Duration) bool {
	x := s[addr]
	if x == nil || x.reason != reason {
		x = &silence{reason: reason, since: time.Now()}
		s[addr] = x
	}
	now := !x.told && time.Since(x.since) >= while
	x.told = x.told || now
	return now
}

// join looks for a server at an address.
func (n *Node) join(addr string, silent silent) {
	_, err := n.gossip.Join([]string{addr})
	if err == nil {
		delete(silent, addr)
		return
	}
	text := strings.TrimSpace(err.Error())
	reason := strings.TrimSpace(text[strings.LastIndex(text, ":")+1:])
	switch {
	case strings.Contains(text, "could decrypt"):
		n.port.notices.Warn("another server has another cluster.key_file than this one: neither takes the other's gossip", "server", addr)
	case strings.Contains(text, "EOF") && len(n.mesh.Connected()) == 0:
		n.port.notices.Warn("another server ends the gossip at once: is it one of this domain?", "server", addr)
	case !n.isKnown(addr) && silent.tells(addr, reason, n.cfg.Rejoin/2):
		n.log.Warn("no server answers at an address of cluster.join, which is tried again and again: start the server there, or mend the address", "address", addr, "reason", reason)
	default:
		n.log.Debug("server is not there", "address", addr, "reason", err)
	}
}

// isKnown reports whether a server is, or was lately, at an address: what is wrong with it is told by its link.
func (n *Node) isKnown(addr string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.known {
		if p.addr == addr {
			return true
		}
	}
	return false
}
