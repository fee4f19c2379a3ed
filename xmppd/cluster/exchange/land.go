package exchange

import (
	"hash/maphash"
	"sync"

	"github.com/rosterdb/rosterdb/xmppd/session"
)

// landings are stanzas that go from the link into the queues of sessions: what each server owes a flush.
type landings struct {
	land sync.RWMutex
	owes map[string]*session.Batch // by server; of the goroutine that receives from it
}

// landing is what is owed for the stanzas of a server.
func (v *landings) landing(server string) *session.Batch {
	v.land.RLock()
	b := v.owes[server]
	v.land.RUnlock()
	if b != nil {
		return b
	}
	v.land.Lock()
	defer v.land.Unlock()
	if v.owes == nil {
		v.owes = make(map[string]*session.Batch)
	}
	b = new(session.Batch)
	v.owes[server] = b
	return b
}

// direct delivers a stanza to its session at once, unless there is more to do than to queue it, or something
// waits that it could overtake.
func (x *Exchange) direct(from string, frame []byte) bool {
	to, raw, err := split(frame)
	if err != nil || frame[0] != kindRoute {
		return false
	}
	if x.lanes[maphash.Bytes(x.seed, bare(to))%lanes].waiting.Load() > 0 && !x.cfg.Faults.Overtake {
		return false
	}
	if !x.cfg.Router.Land(to, raw, x.landing(from)) {
		return false
	}
	x.counts.Arrived.Add(1)
	return true
}

// landed writes what sessions were given of what has come together.
func (x *Exchange) landed(from string) { x.landing(from).Flush() }
