package cluster

import (
	"bytes"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/rosterdb/rosterdb/xmppd/cluster/notice"
)

// delegate tells memberlist about this server. Its methods are called under memberlist's locks.
type delegate Node

// NodeMeta implements memberlist.Delegate.
func (d *delegate) NodeMeta(int) []byte {
	self := (*Node)(d).Self()
	b, err := self.encode()
	if err != nil {
		return nil
	}
	return b
}

// NotifyMsg implements memberlist.Delegate: gossip carries members only.
func (*delegate) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (*delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (*delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (*delegate) MergeRemoteState([]byte, bool) {}

// events is told by memberlist what it knows. As above.
type events Node

// NotifyJoin implements memberlist.EventDelegate.
func (e *events) NotifyJoin(m *memberlist.Node) { e.set(m) }

// NotifyUpdate implements memberlist.EventDelegate.
func (e *events) NotifyUpdate(m *memberlist.Node) { e.set(m) }

func (e *events) set(m *memberlist.Node) {
	n := (*Node)(e)
	if m.Name == n.cfg.Name {
		return
	}
	member := Member{Name: m.Name, Addr: net.JoinHostPort(m.Addr.String(), strconv.Itoa(int(m.Port)))}
	if err := member.decode(m.Meta); err != nil {
		n.port.notices.Warn("what gossip says of a server can't be read", "reason", err.Error())
		return
	}
	n.mu.Lock()
	same := n.members[m.Name].Incarnation == member.Incarnation || n.cfg.faults.leftOnce
	n.members[m.Name], n.known[m.Name] = member, place{addr: member.Addr, bye: n.known[m.Name].bye && same}
	n.mu.Unlock()
	n.changed()
}

// NotifyLeave implements memberlist.EventDelegate.
func (e *events) NotifyLeave(m *memberlist.Node) {
	n := (*Node)(e)
	if n.cfg.faults.stays || m.Name == n.cfg.Name {
		return
	}
	n.mu.Lock()
	delete(n.members, m.Name)
	if p := n.known[m.Name]; p.bye {
		delete(n.known, m.Name)
	} else {
		p.until = time.Now()
		n.known[m.Name] = p
	}
	n.mu.Unlock()
	n.changed()
}

// NotifyConflict implements memberlist.ConflictDelegate.
func (e *events) NotifyConflict(existing, other *memberlist.Node) {
	(*Node)(e).port.notices.Warn("two servers have the same name: give each its own, or wait until the first is given up",
		"server", existing.Name, "first", existing.Address(), "second", other.Address())
}

// changed wakes up follow.
func (n *Node) changed() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// endGossip ends it without a word to the others.
func (n *Node) endGossip() error {
	err := n.gossip.Shutdown()
	n.lines.end()
	return err
}

// gossipLines is where memberlist writes its lines. It does so, for a moment, when it
// has been shut down, too: its goroutines are not waited for.
type gossipLines struct {
	notices notice.Log
	refused func(reason string) // counts
	mu      sync.Mutex
	over    bool
}

func (g *gossipLines) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
}

// Write takes one line.
func (g *gossipLines) Write(line []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return len(line), nil
	}
	text := string(bytes.TrimSpace(line))
	switch {
	case bytes.Contains(line, []byte("failed to join")): // Node.join tells
	case bytes.Contains(line, []byte("could decrypt")) || bytes.Contains(line, []byte("encryption is configured but")) ||
		bytes.Contains(line, []byte("is encrypted and encryption is not")):
		g.refused(reasonGossip)
		g.notices.Warn("gossip of a stranger refused: a server with another cluster.key_file, or none", slog.String("gossip", text))
	case bytes.Contains(line, []byte("label")):
		g.refused(reasonGossip)
		g.notices.Warn("gossip of a stranger refused: a server of another cluster", slog.String("gossip", text))
	case bytes.HasPrefix(line, []byte("[ERR]")):
		g.notices.Warn("gossip", slog.String("gossip", text))
	default:
		g.notices.To.Debug("gossip", "line", text)
	}
	return len(line), nil
}
