package datanode

import (
	"context"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// announceGap is the shortest time between two presences for changes of state
// or leadership; slowGap for figures that always move (disk, lag, load).
const (
	announceGap = 250 * time.Millisecond
	slowGap     = 5 * time.Second
)

// announcer sends presence when something worth telling has changed.
type announcer struct {
	n     *Node
	poked chan struct{}

	mu     sync.Mutex
	sent   time.Time
	last   urgent
	minor  minor
	ops    uint64    // operations counted when load was last measured
	opsAt  time.Time // when
	recent float64   // operations a second
}

// urgent is what is told at once when it changes, minor what is told in time.
type urgent struct {
	state, text string
	epoch       uint64
	led, held   int
}

type minor struct {
	lag, used, free, load int // coarse
}

func (a *announcer) init(n *Node) {
	a.n, a.poked, a.opsAt = n, make(chan struct{}, 1), time.Now()
}

// poke makes the presence goroutine look. It never blocks.
func (a *announcer) poke() {
	select {
	case a.poked <- struct{}{}:
	default:
	}
}

func (a *announcer) run(ctx context.Context) {
	tick := time.NewTicker(a.n.cfg.DiskEvery)
	defer tick.Stop()
	low := false
	for {
		// Writes are refused here: others should lead.
		if now := a.n.disk.low.Load(); now != low {
			low = now
			a.n.engine.SetLow(low)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.n.disk.look(); err != nil {
				a.n.log.Warn("free disk space is not known", "err", err)
			}
		case <-a.poked:
			// More changes come with the first: wait for them.
			if !a.pause(ctx) {
				return
			}
		}
		a.announce(false)
	}
}

func (a *announcer) pause(ctx context.Context) bool {
	a.mu.Lock()
	left := announceGap - time.Since(a.sent)
	a.mu.Unlock()
	return left <= 0 || rest(ctx, left)
}

// announce sends presence if it is news, or if forced.
func (a *announcer) announce(force bool) {
	if a.n.streams.conn() == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.n.health()
	now := time.Now()
	a.measureLoad(now)
	h.Load = a.recent
	text := a.n.statusText(&h)
	u := urgent{h.State, "", h.Epoch, h.Led, h.Held}
	if h.State == wire.StateStranger {
		u.text = text
	}
	m := minor{
		lag:  bits.Len64(h.Lag),
		used: int(h.DiskUsed >> 24), free: int(h.DiskFree >> 28),
		load: bits.Len64(uint64(h.Load)),
	}
	if !force && u == a.last && (m == a.minor || now.Sub(a.sent) < slowGap) {
		return
	}
	a.last, a.minor, a.sent = u, m, now
	buf := a.n.buffers.get()
	buf = appendPresence(buf, &h, text)
	for i := range a.n.streams.conns {
		if conn := a.n.streams.conns[i].Load(); conn != nil && conn.Send(buf) != nil {
			a.last = urgent{} // again at the next look
		}
	}
	a.n.buffers.put(buf)
}

// measureLoad counts operations over at least a second.
func (a *announcer) measureLoad(now time.Time) {
	if d := now.Sub(a.opsAt); d >= time.Second {
		ops := a.n.operations.Load()
		a.recent = float64(ops-a.ops) / d.Seconds()
		a.ops, a.opsAt = ops, now
	}
}

// load is the operations a second lately.
func (a *announcer) load() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.recent
}

// appendPresence writes the presence of a node: show and status for people (RFC
// 6121 section 4.7.2), health for programs. The priority keeps messages to the
// bare JID away.
func appendPresence(dst []byte, h *wire.Health, text string) []byte {
	dst = append(dst, `<presence>`...)
	switch h.State {
	case wire.StateFull:
		dst = append(dst, `<show>dnd</show>`...)
	case wire.StateJoining, wire.StateStranger:
		dst = append(dst, `<show>xa</show>`...)
	case wire.StateStopping:
		dst = append(dst, `<show>away</show>`...)
	}
	dst = append(dst, `<status>`...)
	dst = stanza.AppendEscaped(dst, text)
	dst = append(dst, `</status><priority>-1</priority>`...)
	dst = wire.AppendHealth(dst, h)
	return append(dst, `</presence>`...)
}

// state is the node's state in one word.
func (n *Node) state() string {
	switch {
	case n.stopping.Load():
		return wire.StateStopping
	case n.stranger.Load() != nil:
		return wire.StateStranger
	case n.view.Load() == nil:
		return wire.StateJoining
	case n.disk.full():
		return wire.StateFull
	case n.engine.Mixed():
		return wire.StateMixed
	default:
		return wire.StateOK
	}
}

// health gathers what presence tells. Led and Held count partitions, without
// the group of the ring itself.
func (n *Node) health() wire.Health {
	s := n.engine.Status()
	h := wire.Health{
		Store: n.store, State: n.state(), Led: s.Led, Held: s.Held, Lag: s.Lag,
		DiskUsed: s.DiskUsed, DiskFree: n.disk.free.Load(), Version: n.cfg.Version,
	}
	if v := n.view.Load(); v != nil {
		h.Member, h.Cluster, h.Epoch = v.self, v.doc.Cluster, v.doc.Epoch
		for _, id := range v.doc.Meta {
			if id == v.self {
				h.Held = max(h.Held-1, 0)
			}
		}
		if id, ok := n.engine.LeaderOf(ring.MetaPartition); ok && id == v.self {
			h.Led = max(h.Led-1, 0)
		}
	}
	return h
}

func (n *Node) statusText(h *wire.Health) string {
	switch h.State {
	case wire.StateStopping:
		return "stopping"
	case wire.StateStranger:
		if why := n.stranger.Load(); why != nil {
			return "stranger: " + *why
		}
		return "stranger"
	case wire.StateJoining:
		return "waits to join, or for bootstrap, with store " + n.store
	case wire.StateFull:
		return n.disk.text()
	case wire.StateMixed:
		return "cannot read what other data nodes send: they are of another version"
	default:
		return fmt.Sprintf("leads %d of %d partitions held, ring epoch %d, %s free", h.Led, h.Held, h.Epoch, sizeText(h.DiskFree))
	}
}
