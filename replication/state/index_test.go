package state

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

func number(f float64) op.Scalar { return op.Scalar{Kind: op.Number, Number: f} }

func text(s string) op.Scalar { return op.Scalar{Kind: op.String, String: s} }

func TestJSONField(t *testing.T) {
	for _, c := range []struct {
		text, field string
		want        []op.Scalar
	}{
		{`{"a":1}`, "a", []op.Scalar{number(1)}},
		{` { "b" : {"x":[1]} , "a":{"b" : {"c":"x"}} } `, "a.b.c", []op.Scalar{text("x")}},
		{`{"a":[1,"x",null,true,{"a":2},[3]]}`, "a", []op.Scalar{number(1), text("x"), {Kind: op.Null}, {Kind: op.Bool, Bool: true}, number(3)}},
		{`{"items":[{"price":1.5},{"price":-2e1},{"name":"x"}]}`, "items.price", []op.Scalar{number(1.5), number(-20)}},
		{`{"a":1,"a":2}`, "a", []op.Scalar{number(1)}},
		{`{"a":"\u00e4\n\ud83d\ude00\ud83d!"}`, "a", []op.Scalar{text("ä\n😀\uFFFD!")}},
		{`{"\u0061":1}`, "a", []op.Scalar{number(1)}},
		{`{"a":{}}`, "a", nil},
		{`{"b":1}`, "a", nil},
		{`1`, "a", nil},
		{``, "a", nil},
		{`{"a":1`, "a", nil},
		{`{"a":1}x`, "a", nil},
		{`{"a":1,}`, "a", nil},
		{`{"a":01}`, "a", nil},
		{`{"a":+1}`, "a", nil},
		{`{"a":tru}`, "a", nil},
		{`{"a":"x` + "\n" + `"}`, "a", nil},
		{`{"a":"\x"}`, "a", nil},
		{`{"a":1,"b":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "a", nil},
	} {
		if got := jsonField([]byte(c.text), strings.Split(c.field, ".")); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s of %s: %+v, want %+v", c.field, c.text, got, c.want)
		}
	}
}

// FuzzJSONField: what the library takes for JSON is taken so here, and nothing else.
func FuzzJSONField(f *testing.F) {
	f.Add(`{"a":1}`)
	f.Add(`{"a":["x",-1.5e3,null]}`)
	f.Add(`{"a":"\u00e4\ud800"}`)
	f.Fuzz(func(t *testing.T, s string) {
		got := jsonField([]byte(`{"a":`+s+`,"z":0}`), []string{"z"})
		valid := json.Valid([]byte(`{"a":` + s + `,"z":0}`))
		if (len(got) > 0) != valid && strings.Count(s, "[")+strings.Count(s, "{") < maxDepth-2 && !strings.Contains(s, `"z"`) && !strings.Contains(s, `\u00`) {
			t.Fatalf("valid: %v, found %v", valid, got)
		}
		var v struct{ A any }
		if json.Unmarshal([]byte(`{"a":`+s+`}`), &v) != nil || !utf8.ValidString(s) {
			return
		}
		if want, ok := v.A.(string); ok {
			if got := jsonField([]byte(`{"a":`+s+`}`), []string{"a"}); len(got) != 1 || got[0].String != want {
				t.Fatalf("%q is %+v, want %q", s, got, want)
			}
		}
	})
}

// TestScalarOrder: entries sort as their values do, and can be read.
func TestScalarOrder(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) op.Scalar {
		return rapid.OneOf(
			rapid.Just(op.Scalar{Kind: op.Null}),
			rapid.Map(rapid.Bool(), func(b bool) op.Scalar { return op.Scalar{Kind: op.Bool, Bool: b} }),
			rapid.Map(rapid.Float64(), number),
			rapid.Map(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), -1, 1, math.MaxFloat64, -math.MaxFloat64, 5e-324}), number),
			rapid.Map(rapid.StringMatching(`[a-cä ]{0,4}`), text),
		).Draw(t, "scalar")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		x, y := appendScalar(nil, &a), appendScalar(nil, &b)
		tail := rapid.SampledFrom([]string{"r", "\U0010FFFF"})
		if want := compareScalars(a, b); want != 0 && cmp.Compare(string(x)+tail.Draw(t, "tail a"), string(y)+tail.Draw(t, "tail b")) != want {
			t.Fatalf("%+v and %+v sort as %x and %x", a, b, x, y)
		}
		if got, rest, ok := cutScalar(append(x, "rest"...)); !ok || got != a || string(rest) != "rest" {
			t.Fatalf("%+v came back as %+v, %q", a, got, rest)
		}
	})
}

func (f *feed) define(epoch uint64, list ...ring.Index) {
	f.t.Helper()
	if r := f.apply(EncodeIndexes(nil, f.now, epoch, list)); r.Code != op.OK {
		f.t.Fatalf("%+v", r)
	}
	for range 1000 {
		f.apply(EncodeTick(nil, f.now))
		if !f.p.indexes.working {
			return
		}
		if f.p.NextExpiry() == 0 {
			f.t.Fatal("there is work, and no tick is wanted")
		}
	}
	f.t.Fatal("the index never gets ready")
}

// TestChangesOfAnIndex: objects enter, change in, leave, expire from it.
func TestChangesOfAnIndex(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	f.put(s, 1, 1, "a", `{"n":1}`)
	f.define(1, ring.Index{Name: "n", ID: 1, Path: "*", Field: "n"})
	start, _ := f.p.Applied()
	if r := f.p.Read(&op.Read{Kind: op.Changes, Index: "n"}); r.Code != op.Compacted {
		t.Errorf("changes from before the index: %+v", r)
	}
	f.put(s, 2, 1, "a", `{"n":2}`)
	f.put(s, 3, 1, "other", `{"m":2}`)
	f.write(s, 4, op.Mutation{Kind: op.Put, Path: "b", Value: []byte(`{"n":[3,4]}`), TTL: 10})
	f.put(s, 5, 1, "a", `no more`)
	f.put(s, 6, 1, "a", `{"n":5}`)
	f.now = 10
	f.write(s, 7, op.Mutation{Kind: op.Delete, Path: "a"})
	var got []string
	for _, e := range follow(t, f.p, op.Read{Since: start, Index: "n"}) {
		got = append(got, fmt.Sprint(e.Kind, e.Path))
	}
	want := []string{
		fmt.Sprint(op.Written, "a"), fmt.Sprint(op.Written, "b"), fmt.Sprint(op.Left, "a"), fmt.Sprint(op.Written, "a"),
		fmt.Sprint(op.Expired, "b"), fmt.Sprint(op.Deleted, "a"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if r := f.p.Read(&op.Read{Kind: op.Query, Index: "n"}); r.Code != op.OK || len(r.Objects) != 0 {
		t.Errorf("what is left in the index: %+v", r)
	}
	f.define(2)
	if r := f.p.Read(&op.Read{Kind: op.Query, Index: "n"}); r.Code != op.NotFound {
		t.Errorf("query of an index that is gone: %+v", r)
	}
}

// TestLargeIndex: built, read both ways and removed in pieces, whether its objects
// and entries are flushed or not.
func TestLargeIndex(t *testing.T) {
	f := newFeed(t, Options{})
	s := f.open()
	const n = 3 * atLeast
	put := func(from, to int) {
		for i := from; i < to; i++ {
			seq := uint64(i + 1)
			w := &op.Write{Root: fmt.Sprintf("r%d", i), Session: s, Seq: seq, Floor: seq, Mutations: []op.Mutation{{Kind: op.Put, Value: fmt.Appendf(nil, `{"n":%d}`, i)}}}
			if r := f.apply(EncodeWrite(nil, 0, app, w)); r.Code != op.OK {
				t.Fatalf("%+v", r)
			}
		}
	}
	flush := func() {
		if err := f.p.store.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	put(0, n/3)
	flush()
	put(n/3, 2*n/3)
	f.define(1, ring.Index{Name: "n", ID: 1, Field: "n"})
	put(2*n/3, n)
	for _, flushed := range []bool{false, true} {
		if flushed {
			flush()
		}
		for _, desc := range []bool{false, true} {
			next := 0
			if desc {
				next = n - 1
			}
			r := op.Read{Kind: op.Query, Index: "n", Desc: desc, Limit: 500}
			for more := true; more; {
				res := f.p.Read(&r)
				for _, o := range res.Objects {
					if o.Key.Number != float64(next) || o.Root != fmt.Sprintf("r%d", next) {
						t.Fatalf("flushed %v, downwards %v: %+v, want %d", flushed, desc, o, next)
					}
					next++
					if desc {
						next -= 2
					}
					r.Cursor = o.Cursor
				}
				more = res.More
			}
			if next != n && next != -1 {
				t.Errorf("flushed %v, downwards %v: it ended at %d", flushed, desc, next)
			}
		}
	}
	f.define(2)
	flush()
	if list, generation := f.p.Indexes(); len(list) != 0 || generation != 2 {
		t.Errorf("indexes %+v of generation %d", list, generation)
	}
	v := picture(t, f.p)
	for _, part := range v.parts {
		if part.number == tableIndex && part.b != nil {
			if key, _ := part.b.Cursor().First(); key != nil {
				t.Errorf("entry %q is left", key)
			}
		}
	}
}

// TestIndexByNumber: a definition of the same name is not the one that was meant.
func TestIndexByNumber(t *testing.T) {
	f := newFeed(t, Options{})
	f.put(f.open(), 1, 1, "a", `{"n":1}`)
	f.define(1, ring.Index{Name: "n", ID: 1, Path: "*", Field: "n"})
	for id, want := range map[uint32]op.Code{0: op.OK, 1: op.OK, 2: op.NotFound} {
		since, _ := f.p.Applied()
		for _, r := range []op.Read{{Kind: op.Query}, {Kind: op.Changes, Since: since}} {
			r.Index, r.IndexID = "n", id
			if res := f.p.Read(&r); res.Code != want {
				t.Errorf("read of kind %d, number %d: %+v, want code %d", r.Kind, id, res, want)
			}
		}
	}
}
