package session

import "slices"

// Batch notes which outboxes one goroutine owes a flush. A reader handles all the stanzas of one
// read with one Batch and flushes at the end, so that each destination is written once.
// A Batch belongs to one goroutine.
type Batch struct {
	links []Flusher
	dirty []*Outbox
	block func()
}

// Flusher is what else gathers what a goroutine sends: the link to another server.
type Flusher interface {
	// Flush has what has gathered sent. It doesn't wait.
	Flush()
}

// Owe notes that something has to be flushed that is no outbox. There are few.
func (b *Batch) Owe(f Flusher) {
	if !slices.Contains(b.links, f) {
		b.links = append(b.links, f)
	}
}

// OnBlock sets what Block calls: it lets the goroutine wait without others waiting for it.
func (b *Batch) OnBlock(f func()) { b.block = f }

// Block is called before what may take long, such as reading storage: what is owed is written
// first, and from then on the goroutine may wait.
func (b *Batch) Block() {
	b.Flush()
	if b.block != nil {
		b.block()
	}
}

// Send appends a stanza, given in up to four pieces (nil where fewer), to the queue of a session.
// The bytes are copied. It reports false if the session takes nothing more: the stanza is then
// undelivered.
func (b *Batch) Send(s *Session, p0, p1, p2, p3 []byte) bool {
	took, owe := s.Out.put(p0, p1, p2, p3, true)
	if owe {
		b.dirty = append(b.dirty, &s.Out)
	}
	return took == Took
}

// Offer is Send of a stanza that may go back to its sender when too much of that waits already.
func (b *Batch) Offer(s *Session, p0, p1, p2, p3 []byte) Taken {
	took, owe := s.Out.put(p0, p1, p2, p3, false)
	if owe {
		b.dirty = append(b.dirty, &s.Out)
	}
	return took
}

// owe notes that an outbox has to be flushed if so.
func (b *Batch) owe(o *Outbox, so bool) {
	if so {
		b.dirty = append(b.dirty, o)
	}
}

// Flush pays what is owed. It doesn't wait for slow receivers.
func (b *Batch) Flush() {
	for i, f := range b.links { // first: other goroutines write meanwhile
		f.Flush()
		b.links[i] = nil
	}
	b.links = b.links[:0]
	for i, o := range b.dirty {
		o.Flush()
		b.dirty[i] = nil
	}
	b.dirty = b.dirty[:0]
}
