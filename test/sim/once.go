package sim

import (
	"slices"

	"github.com/rosterdb/rosterdb/internal/op"
)

// once checks, at every entry of a write that a replica applies, what is promised of retries:
//
//   - (group, session, sequence) changes the state once: whatever comes again is answered as it was at first, and a
//     root's revision rises by one with each write that is done, and with nothing else;
//   - a session's floor never falls: what is below the highest that was applied is never done, nor answered;
//   - an entry has the same answer on all replicas, and when it is applied again behind a crash.
type once struct {
	writes    map[proposal]*op.Write
	answers   map[entryKey]op.WriteResult // of entries
	first     map[writeKey]op.WriteResult // of writes
	floors    map[writeKey]uint64         // of sessions; seq is 0
	revisions map[rootKey]uint64
	repeated  int // writes that came again
	below     int // the floor
}

// What breaks a promise of once.
const (
	again      = "a write that comes again is answered differently: it was done once more"
	belowFloor = "a write below its session's floor is answered: the floor has fallen, or is ignored"
	elsewhere  = "an entry is answered differently, than elsewhere or before"
	uncounted  = "a root's revision is not the number of writes that were done"
)

// proposal is a command as it is in the log.
type proposal struct {
	group uint32
	cmd   string
}

type writeKey struct {
	group   uint32
	session op.Session
	seq     uint64
}

type rootKey struct {
	group uint32
	root  string
}

func newOnce() once {
	return once{
		writes: make(map[proposal]*op.Write), answers: make(map[entryKey]op.WriteResult), first: make(map[writeKey]op.WriteResult),
		floors: make(map[writeKey]uint64), revisions: make(map[rootKey]uint64),
	}
}

// proposed takes note of what a command is: its bytes tell it again when they are applied.
func (c *once) proposed(group uint32, cmd []byte, w *op.Write) {
	c.writes[proposal{group, string(cmd)}] = w
}

// done checks what a replica has answered to an entry that it has applied. The first replica that applies an entry has
// all before it, from others if not by itself: so the entries of a group come here for the first time in their order.
// It returns what is broken, or nothing.
func (c *once) done(key entryKey, cmd []byte, res op.WriteResult) string {
	w := c.writes[proposal{key.group, string(cmd)}]
	if w == nil {
		return "" // not a write
	}
	if known, ok := c.answers[key]; ok {
		if !alike(known, res) {
			return elsewhere
		}
		return ""
	}
	c.answers[key] = res
	if res.Code == op.SessionExpired {
		return ""
	}
	session := writeKey{group: key.group, session: w.Session}
	c.floors[session] = max(c.floors[session], w.Floor)
	settled := res.Code == op.OK || res.Code == op.Conflict
	if w.Seq < c.floors[session] {
		c.below++
		if settled {
			return belowFloor
		}
		return ""
	}
	if !settled {
		return ""
	}
	write := writeKey{key.group, w.Session, w.Seq}
	if known, there := c.first[write]; there {
		c.repeated++
		if !alike(known, res) {
			return again
		}
		return ""
	}
	c.first[write] = res
	root := rootKey{key.group, w.Root}
	if res.Code == op.OK {
		c.revisions[root]++
	}
	if res.Revision != c.revisions[root] {
		return uncounted
	}
	return ""
}

func alike(a, b op.WriteResult) bool {
	return a.Code == b.Code && a.Revision == b.Revision && slices.Equal(a.Items, b.Items)
}
