package link

import "sync"

// batch is a run of whole frames.
type batch struct {
	b      []byte
	frames int
	bulk   bool
}

const (
	bulkBatch  = 256 << 10 // bytes of bulk that go out in one write
	keepBatch  = 1 << 20   // larger buffers, and more bytes of buffers, are left to the garbage collector
	firstBatch = 16 << 10  // bytes of a new buffer
)

// queue holds the frames that wait to be written to one peer. Those of bulk channels don't delay the
// others: batches of the two kinds take turns.
type queue struct {
	wake chan struct{} // capacity 1: something has come

	mu     sync.Mutex
	open   bool
	rests  bool // the writer has found nothing: it waits for wake
	urgent batch
	bulk   []batch
	size   [2]int   // bytes that wait: urgent, bulk
	turn   bool     // a batch of bulk is due
	spare  [][]byte // buffers to use again
	kept   int      // their bytes
}

func kind(bulk bool) int {
	if bulk {
		return 1
	}
	return 0
}

// put appends a frame of n bytes in pieces, unless more than limit bytes of its kind would wait. Flush has to follow.
func (q *queue) put(ch Channel, bulk bool, limit, n int, pieces ...[]byte) error {
	n += maxHeader
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
		dst.b = q.buffer()
	}
	before := len(dst.b)
	dst.b = appendFrame(dst.b, ch, pieces...)
	dst.frames++
	q.size[kind(bulk)] += len(dst.b) - before
	return nil
}

// Flush has the writer take what waits, unless it is about to.
func (q *queue) Flush() {
	q.mu.Lock()
	wake := q.rests && q.size != [2]int{}
	if wake {
		q.rests = false
	}
	q.mu.Unlock()
	if !wake {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// buffer is an empty one. mu must be held.
func (q *queue) buffer() []byte {
	last := len(q.spare) - 1
	if last < 0 {
		return make([]byte, 0, firstBatch)
	}
	b := q.spare[last]
	q.spare[last] = nil
	q.spare = q.spare[:last]
	q.kept -= cap(b)
	return b
}

// take removes what goes out in the next write; nothing if nothing waits.
func (q *queue) take() batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rests = q.size == [2]int{}
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
	if b.bulk {
		return
	}
	q.mu.Lock()
	if q.kept+cap(b.b) <= keepBatch {
		q.spare = append(q.spare, b.b[:0])
		q.kept += cap(b.b)
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
	q.open, q.rests, q.size = false, false, [2]int{}
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
