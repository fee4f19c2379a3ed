package datanode

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
)

// exporting is a node with one real partition, 3.
type exporting struct {
	t    *testing.T
	n    *Node
	part *state.Partition
	i    uint64
}

func newExporting(t *testing.T) *exporting {
	st, err := state.OpenStore(filepath.Join(t.TempDir(), "state.db"), state.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	part, err := st.Partition(3)
	if err != nil {
		t.Fatal(err)
	}
	n, e, _ := testNode(t)
	e.parts = map[uint32]*state.Partition{3: part}
	n.exports.init(n)
	t.Cleanup(func() {
		n.exports.sweep(time.Now().Add(2 * exportLease))
		if err := st.Close(); err != nil { // hangs if a picture is still open
			t.Error(err)
		}
	})
	part.Apply(1, 1, state.EncodeOpen(nil, 1, "app@localhost"))
	return &exporting{t, n, part, 1}
}

func (x *exporting) write(at int64, root string, muts ...op.Mutation) {
	x.t.Helper()
	x.i++
	res := x.part.Apply(x.i, 1, state.EncodeWrite(nil, at, state.OwnerOf("app@localhost"), &op.Write{
		Root: root, Session: 1, Seq: x.i, Floor: x.i, Mutations: muts,
	}))
	if res.Code != op.OK {
		x.t.Fatalf("write: %+v", res)
	}
}

func (x *exporting) do(q adminxml.ExportRequest) (adminxml.ExportAnswer, error) {
	q.ID = "e1"
	return x.n.exports.do(&q, time.Now())
}

// TestExportOfTimeAstray: a partition whose log time is far ahead, since a clock was wrong, is exported as it is, and that
// is told.
func TestExportOfTimeAstray(t *testing.T) {
	x := newExporting(t)
	now := time.Now().UnixMilli()
	x.write(100, "ahead", op.Mutation{Kind: op.Put})
	x.i++
	x.part.Apply(x.i, 1, state.EncodeOpen(nil, now+2*3600_000, "app@localhost"))
	a, err := x.do(adminxml.ExportRequest{Do: adminxml.ExportBegin, Time: now + 2000, Partitions: []uint32{3}})
	if err != nil || a.Waiting != 0 || len(a.Failed) != 0 || len(a.Astray) != 1 || a.Astray[0] != 3 {
		t.Fatalf("begin: %+v, %v", a, err)
	}
	p := uint32(3)
	if a, err = x.do(adminxml.ExportRequest{Do: adminxml.ExportPage, Partition: &p}); err != nil || len(a.Objects) != 1 || a.Objects[0].Root != "ahead" {
		t.Errorf("page: %+v, %v", a, err)
	}
	x.n.exports.sweep(time.Now().Add(2 * exportLease))
	if _, err = x.do(adminxml.ExportRequest{Do: adminxml.ExportBegin, Time: now + 2*3600_000, Partitions: []uint32{3}}); err == nil || !strings.Contains(err.Error(), "clocks") {
		t.Errorf("a cut two hours ahead: %v", err)
	}
}

// TestExportGivesTheCut: all objects of the log time asked for, whatever their
// size, in pages that fit a stanza.
func TestExportGivesTheCut(t *testing.T) {
	x := newExporting(t)
	big := bytes.Repeat([]byte("0123456789"), 60_000)
	var refs []op.Ref
	for i := range 3000 {
		refs = append(refs, op.Ref{Root: fmt.Sprint("'<&>\"root", i), Path: "some/path"})
	}
	want := make(map[string]int)
	for i := range 500 {
		path := fmt.Sprintf("p'\"<%d>", i)
		x.write(100, "many", op.Mutation{Kind: op.Put, Path: path, Value: make([]byte, i)})
		want["many/"+path] = i
	}
	x.write(100, "big", op.Mutation{Kind: op.Put, Value: big, Refs: refs})
	x.write(100, "refs", op.Mutation{Kind: op.Put, Refs: refs})
	want["big/"], want["refs/"] = len(big)+len(refs)<<32, len(refs)<<32
	a, err := x.do(adminxml.ExportRequest{Do: adminxml.ExportBegin, Time: 200, Partitions: []uint32{3, 5}})
	if err != nil || a.Waiting != 1 || a.Failed[5] == "" {
		t.Fatalf("begin: %+v, %v", a, err)
	}
	x.write(201, "late", op.Mutation{Kind: op.Put})
	if a, err = x.do(adminxml.ExportRequest{Do: adminxml.ExportPoll}); err != nil || a.Waiting != 0 {
		t.Fatalf("poll: %+v, %v", a, err)
	}
	got, open := make(map[string]int), ""
	p := uint32(3)
	for q := (adminxml.ExportRequest{Do: adminxml.ExportPage, Partition: &p}); ; q.From = a.Next {
		if a, err = x.do(q); err != nil {
			t.Fatal(err)
		}
		room := 0
		for i := range a.Objects {
			o := &a.Objects[i]
			room += pieceSize(o)
			key := o.Root + "/" + o.Path
			if open != "" && open != key || open == "" && got[key] != 0 {
				t.Fatalf("piece of %q, open is %q", key, open)
			}
			got[key] += len(o.Value) + len(o.Refs)<<32
			if open = ""; o.Part {
				open = key
			}
		}
		if room > maxElement-1000 {
			t.Fatalf("a page of %d bytes", room)
		}
		if a.Next == nil {
			break
		}
	}
	for key, n := range want {
		if got[key] != n {
			t.Errorf("%q: %x, want %x", key, got[key], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d objects, want %d", len(got), len(want))
	}
}

func TestExportsAreBoundedAndForgotten(t *testing.T) {
	x := newExporting(t)
	now := time.Now()
	begin := func(id string, at int64) error {
		_, err := x.n.exports.do(&adminxml.ExportRequest{Do: adminxml.ExportBegin, ID: id, Time: at, Partitions: []uint32{3}}, now)
		return err
	}
	if err := begin("far", now.UnixMilli()+2*exportAhead); err == nil {
		t.Error("a cut far ahead would keep a place for long")
	}
	if err := errors.Join(begin("a", 200), begin("b", 300), begin("a", 200)); err != nil {
		t.Fatal(err)
	}
	if err := begin("c", 300); !errors.Is(err, errExportBusy) {
		t.Errorf("a third one: %v", err)
	}
	x.write(250, "r", op.Mutation{Kind: op.Put})
	x.n.exports.sweep(now.Add(exportLease + time.Second))
	if _, err := x.n.exports.do(&adminxml.ExportRequest{Do: adminxml.ExportPoll, ID: "a"}, now); !errors.Is(err, errExportGone) {
		t.Errorf("after its lease: %v", err)
	}
	x.write(400, "r", op.Mutation{Kind: op.Put}) // the picture of b comes too late, and is closed
	if err := begin("c", 500); err != nil {
		t.Errorf("room is not given back: %v", err)
	}
}
