package state

import (
	"errors"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/ring"
)

// TestDamagedMachine: damage of what is read when a file is opened does not end the node.
func TestDamagedMachine(t *testing.T) {
	filled := func() (*Store, *Partition) {
		s := testStore(t, Options{})
		f := &feed{t: t, p: testPart(t, s, 3)}
		session := f.open()
		f.define(1, ring.Index{Name: "x", ID: 1, Prefix: "root", Path: "*", Field: "n"})
		f.put(session, 1, 1, "path", `{"n":1}`)
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		return s, f.p
	}
	_, sound := filled()
	for _, key := range [][]byte{historyKey, indexesKey} {
		s, _ := filled()
		path := s.path
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		edit(t, path, func(tx *bbolt.Tx) error { return flip(tx.Bucket(partitionKey(3)).Bucket(machineBucket), key, -1) })
		again, err := OpenStore(path, Options{})
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		p, err := again.Partition(3)
		if err != nil {
			t.Errorf("%s: the node does not start: %v", key, err)
		} else if !errors.Is(p.Damaged(), ErrCorrupt) {
			t.Errorf("%s: damaged: %v", key, p.Damaged())
		} else if err := copyState(sound, p); err != nil || p.Damaged() != nil || p.Digest() != sound.Digest() {
			t.Errorf("%s: repair: %v, damaged %v", key, err, p.Damaged())
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}
