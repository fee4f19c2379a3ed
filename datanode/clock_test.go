package datanode

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
)

// proposedAt is the log time of a command: behind its version and kind.
func proposedAt(cmd []byte) int64 {
	t, _ := binary.Uvarint(cmd[2:])
	return int64(t)
}

// TestLogTimeIsCausal: what a client does after it has seen something of a later
// log time, from a node whose clock is ahead, is stamped no earlier than that. The
// seeded fault does not listen; the other one listens to any time.
func TestLogTimeIsCausal(t *testing.T) {
	open := func(ahead int64, deaf, anyTime bool) (stamped, want int64) {
		n, e, h := testNode(t)
		n.clock.deafness, n.clock.anyTime = deaf, anyTime
		h.clock = time.Now().UnixMilli()
		want = h.clock + ahead
		r := &wire.Request{Epoch: 1, Time: want, Opens: []wire.Open{{Tag: 1, Partition: 3}}}
		feed(t, h, from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r))))
		return proposedAt(e.last), want
	}
	if got, want := open(4000, false, false); got != want {
		t.Errorf("a client has seen a time 4 s ahead: stamped %d ms from it", got-want)
	}
	if got, want := open(4000, true, false); got >= want {
		t.Error("the seeded fault (client's time not observed) goes unnoticed")
	}
	if got, want := open(60_000, false, false); got >= want {
		t.Error("one client with a wrong clock moves log time by a minute")
	}
	if got, want := open(60_000, false, true); got != want {
		t.Error("the seeded fault (any time believed) goes unnoticed")
	}
}

func TestLogTimeNeverFalls(t *testing.T) {
	var c logClock
	for _, step := range []struct{ now, seen, want int64 }{
		{1000, 0, 1000}, {900, 0, 1000}, {1100, 3000, 3000}, {1200, 9999, 3000}, {4000, 0, 4000},
	} {
		c.observe(step.seen, step.now)
		if got := c.stamp(step.now); got != step.want {
			t.Errorf("at %d, having seen %d: stamp %d, want %d", step.now, step.seen, got, step.want)
		}
	}
}

// TestAnswersTellTheLogTime: at least that of all that was applied here.
func TestAnswersTellTheLogTime(t *testing.T) {
	n, e, _ := testNode(t)
	e.logTime = time.Now().UnixMilli() + 100_000
	if got := n.logTime(); got != e.logTime {
		t.Errorf("tells %d, applied %d", got, e.logTime)
	}
}
