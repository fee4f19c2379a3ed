package datanode

import (
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// kind of an operation, for counting.
type kind uint8

const (
	kindOpen kind = iota
	kindWrite
	kindSettle
	kindGet
	kindList
	kindScan
	kindQuery
	kindChanges
	kinds
)

func (k kind) String() string {
	return [kinds]string{"open", "write", "settle", "get", "list", "scan", "query", "changes"}[k]
}

func kindOf(k op.ReadKind) kind {
	switch k {
	case op.List:
		return kindList
	case op.Scan:
		return kindScan
	case op.Query:
		return kindQuery
	case op.Changes:
		return kindChanges
	}
	return kindGet
}

// reason of a refusal by this node, before an operation gets to the engine.
type reason uint8

const (
	notRefused     reason = iota
	refusedInvalid        // malformed, or a root in the wrong partition
	refusedSize           // over a limit of an operation's size
	refusedAccess         // no grant
	refusedSession        // of another account
	refusedState          // the node serves nothing now
	refusedFull           // disk
	refusedFlood          // the account's queue is full
	refusedOps            // too many operations of a client under way
	refusedSessions
	refusedWatches
	refusedAnswers // more results than can be held
	refusedStanza  // as a whole
	reasons
)

func (r reason) String() string {
	return [reasons]string{
		"", "invalid", "too-large", "access", "foreign-session", "not-serving", "disk-full", "flood", "operations", "sessions", "watches", "answers", "stanza",
	}[r]
}

// codes is one more than the highest code.
const codes = op.Overloaded + 1

// counts is what a node counts, for its metrics. All of it may be used by any
// goroutine.
type counts struct {
	done [kinds][codes]atomic.Uint64
	took [kinds]histogram // from the stanza's arrival to the result; not of refusals
}

func (c *counts) ended(k kind, code op.Code, begun time.Time) {
	if code < codes {
		c.done[k][code].Add(1)
	}
	c.took[k].observe(time.Since(begun))
}

// refused counts and logs that an operation of a client is refused.
func (n *Node) refused(c *client, k kind, r *refusal) {
	if r.Code < codes {
		n.counts.done[k][r.Code].Add(1)
	}
	n.refusals.note(r.why, c.bare, k.String(), r.Text)
}

// flooded is told of each operation for which its account's queue has no room.
func (n *Node) flooded(account string) { n.refusals.note(refusedFlood, account, "any", textFlood) }

// bounds of the histograms' buckets, in seconds.
func bounds() []float64 {
	return []float64{.0005, .001, .002, .004, .008, .016, .032, .064, .128, .256, .512, 1, 2, 4, 8}
}

// histogram counts durations: bucket i those up to 0.5 ms times 2 to the i, the
// last one the longer ones.
type histogram struct {
	buckets [16]atomic.Uint64
	nanos   atomic.Int64
}

func (h *histogram) observe(d time.Duration) {
	i, limit := 0, 500*time.Microsecond
	for i < len(h.buckets)-1 && d > limit {
		i++
		if limit *= 2; i == 11 {
			limit = time.Second // from here on in round seconds
		}
	}
	h.buckets[i].Add(1)
	h.nanos.Add(int64(d))
}

// read gives the counts up to each bound, and in all.
func (h *histogram) read() (count uint64, seconds float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64)
	for i, b := range bounds() {
		count += h.buckets[i].Load()
		buckets[b] = count
	}
	count += h.buckets[len(h.buckets)-1].Load()
	return count, time.Duration(h.nanos.Load()).Seconds(), buckets
}
