package appclient

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

const big = 1 << 20 // a value, in bytes

// TestInboxIsBounded: answers that wait for a slow consumer hold so many bytes of
// values, and no more; what finds no room loses its value, not its event.
func TestInboxIsBounded(t *testing.T) {
	const answers = 20
	b := inbox{calls: make(chan *call, answers), room: maxHeld}
	for range answers {
		b.put(&call{rres: op.ReadResult{Events: []op.Event{{Kind: op.Written, Size: big, Value: make([]byte, big)}}}})
		if b.held.Load() > maxHeld {
			t.Fatalf("%d bytes are held", b.held.Load())
		}
	}
	whole := 0
	for range answers {
		c := <-b.calls
		b.took(&c.rres)
		ev := &c.rres.Events[0]
		if ev.Size != big {
			t.Errorf("%+v", ev)
		}
		if len(ev.Value) == big {
			whole++
		}
	}
	if whole != maxHeld/big || b.held.Load() != 0 {
		t.Errorf("%d values were kept, %d bytes are held at the end", whole, b.held.Load())
	}
}

// TestPagesAreBounded: so are the pages of a scan, but for the first object of
// the page whose turn it is; and the next pages are smaller.
func TestPagesAreBounded(t *testing.T) {
	m := &merge{c: &Client{room: maxHeld}, all: 20, limit: op.MaxListPage}
	page := func() *op.ReadResult {
		return &op.ReadResult{More: true, Objects: []op.Object{{Path: "a", Size: big, Value: make([]byte, big)}, {Path: "b", Size: big, Value: make([]byte, big)}}}
	}
	s := &source{ask: op.Read{Kind: op.Scan, Values: true}}
	for range 20 {
		s = &source{ask: op.Read{Kind: op.Scan, Values: true}}
		m.put(s, page(), false)
		if m.held > maxHeld {
			t.Fatalf("%d bytes are held", m.held)
		}
	}
	if s.page[0].Value != nil || s.ask.Limit != 1 || s.ask.After != "b" {
		t.Errorf("a page without room: %d bytes, then %d objects behind %q", len(s.page[0].Value), s.ask.Limit, s.ask.After)
	}
	m.put(s, page(), true)
	if len(s.page[0].Value) != big || s.page[1].Value != nil {
		t.Error("an object whose turn has come has no value")
	}
}

// TestCursorStaysBeforeALaggingReplica: a replica that has not come to the revision
// behind which a watch begins says nothing of where to go on.
func TestCursorStaysBeforeALaggingReplica(t *testing.T) {
	cur := cursor{partition: 3, byRevision: true, since: 7}
	cur.complete(&op.ReadResult{Revision: 6, Position: 40})
	if want := (cursor{partition: 3, byRevision: true, since: 7}); cur != want {
		t.Errorf("%+v, want %+v", cur, want)
	}
	cur.complete(&op.ReadResult{Revision: 7, Position: 44})
	if want := (cursor{partition: 3, since: 44}); cur != want {
		t.Errorf("%+v, want %+v", cur, want)
	}
	cur.complete(&op.ReadResult{Position: 41}) // of a replica that lags
	if cur.since != 44 {
		t.Errorf("%+v went back", cur)
	}
}
