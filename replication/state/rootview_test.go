package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestRootViewAgainstModel: a view has what was there when it was opened, whatever
// comes afterwards, in the file and in both overlays, from all bounds, both ways.
func TestRootViewAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	f := newFeed(t, Options{})
	s, model, revision := f.open(), map[string]string{}, uint64(0)
	path := func() string { return fmt.Sprintf("%c%d", 'a'+rnd.IntN(3), rnd.IntN(20)) }
	for seq := uint64(1); seq <= 400; seq++ {
		w := &op.Write{Root: "r", Session: s, Seq: seq, Floor: seq}
		if rnd.IntN(9) == 0 {
			w.Root = []string{"q", "r2", "rr"}[rnd.IntN(3)] // its neighbours
		}
		p := path()
		w.Mutations = []op.Mutation{{Kind: op.Put, Path: p, Value: fmt.Append(nil, seq)}}
		if rnd.IntN(3) == 0 {
			w.Mutations[0] = op.Mutation{Kind: op.Delete, Path: p}
		}
		res := f.apply(EncodeWrite(nil, 0, app, w))
		if res.Code != op.OK {
			t.Fatal(res)
		}
		if w.Root == "r" {
			revision = res.Revision
			if delete(model, p); w.Mutations[0].Kind == op.Put {
				model[p] = fmt.Sprint(seq)
			}
		}
		if rnd.IntN(20) == 0 {
			if err := f.p.store.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if seq%4 != 0 {
			continue
		}
		v, err := f.p.ViewRoot("r")
		if err != nil {
			t.Fatal(err)
		}
		if rnd.IntN(2) == 0 { // behind the view's back
			w := &op.Write{Root: "r", Session: s, Seq: seq + 1000, Floor: seq, Mutations: []op.Mutation{{Kind: op.Check, Path: "a1"}}}
			f.apply(EncodeWrite(nil, 0, app, w))
		}
		if v.Revision() != revision {
			t.Fatalf("revision %d, want %d", v.Revision(), revision)
		}
		from, to := path(), path()
		if rnd.IntN(3) == 0 {
			from = ""
		}
		if rnd.IntN(3) == 0 {
			to = ""
		}
		compareView(t, v, model, from, to)
		v.Close()
		v.Close()
	}
}

func compareView(t *testing.T, v *RootView, model map[string]string, from, to string) {
	t.Helper()
	want := slices.Sorted(maps.Keys(model))
	want = slices.DeleteFunc(want, func(p string) bool { return p < from || to != "" && p >= to })
	for _, down := range []bool{false, true} {
		var got []string
		err := v.Scan(from, to, down, func(o op.Object) bool {
			if string(o.Value) != model[o.Path] {
				t.Errorf("%s is %q, want %q", o.Path, o.Value, model[o.Path])
			}
			got = append(got, o.Path)
			return true
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("[%q, %q) down %v: %q, want %q: %v", from, to, down, got, want, err)
		}
		slices.Reverse(want)
	}
	for _, p := range []string{from, to, "none"} {
		o, ok, err := v.Get(p)
		if value, has := model[p]; err != nil || ok != has || string(o.Value) != value {
			t.Errorf("%s: %q, %v, %v, want %q", p, o.Value, ok, err, value)
		}
	}
}

// TestRootViewStaysAsItWas: what is written while a view is open is not in it.
func TestRootViewStaysAsItWas(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	f.put(s, 1, 1, "a", "old")
	if err := f.p.store.Flush(); err != nil {
		t.Fatal(err)
	}
	f.put(s, 2, 1, "b", "old")
	v, err := f.p.ViewRoot("root")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for seq, path := range []string{"a", "b", "c"} {
		f.put(s, uint64(seq+3), 1, path, "new")
	}
	if err := f.p.store.Flush(); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := v.Scan("", "", false, func(o op.Object) bool {
		n++
		if string(o.Value) != "old" {
			t.Errorf("%s is %q", o.Path, o.Value)
		}
		return true
	}); err != nil || n != 2 {
		t.Errorf("%d objects, %v", n, err)
	}
}
