package replicated

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// TestSizes: what modules store is one object in one entry of the log, and the largest of what a store takes
// fits what the replicated state and the transport take.
func TestSizes(t *testing.T) {
	stanza := make([]byte, 256<<10+16<<10) // the largest that clients may send, and what an archive adds
	muts := putRecord(nil, pathOf("archive", make([]byte, 16)), make([]byte, 16), stanza)
	if len(muts) != 1 || len(split(muts)) != 1 {
		t.Errorf("a stanza takes %d objects in %d entries", len(muts), len(split(muts)))
	}
	key := bytes.Repeat([]byte{0xff}, store.MaxKey)
	muts = putRecord(nil, pathOf(strings.Repeat("c", store.MaxCollection), key), key, make([]byte, store.MaxValue))
	for _, b := range split(muts) {
		w := &op.Write{Root: rootOf(strings.Repeat("\xff", store.MaxOwner)), Session: 1, Seq: 1, Mutations: b}
		if _, err := w.Check(); err != nil {
			t.Error(err)
		}
		r := request{kind: askWrite, write: w}
		if n := len(r.append(nil)); n > MaxPayload*9/10 {
			t.Errorf("a request of %d bytes", n)
		}
		stage := op.Write{Root: w.Root, Session: 1, Seq: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: stagePath(0), Value: appendBatch(nil, b)}}}
		if _, err := stage.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestTooMuch: an update of more than MaxUpdate is refused before anything is written.
func TestTooMuch(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	c.found(1)
	s := c.store(1)
	var muts []op.Mutation
	value := make([]byte, store.MaxValue)
	for i := range MaxUpdate/store.MaxValue + 1 {
		muts = putRecord(muts, pathOf("c", []byte{byte(i)}), nil, value)
	}
	if err := s.commit(s.newTry(context.Background()), rootOf("o"), &prepared{muts: muts}); !errors.Is(err, ErrTooMuch) {
		t.Error(err)
	}
	for i := range maxStages*maxMutations + 1 {
		muts = append(muts, op.Mutation{Kind: op.Delete, Path: pathOf("c", []byte{byte(i)})})
	}
	if err := s.commit(s.newTry(context.Background()), rootOf("o"), &prepared{muts: muts}); !errors.Is(err, ErrTooMuch) {
		t.Error(err)
	}
	v, err := s.snapshot(s.newTry(context.Background()), rootOf("o"))
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	if v.revision() != 0 {
		t.Errorf("revision %d: something was written", v.revision())
	}
}

func TestParseRecordRefuses(t *testing.T) {
	for _, b := range []string{"", "\x04", "\x01", "\x01\x05ab", "\x02\xff", "\x02\x05\x00ab", "\x03\x01k\x80"} {
		if r, err := parseRecord("c", "c/k", []byte(b)); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%q is %+v, %v", b, r, err)
		}
	}
	if _, err := parseRecord("c", "d/k", []byte{0}); !errors.Is(err, store.ErrCorrupt) {
		t.Error("a record of another collection was taken:", err)
	}
}
