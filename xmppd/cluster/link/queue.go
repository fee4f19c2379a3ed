package link

import "sync"

// batch is a run of whole frames.
type batch struct {
	b      []byte
	frames int
	bulk   bool
}

const (
	bulkBatch = 256 << 10 // bytes of bulk that go out in one write
	keepBatch = 1 << 20   // larger buffers are left to the garbage collector
)

// queue holds the frames that wait to be written to one peer. Those of bulk channels don't delay the
// others: batches of the two kinds take turns.
type queue struct {
	wake chan struct{} // capacity 1: something has come

	mu     sync.Mutex
	open   bool
	urgent batch
	bulk   []batch
	size   [2]int // bytes that wait: urgent, bulk
	turn   bool   // a batch of bulk is due
	spare  []byte // a buffer to use again
}

func kind(bulk bool) int {
	if bulk {
		return 1
	}
	return 0
}

// put appends a frame, unless more than limit bytes of its kind would wait.
func (q *queue) put(ch Channel, payload []byte, bulk bool, limit int) error {
	n := len(payload) + maxHeader
	q.mu.Lock()
	defer q.mu.Unlock()
	switch waiting := q.size[kind(bulk)]; {
	case !q.open:
		return ErrDown
	case waiting > 0 && waiting+n > limit:
		return ErrFull
	}
	dst := &q.urgent
	if bulk {
		if last := len(q.bulk) - 1; last < 0 || len(q.bulk[last].b)+n > bulkBatch {
			q.bulk = append(q.bulk, batch{bulk: true})
		}
		dst = &q.bulk[len(q.bulk)-1]
	} else if dst.b == nil {
		dst.b, q.spare = q.spare, nil
	}
	before := len(dst.b)
	dst.b = appendFrame(dst.b, ch, payload)
	dst.frames++
	q.size[kind(bulk)] += len(dst.b) - before
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// take removes what goes out in the next write; nothing if nothing waits.
func (q *queue) take() batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.bulk) > 0 && (q.turn || q.urgent.frames == 0) {
		q.turn = false
		out := q.bulk[0]
		q.bulk[0] = batch{}
		q.bulk = q.bulk[1:]
		q.size[1] -= len(out.b)
		return out
	}
	q.turn = true
	out := q.urgent
	q.urgent = batch{}
	q.size[0] = 0
	return out
}

// recycle takes back the buffer of a batch.
func (q *queue) recycle(b *batch) {
	if b.bulk || cap(b.b) > keepBatch {
		return
	}
	q.mu.Lock()
	if q.spare == nil {
		q.spare = b.b[:0]
	}
	q.mu.Unlock()
}

// start lets the queue take frames.
func (q *queue) start() {
	q.mu.Lock()
	q.open = true
	q.mu.Unlock()
}

// stop refuses everything from now on, and returns what has not been taken.
func (q *queue) stop() []batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open, q.size = false, [2]int{}
	left := append([]batch{q.urgent}, q.bulk...)
	q.urgent, q.bulk = batch{}, nil
	return left
}

// bytes is how much waits.
func (q *queue) bytes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size[0] + q.size[1]
}
