package wire

import (
	"bytes"
	"reflect"
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
