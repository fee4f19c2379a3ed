package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// accepted scans el as a server would.
func accepted(t *rapid.T, el []byte) {
	s := stanza.NewScanner(stanza.Limits{MaxStanza: 1 << 22, MaxAttrs: 64})
	st, n, err := s.Next(el)
	if err != nil || st == nil || n != len(el) {
		t.Fatalf("scanner: %v (%d of %d bytes) %.200q", err, n, len(el), el)
	}
}

func key(t *rapid.T, label string) string {
	return rapid.StringMatching(`[a-zäß<>&'" /.]{0,20}`).Draw(t, label)
}

func value(t *rapid.T) []byte {
	b := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "value")
	if len(b) == 0 {
		return nil
	}
	return b
}

func refs(t *rapid.T) (out []op.Ref) {
	for range rapid.IntRange(0, 2).Draw(t, "refs") {
		out = append(out, op.Ref{Root: key(t, "root"), Path: key(t, "path")})
	}
	return out
}

func u(t *rapid.T, label string) uint64 { return rapid.Uint64().Draw(t, label) }

func mutation(t *rapid.T) op.Mutation {
	m := op.Mutation{Kind: op.MutKind(rapid.IntRange(1, 2).Draw(t, "kind")), Path: key(t, "path")}
	m.Cond.Kind = op.CondKind(rapid.IntRange(0, 3).Draw(t, "cond"))
	if m.Cond.Kind == op.VersionIs {
		m.Cond.Version = u(t, "version")
	}
	m.Value, m.Refs = value(t), refs(t)
	return m
}

func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Request{Epoch: u(t, "epoch")}
		for range rapid.IntRange(0, 2).Draw(t, "opens") {
			r.Opens = append(r.Opens, Open{Tag: u(t, "tag"), Partition: rapid.Uint32().Draw(t, "p")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "writes") {
			w := Write{Tag: u(t, "tag"), Partition: rapid.Uint32().Draw(t, "p"), Write: op.Write{Root: key(t, "root"), Session: op.Session(u(t, "s")), Seq: u(t, "q"), Floor: u(t, "f")}}
			for range rapid.IntRange(1, 3).Draw(t, "mutations") {
				w.Mutations = append(w.Mutations, mutation(t))
			}
			r.Writes = append(r.Writes, w)
		}
		for range rapid.IntRange(0, 2).Draw(t, "reads") {
			rd := Read{Tag: u(t, "tag"), Partition: rapid.Uint32().Draw(t, "p"), Read: op.Read{Kind: op.Get, Root: key(t, "root"), Path: key(t, "path"), Offset: u(t, "o"), Version: u(t, "v")}}
			if rapid.Bool().Draw(t, "list") {
				rd.Read = op.Read{Kind: op.List, Root: key(t, "root"), Prefix: key(t, "prefix"), Limit: rapid.IntRange(0, op.MaxListPage).Draw(t, "limit")}
				if rd.FromStart = rapid.Bool().Draw(t, "start"); !rd.FromStart {
					rd.After = key(t, "after")
				}
			}
			r.Reads = append(r.Reads, rd)
		}
		el := AppendRequest(nil, r)
		accepted(t, el)
		got, err := ParseRequest(el)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%v\n%+v\nwant\n%+v\n%s", err, got, r, el)
		}
	})
}

func TestResponseRoundTrip(t *testing.T) {
	code := func(t *rapid.T) op.Code { return op.Code(rapid.IntRange(int(op.OK), int(op.Denied)).Draw(t, "code")) }
	rapid.Check(t, func(t *rapid.T) {
		r := &Response{Epoch: u(t, "epoch")}
		for range rapid.IntRange(0, 3).Draw(t, "writes") {
			w := WriteReply{Tag: u(t, "tag"), WriteResult: op.WriteResult{Code: code(t), Revision: u(t, "r"), Session: op.Session(u(t, "s")), Leader: key(t, "leader"), Text: key(t, "text")}}
			for range rapid.IntRange(0, 2).Draw(t, "items") {
				w.Items = append(w.Items, op.Item{Code: code(t), Version: u(t, "v")})
			}
			r.Writes = append(r.Writes, w)
		}
		for range rapid.IntRange(0, 2).Draw(t, "reads") {
			rd := ReadReply{Tag: u(t, "tag"), ReadResult: op.ReadResult{Code: code(t), Revision: u(t, "r"), More: rapid.Bool().Draw(t, "more"), Text: key(t, "text")}}
			for range rapid.IntRange(0, 2).Draw(t, "objects") {
				rd.Objects = append(rd.Objects, op.Object{Path: key(t, "path"), Version: u(t, "v"), Size: u(t, "size"), Value: value(t), Refs: refs(t)})
			}
			r.Reads = append(r.Reads, rd)
		}
		el := AppendResponse(nil, r)
		accepted(t, el)
		got, err := ParseResponse(el)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%v\n%+v\nwant\n%+v", err, got, r)
		}
	})
}

func TestOneMalformedOperationLeavesItsNeighbours(t *testing.T) {
	r, err := ParseRequest([]byte(`<ops xmlns='urn:rosterdb:store:1' epoch='1'><write tag='1' partition='2' session='3' seq='x' floor='1' root='r'><put path='p'/></write><frob tag='2' partition='1'/><write tag='3' partition='2' session='3' seq='4' floor='1' root='r'><put path='p'><v>!</v></put></write><get tag='4' partition='1' root='r'/></ops>`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"seq", "unknown operation", "base64"} {
		if !strings.Contains(r.Writes[i].Bad, want) {
			t.Errorf("write %d: %q", i, r.Writes[i].Bad)
		}
	}
	if len(r.Reads) != 1 || r.Reads[0].Bad != "" {
		t.Errorf("reads: %+v", r.Reads)
	}
}

func TestPartsMakeTheElementAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		el := []byte("<a>" + strings.Repeat("<b>ü</b>", rapid.IntRange(1, 3000).Draw(t, "n")) + "</a>")
		a := NewAssembler(len(el), 2)
		parts := Split(el, rapid.IntRange(1024, 9000).Draw(t, "max"), "e1")
		if len(parts) == 1 {
			if !bytes.Equal(parts[0], el) {
				t.Fatal("changed")
			}
			return
		}
		for i, p := range parts {
			got, done, err := a.Add("a@b/c", p)
			if err != nil || done != (i == len(parts)-1) || done && !bytes.Equal(got, el) {
				t.Fatalf("part %d: %v %v", i, done, err)
			}
		}
		if len(a.senders) != 0 {
			t.Fatal("something was left open")
		}
	})
}

func TestAssemblerIsBounded(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 5000)
	a := NewAssembler(4000, 2)
	failed := false
	for _, p := range Split(big, 1024, "e") {
		if _, _, err := a.Add("s", p); err != nil {
			failed = true
			break
		}
	}
	if !failed {
		t.Fatal("an element above the limit was accepted")
	}
	for _, id := range []string{"1", "2", "3"} {
		if _, _, err := a.Add("s", Split(big, 1024, id)[0]); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.senders["s"].open); n != 2 {
		t.Fatalf("%d elements open, want 2", n)
	}
}

func TestRaftHealthAndRingRoundTrip(t *testing.T) {
	el := AppendRaft(nil, 3, "store-uuid", []byte{0, 1, 255})
	if from, store, b, err := ParseRaft(el); err != nil || from != 3 || store != "store-uuid" || !bytes.Equal(b, []byte{0, 1, 255}) {
		t.Fatal(from, store, b, err)
	}
	h := &Health{Member: 2, Store: "s", Cluster: "c", Epoch: 5, State: StateFull, Led: 1, Held: 2, Lag: 3, DiskUsed: 4, DiskFree: 5, Load: 0.25, Version: "v"}
	if got, err := ParseHealth(AppendHealth(nil, h)); err != nil || *got != *h {
		t.Fatalf("%+v %v", got, err)
	}
	doc := []byte(`{"a":"<&'>"}`)
	if e, d, err := ParseRing(AppendRing(nil, 7, doc)); err != nil || e != 7 || !bytes.Equal(d, doc) {
		t.Fatal(e, string(d), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(AppendRequest(nil, &Request{Epoch: 1, Writes: []Write{{Tag: 1, Write: op.Write{Root: "r", Mutations: []op.Mutation{{Kind: op.Put, Path: "p", Value: []byte("v"), Refs: []op.Ref{{Root: "x"}}}}}}}}))
	f.Add(AppendResponse(nil, &Response{Reads: []ReadReply{{Tag: 1, ReadResult: op.ReadResult{Code: op.OK, Objects: []op.Object{{Path: "p"}}}}}}))
	f.Add(AppendRaft(nil, 1, "s", []byte("b")))
	f.Add(Split(bytes.Repeat([]byte("x"), 3000), 1024, "i")[0])
	f.Fuzz(func(t *testing.T, el []byte) {
		_, _ = ParseRequest(el)
		_, _ = ParseResponse(el)
		_, _, _, _ = ParseRaft(el)
		_, _ = ParseHealth(el)
		_, _, _ = ParseRing(el)
		_, _, _ = NewAssembler(1<<16, 2).Add("s", el)
	})
}
