package replicated

import (
	"errors"
	"reflect"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

func sampleRequests() []request {
	return []request{
		{kind: askRing, epoch: 7},
		{kind: askOpen, group: 3, text: "x1/store"},
		{kind: askView, group: 0xffff_ffff, root: "@o"},
		{kind: askScan, handle: 1 << 60, from: "c/a", to: "c0", down: true},
		{kind: askOwners, group: 1, root: "@", text: "c"},
		{kind: askWrite, group: 1, write: &op.Write{
			Root: "@o", Session: 9, Seq: 300, Floor: 299, RootCond: op.Condition{Kind: op.VersionIs, Version: 12},
			Mutations: []op.Mutation{
				{Kind: op.Put, Path: "c/k", Value: []byte("v")},
				{Kind: op.Delete, Path: "c/l", Value: []byte{}},
				{Kind: op.Check, Path: pathState, Cond: op.Condition{Kind: op.VersionIs, Version: 5}, Value: []byte{}},
			},
		}},
	}
}

func TestWire(t *testing.T) {
	for _, r := range sampleRequests() {
		b := r.append(nil)
		var got request
		if err := got.parse(b); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v came as %+v: %v", r, got, err)
		}
		for n := range b {
			if err := new(request).parse(b[:n]); err == nil {
				t.Errorf("the first %d of %d bytes of a request were taken", n, len(b))
			}
		}
		b[0]++
		if err := got.parse(b); !errors.Is(err, errVersion) {
			t.Errorf("a request of another version: %v", err)
		}
	}
	a := answer{
		code: op.Redirect, leader: 3, epoch: 9, revision: 1, session: 4, handle: 5, text: "ask another", more: true,
		objects: []object{{"c/k", []byte("v")}, {"", []byte{}}}, doc: []byte("{}"),
	}
	var got answer
	if err := got.parse(a.append(nil)); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("%+v came as %+v: %v", a, got, err)
	}
}

// FuzzWire: nothing that another server could send ends this one, and what is taken is said in one way.
func FuzzWire(f *testing.F) {
	for _, r := range sampleRequests() {
		f.Add(r.append(nil))
	}
	f.Add((&answer{code: op.OK, objects: []object{{"p", []byte("v")}}}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again request
		if r.parse(b) == nil {
			if err := again.parse(r.append(nil)); err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("%+v came as %+v: %v", r, again, err)
			}
		}
		var a answer
		_ = a.parse(b)
		_, _ = parseBatch(b)
		_, _ = parseRootState(b)
		_, _ = parseRecord("c", "c/k", b)
	})
}
