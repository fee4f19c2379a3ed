package core

import (
	"bytes"
	"testing"
)

// TestRecycle: the memory of a batch is used for the next one when it was given back, and never before.
func TestRecycle(t *testing.T) {
	const limit = 4096
	c := New(Config{Member: 1, MaxBatch: limit})
	p := &peer{id: 2}
	send := func(term uint64) []byte {
		c.record(p, func(dst []byte) []byte { return appendSleepRecord(dst, 7, term, term) })
		c.flushPeer(p)
		return c.next.Sends[len(c.next.Sends)-1].Batch
	}
	first := send(1)
	kept := bytes.Clone(first)
	second := send(2)
	if &first[0] == &second[0] || !bytes.Equal(first, kept) {
		t.Fatal("a batch that was not given back has changed")
	}
	c.Recycle(first)
	third := send(3)
	if &third[0] != &first[0] {
		t.Error("what was given back is not used")
	}
	r, err := openBatch(third, 1)
	if err != nil {
		t.Fatal(err)
	}
	if rec, ok, err := r.next(); !ok || err != nil || rec.term != 3 {
		t.Errorf("%+v, %v, %v", rec, ok, err)
	}
	if fourth := send(4); &fourth[0] == &third[0] {
		t.Error("what was given back once is used twice")
	}
	c.Recycle(make([]byte, 0, 3*limit))
	for range 2 * maxFree {
		c.Recycle(make([]byte, 0, limit))
	}
	if len(c.free) != maxFree || cap(c.free[0]) > 2*limit {
		t.Errorf("%d batches are kept, the first of %d bytes", len(c.free), cap(c.free[0]))
	}
}

// TestRoom: a batch is at most as large as one may be, what it still has to tell is urgent as before when
// it had to be split, and one for large records grows once.
func TestRoom(t *testing.T) {
	const limit = 4096
	c := New(Config{Member: 1, MaxBatch: limit})
	p := &peer{id: 2}
	name := make([]byte, 1000)
	for i := range 20 {
		p.urgent, p.asks = i%2 == 1, i%2 == 1
		c.record(p, func(dst []byte) []byte { return appendNameRecord(dst, recLost, 7, name) })
		if p.urgent != (i%2 == 1) || p.asks != p.urgent {
			t.Fatal("a record is not urgent any more because the batch before it was full")
		}
	}
	for range 20 {
		c.makeRoom(p, 1000)
		at := &p.buf[0]
		c.record(p, func(dst []byte) []byte { return appendNameRecord(dst, recLost, 7, name[:900]) })
		if &p.buf[0] != at {
			t.Fatal("a batch has been moved though there was to be room")
		}
	}
	c.flushPeer(p)
	records := 0
	for _, s := range c.next.Sends {
		if len(s.Batch) > limit {
			t.Errorf("a batch of %d bytes", len(s.Batch))
		}
		r, err := openBatch(s.Batch, 1)
		for ok := err == nil; ok; records++ {
			_, ok, err = r.next()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if records -= len(c.next.Sends); records != 40 {
		t.Errorf("%d records", records)
	}
}
