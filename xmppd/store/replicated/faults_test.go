package replicated

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// TestSeededFaults: each property holds, and a store with the mistake is seen not to have it.
func TestSeededFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		run      func(c *cluster) error
		fault    faults
		stops    faults // of the first server, in either case
		patience time.Duration
	}{
		{"acknowledged is on a majority", ackedSurvives, faults{ackEarly: true}, faults{}, 3 * time.Second},
		{"a retry is not done twice", retriedOnce, faults{newSequence: true}, faults{}, 0},
		{"an update sees the one before", nothingOverwritten, faults{unconditional: true}, faults{}, 0},
		{"a view sees what was acknowledged", viewIsNew, faults{unconfirmed: true}, faults{}, 0},
		{"what is decided is seen whole", decidedIsWhole, faults{halfStaged: true}, faults{stopDecided: true}, 0},
		{"what is not decided is not seen", undecidedIsUnseen, faults{hastyStages: true}, faults{stopStaging: true}, 0},
		{"who loses a race has not lost the group", racerIsNotCutOff, faults{lostRace: true}, faults{}, time.Second},
	} {
		for _, f := range []faults{{}, c.fault} {
			t.Run(fmt.Sprintf("%s/%v", c.name, f != faults{}), func(t *testing.T) {
				x := newCluster(t, memory(t), func(o *Options) {
					o.faults = f
					if c.patience != 0 {
						o.Patience = c.patience
					}
					if o.Name == name(1) {
						o.faults.stopDecided, o.faults.stopStaging = c.stops.stopDecided, c.stops.stopStaging
					}
				})
				defer x.close()
				x.found(3)
				err := c.run(x)
				x.net.set(func() { x.net.sent = nil; clear(x.net.cut) })
				if (err != nil) != (f != faults{}) {
					t.Errorf("with %+v: %v", f, err)
				}
			})
		}
	}
}

// sure does something until it succeeds: with so little patience a slow machine may refuse it.
func (c *cluster) sure(what string, do func() error) {
	c.t.Helper()
	eventually(c.t, what, func() bool { return do() == nil })
}

func add(c *cluster, i int, owner, id string) error {
	return c.store(i).Update(context.Background(), owner, func(tx store.Tx) error { return book(tx, id) })
}

// entries are what an owner has at a server.
func (c *cluster) entries(i int, owner string) (ids map[string]bool, count string) {
	c.t.Helper()
	c.sure("a view", func() error {
		ids = make(map[string]bool)
		return c.store(i).View(context.Background(), owner, func(r store.Reader) error {
			v, _ := r.Get("count", nil)
			count = string(v)
			return r.Scan("entries", store.Range{}, func(key, _ []byte) bool { ids[string(key)] = true; return true })
		})
	})
	return ids, count
}

// ackedSurvives: the leader is cut off while it commits, and the others go on without it.
func ackedSurvives(c *cluster) error {
	c.sure("a first entry", func() error { return add(c, 1, "o", "first") })
	leader := c.leaderOf("o")
	c.sure("a session", func() error { return add(c, leader, "o", "session") })
	acked := c.store(leader).Update(context.Background(), "o", func(tx store.Tx) error {
		c.net.set(func() { c.net.cut[name(leader)] = true })
		return book(tx, "cut off")
	})
	other := leader%3 + 1
	c.sure("the others go on", func() error { return add(c, other, "o", "second") })
	c.net.set(func() { clear(c.net.cut) })
	if ids, _ := c.entries(other, "o"); acked == nil && !ids["cut off"] {
		return errors.New("acknowledged and lost")
	}
	return nil
}

// retriedOnce: the answer to a write is lost.
func retriedOnce(c *cluster) error {
	c.sure("a first entry", func() error { return add(c, 1, "o", "first") })
	entries := 1
	for lost := false; !lost; entries++ { // where the server led meanwhile there was no answer to be lost
		from := c.leaderOf("o")%3 + 1
		answers := answerLoss{server: name(from)}
		c.net.set(func() { c.net.sent = answers.pass })
		c.sure("another entry", func() error { return add(c, from, "o", fmt.Sprint(entries)) })
		lost = answers.lost.Load()
	}
	if ids, count := c.entries(1, "o"); len(ids) != entries || count != fmt.Sprint(entries) {
		return fmt.Errorf("%d of %d entries, counted %s", len(ids), entries, count)
	}
	return nil
}

// answerLoss loses the first answer to a write that says that it was done.
type answerLoss struct {
	server string // that has asked
	write  atomic.Uint64
	lost   atomic.Bool
}

func (l *answerLoss) pass(src, dst string, payload []byte) bool {
	n := len(payload)
	if n < callTrailer || l.lost.Load() {
		return true
	}
	kind, id := payload[n-1], binary.LittleEndian.Uint64(payload[n-callTrailer:])
	if src == l.server && kind == payloadRequest && payload[1] == askWrite {
		l.write.Store(id)
	}
	if dst == l.server && kind == payloadAnswer && id == l.write.Load() && op.Code(payload[1]) == op.OK {
		return !l.lost.CompareAndSwap(false, true)
	}
	return true
}

// nothingOverwritten: another server updates the owner between snapshot and commit.
func nothingOverwritten(c *cluster) error {
	between := sync.OnceFunc(func() { c.sure("the other's", func() error { return add(c, 2, "o", "other") }) })
	c.sure("an update", func() error {
		return c.store(1).Update(context.Background(), "o", func(tx store.Tx) error {
			between()
			return book(tx, "own")
		})
	})
	if ids, count := c.entries(3, "o"); len(ids) != 2 || count != "2" {
		return fmt.Errorf("%d entries, counted %s", len(ids), count)
	}
	return nil
}

// racerIsNotCutOff: another server updates the owner first whenever this one does, until its patience is over.
func racerIsNotCutOff(c *cluster) error {
	for n := 0; ; n++ {
		err := c.store(1).Update(context.Background(), "o", func(tx store.Tx) error {
			n++
			c.sure("the other's", func() error { return add(c, 2, "o", fmt.Sprint(n)) })
			return book(tx, "own")
		})
		switch lost := c.store(1).Lost("o"); {
		case err == nil:
			return errors.New("an update has overwritten another")
		case !errors.Is(err, ErrContended) && !strings.Contains(err.Error(), raced): // a slow machine: no answer in time
		case lost || !errors.Is(err, ErrContended):
			return fmt.Errorf("the group is taken for lost: %v, and that is told: %w", lost, err)
		default:
			return nil
		}
	}
}

// viewIsNew: what is replicated does not reach a server, requests and answers do.
func viewIsNew(c *cluster) error {
	c.sure("a first entry", func() error { return add(c, 1, "o", "first") })
	deaf := c.leaderOf("o")%3 + 1
	c.net.set(func() {
		c.net.sent = func(_, dst string, payload []byte) bool {
			return dst != name(deaf) || payload[len(payload)-1] != payloadRaft
		}
	})
	c.sure("a second entry", func() error { return add(c, deaf%3+1, "o", "second") })
	if ids, _ := c.entries(deaf, "o"); !ids["second"] {
		return errors.New("a view is older than what was acknowledged")
	}
	return nil
}

const many = 3 * maxMutations

// large is an update that needs stages.
func large(tx store.Tx) error {
	for i := range many {
		if err := tx.Put("entries", fmt.Append(nil, i), nil); err != nil {
			return err
		}
	}
	return nil
}

// decidedIsWhole: a server stops when it has decided on a large update.
func decidedIsWhole(c *cluster) error {
	if err := c.store(1).Update(context.Background(), "o", large); err != nil {
		return fmt.Errorf("the update: %w", err)
	}
	if ids, _ := c.entries(2, "o"); len(ids) != many {
		return fmt.Errorf("%d of %d entries", len(ids), many)
	}
	return nil
}

// undecidedIsUnseen: a server stops when it has written down a large update, and not decided on it. What it
// leaves behind is in nobody's way.
func undecidedIsUnseen(c *cluster) error {
	if err := c.store(1).Update(context.Background(), "o", large); !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("the update: %w", err)
	}
	if ids, _ := c.entries(2, "o"); len(ids) != 0 {
		return fmt.Errorf("%d entries of an update that was not made", len(ids))
	}
	c.sure("a small one", func() error { return add(c, 2, "o", "small") })
	c.sure("a large one", func() error { return c.store(2).Update(context.Background(), "o", large) })
	if ids, _ := c.entries(3, "o"); len(ids) != many+1 {
		return fmt.Errorf("%d of %d entries", len(ids), many+1)
	}
	return nil
}
