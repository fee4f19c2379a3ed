package appclient

import (
	"fmt"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// fullFor is how long a call goes on when every replica that can be asked has said
// that its disk is full, but there are others.
const fullFor = 5 * time.Second

// fullRound is a series of answers to one call that were all "full". Another
// answer ends it: somebody has room, and leadership will come to it.
type fullRound struct {
	nodes []*node
	since time.Duration // on the engine's clock
}

// full takes the answer of a node that has no room. It hands its leaderships to
// replicas that have, so they are asked, and the caller hears of it only if
// nobody has room. A write of which an earlier copy may be under way is asked
// for until fullFor has passed: then its outcome is unknown.
func (e *engine) full(c *call, n *node, text string, current bool) {
	e.leave(c.part, n)
	f := &c.full
	if len(f.nodes) == 0 {
		f.since = e.now()
	}
	if !slices.Contains(f.nodes, n) {
		f.nodes = append(f.nodes, n)
	}
	all, heard := true, true // heard: all that can be asked
	for _, o := range c.part.replicas {
		if !slices.Contains(f.nodes, o) {
			all, heard = false, heard && !o.usable(e.now())
		}
	}
	late := heard && e.now()-f.since >= e.fullFor
	unsure := c.kind == writeCall && c.uncertain()
	switch {
	case unsure && late:
		e.finish(c, e.unknown(c, fmt.Errorf("%w: %s", ErrFull, c.why)))
	case !unsure && (all || late || e.faults.fullIsFinal):
		e.finish(c, noRoom(c, n, text))
	case current:
		e.again(c, n, !all && c.tries <= freeTries)
	}
}

// noRoom is the error where no replica has room.
func noRoom(c *call, n *node, text string) error {
	not := ""
	if c.kind != settleCall {
		not = "; the write was not applied"
	}
	return fmt.Errorf("%w: %w: all %d replicas of partition %d that answered, the last %s: %s%s",
		ErrUnavailable, ErrFull, len(c.full.nodes), c.part.id, n.jid, describe(op.Full, "", text), not)
}
