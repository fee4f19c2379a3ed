// Package carrier carries the payloads of a store (package store/replicated) over the links between
// the servers of a cluster.
package carrier

import (
	"slices"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
)

// Channels of the links, as numbers of a store's channels, too.
const (
	Urgent link.Channel = 10 // what clients wait for
	Bulk   link.Channel = 11 // copies of state: they don't delay anything
)

// Carrier is a replicated.Transport. What can't be sent is dropped: the store asks again.
type Carrier struct {
	mesh *link.Mesh
	take [2]atomic.Pointer[func(from string, payload []byte)]
}

// New takes the channels of a mesh, which must not run yet.
func New(mesh *link.Mesh) *Carrier {
	c := &Carrier{mesh: mesh}
	for i, ch := range []link.Channel{Urgent, Bulk} {
		mesh.Handle(ch, link.Handler{Name: []string{"records", "copies"}[i], Bulk: ch == Bulk, Receive: func(from string, payload []byte) {
			if take := c.take[i].Load(); take != nil {
				(*take)(from, slices.Clone(payload)) // it belongs to the link's buffer
			}
		}})
	}
	return c
}

// Send hands over a payload for a server, or drops it. It never waits.
func (c *Carrier) Send(to string, channel byte, payload []byte) {
	_ = c.mesh.Send(to, link.Channel(channel), payload)
}

// Handle says who takes what comes on a channel, Urgent or Bulk; nil: nobody.
func (c *Carrier) Handle(channel byte, take func(from string, payload []byte)) {
	p := &c.take[link.Channel(channel)-Urgent]
	if take == nil {
		p.Store(nil)
		return
	}
	p.Store(&take)
}
