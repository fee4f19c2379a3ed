package appclient

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// callState says what a call waits for.
type callState uint8

const (
	waitSession callState = iota // in its partition's waiting list
	waitFlush                    // in a node's queue
	waitAnswer                   // a copy is on its way; due is when the next is sent
	waitRetry                    // due is when it is routed again
	finished
)

type callKind uint8

const (
	writeCall   callKind = iota
	openCall             // opens a session
	settleCall           // asks what became of a write
	reserveCall          // takes a sequence for later; nothing is sent
	readCall
)

// try is one copy of an operation that was sent and not answered.
type try struct {
	tag uint64
	req *request
}

// call is one operation from the caller's request to its end, through all its
// tries. All fields belong to the engine's lock, but those that the caller
// fills in before it submits the call and reads when done has fired.
type call struct {
	kind   callKind
	write  op.Write
	settle op.Settle
	read   op.Read

	done  chan struct{} // capacity 1
	inbox *inbox        // if not nil it gets the call instead of done
	wres  op.WriteResult
	rres  op.ReadResult
	err   error // instead of a result

	part     *partition
	ses      *session // of a write
	pairing  pairing  // of a Get that a replica confirms
	large    bool     // a read whose answer does not fit an IQ
	given    bool     // its session and sequence are the caller's choice
	shares   []*share // of merged increments; nil: the caller waits for done
	state    callState
	index    int    // in engine.live or engine.parked
	node     *node  // of the last try or of the queue it is in
	open     []try  // copies whose fate is unknown and whose answer may come
	last     uint64 // tag of the last copy
	maybe    bool   // a copy whose answer will not come may have been accepted
	tries    int
	due      time.Duration // on the engine's clock
	led      bool          // a replica that may not answer reads of changes sent it to the leader
	why      string        // what the last failed try said
	hint     time.Duration // after which the last failed try said to come again
	busy     bool          // the last failed try met a limit
	full     fullRound     // who said just now that its disk is full
	encoding int           // encoders that read write and read just now

	one   [1]op.Mutation // room for the usual batch of one
	value []byte         // room for its value
}

func newCallPool() *sync.Pool {
	return &sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}
}

// setMutations copies what the caller may change once its call has returned,
// for a copy may still be being encoded then. Its error is that of a mutation.
func (c *call) setMutations(in []Mutation) error {
	muts := c.one[:0]
	if len(in) > 1 {
		muts = make([]op.Mutation, 0, len(in))
	}
	for i := range in {
		if in[i].err != nil {
			return in[i].err
		}
		if cond := in[i].root; cond != nil {
			if before := c.write.RootCond; before.Kind != op.Always && before != *cond {
				return fmt.Errorf("the root's revision is to be %d and %d: check one", before.Version, cond.Version)
			}
			c.write.RootCond = *cond
			continue
		}
		muts = append(muts, in[i].m)
	}
	if len(muts) == 1 {
		c.value = append(c.value[:0], muts[0].Value...)
		muts[0].Value = c.value
	} else {
		for i := range muts {
			muts[i].Value = bytes.Clone(muts[i].Value)
		}
	}
	c.write.Mutations = muts
	return nil
}

// maxKept is the largest value's room that the pool keeps, in bytes.
const maxKept = 64 << 10

// reset makes a finished call ready for reuse.
func (c *call) reset() {
	value, done, open := c.value[:0], c.done, c.open[:0]
	if cap(value) > maxKept {
		value = nil
	}
	clear(open[:cap(open)])
	*c = call{value: value, done: done, open: open}
}

// anywhere says that any replica may answer.
func (c *call) anywhere() bool {
	return c.kind == readCall && (c.read.Stale || c.read.Kind == op.Changes)
}

// uncertain says that a copy may have been accepted.
func (c *call) uncertain() bool { return c.maybe || len(c.open) > 0 }

// drop forgets the copy with the tag.
func (c *call) drop(tag uint64) {
	for i := range c.open {
		if c.open[i].tag == tag {
			last := len(c.open) - 1
			c.open[i], c.open[last] = c.open[last], try{}
			c.open = c.open[:last]
			return
		}
	}
}
