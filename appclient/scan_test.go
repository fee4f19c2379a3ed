package appclient_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// fill writes objects of many roots and returns their names, "root path", in order.
func fill(t *testing.T, c *appclient.Client, roots, each, size int) (names []string) {
	t.Helper()
	var batches []appclient.RootBatch
	for i := range roots {
		b := appclient.RootBatch{Root: fmt.Sprintf("s/%03d", i)}
		for j := range each {
			path := fmt.Sprintf("p%02d", j)
			b.Mutations = append(b.Mutations, appclient.Put(path, value(b.Root, path, size)))
			names = append(names, b.Root+" "+path)
		}
		batches = append(batches, b)
	}
	for _, o := range c.Batch(deadline(t), batches...) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	return names
}

func value(root, path string, size int) []byte {
	return bytes.Repeat([]byte(root+path), size/len(root+path)+1)[:size]
}

func TestScan(t *testing.T) {
	// The client has room for all pages, for some, for none.
	for _, size := range []int{10, 1000, 5000, 20000} {
		c := dial(t, cluster(t, appclienttest.Options{MaxStanza: 16 << 10}), nil)
		c.SetRoom(64 << 10)
		ctx := deadline(t)
		if _, err := c.Root("other").Put(ctx, "", nil); err != nil {
			t.Fatal(err)
		}
		names := fill(t, c, 10, 4, size)
		var got []string
		for o, err := range c.Scan(ctx, appclient.ScanOptions{Prefix: "s/", PageSize: size % 7}) {
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(o.Value, value(o.Root, o.Path, size)) {
				t.Errorf("value of %s %s has %d bytes", o.Root, o.Path, len(o.Value))
			}
			got = append(got, o.Root+" "+o.Path)
		}
		if !slices.Equal(got, names) {
			t.Errorf("%d bytes: scanned %q", size, got)
		}
		got = nil
		for o, err := range c.Scan(ctx, appclient.ScanOptions{Prefix: "s/", AfterRoot: "s/007", After: "p02", Read: appclient.Stale(time.Second)}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, o.Root+" "+o.Path)
		}
		if i := slices.Index(names, "s/007 p02"); !slices.Equal(got, names[i+1:]) {
			t.Errorf("scanned behind an object: %q", got)
		}
		n := 0
		for o, err := range c.Root("s/003").Objects(ctx, appclient.ListOptions{PageSize: 2}) {
			if err != nil || !bytes.Equal(o.Value, value("s/003", o.Path, size)) {
				t.Errorf("Objects: %v, %v", o, err)
			}
			n++
		}
		if n != 4 {
			t.Errorf("%d objects of a root", n)
		}
	}
}

func TestRoots(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	fill(t, c, 30, 4, 1)
	if err := c.Root("s/004").Update(ctx, func(tx *appclient.Tx) error {
		for e, err := range tx.List(appclient.ListOptions{}) {
			if err != nil {
				return err
			}
			tx.Delete(e.Path)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for name, err := range c.Roots(ctx, appclient.ScanOptions{Prefix: "s/", PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	if len(got) != 29 || !slices.IsSorted(got) || slices.Contains(got, "s/004") {
		t.Errorf("roots: %q", got)
	}
	for range c.Roots(ctx, appclient.ScanOptions{}) {
		break // must not hang or leak
	}
	for _, err := range c.Roots(ctx, appclient.ScanOptions{Prefix: "\x00"}) {
		if !errors.Is(err, appclient.ErrInvalid) {
			t.Errorf("a bad prefix: %v", err)
		}
	}
}

func TestQuery(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{Indexes: []appclienttest.Index{{Name: "age", Prefix: "user/", Field: "profile.age"}}}), nil)
	ctx := deadline(t)
	for name, doc := range map[string]string{
		"user/ann": `{"profile":{"age":31}}`, "user/bob": `{"profile":{"age":17.5}}`, "user/cid": `{"profile":{"age":[31,40]}}`,
		"user/dan": `{"profile":{"age":null}}`, "user/eve": `{"profile":{"age":"old"}}`, "user/fay": `{"profile":{}}`, "user/gus": `no JSON`,
		"user/hal": `{"profile":{"age":true}}`, "elsewhere": `{"profile":{"age":31}}`,
	} {
		if _, err := c.Root(name).Put(ctx, "", []byte(doc)); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(q appclient.Query) string {
		var out []string
		q.Index = "age"
		for m, err := range c.Query(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s=%v", strings.TrimPrefix(m.Root, "user/"), m.Key.Value()))
		}
		return strings.Join(out, " ")
	}
	for _, tc := range []struct {
		q    appclient.Query
		want string
	}{
		{appclient.Query{}, "dan=<nil> hal=true bob=17.5 ann=31 cid=31 cid=40 eve=old"},
		{appclient.Query{Desc: true}, "eve=old cid=40 cid=31 ann=31 bob=17.5 hal=true dan=<nil>"},
		{appclient.Query{From: appclient.NumberKey(18), To: appclient.NumberKey(31)}, "ann=31 cid=31"},
		{appclient.Query{From: appclient.NumberKey(18), Limit: 3}, "ann=31 cid=31 cid=40"},
		{appclient.Query{From: appclient.StringKey("o")}, "eve=old"},
		{appclient.Query{To: appclient.BoolKey(true)}, "dan=<nil> hal=true"},
		{appclient.Query{From: appclient.NullKey(), To: appclient.NullKey()}, "dan=<nil>"},
	} {
		if got := ask(tc.q); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.q, got, tc.want)
		}
	}
	for _, err := range c.Query(ctx, appclient.Query{Index: "none"}) {
		if !errors.Is(err, appclient.ErrNotFound) {
			t.Errorf("an index that there is not: %v", err)
		}
	}
	for _, err := range c.Query(ctx, appclient.Query{}) {
		if !errors.Is(err, appclient.ErrInvalid) {
			t.Errorf("no index: %v", err)
		}
	}
}

func TestDangling(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	there, gone := appclient.Ref{Root: "t", Path: "here"}, appclient.Ref{Root: "t", Path: "gone"}
	if _, err := c.Root("t").Put(ctx, "here", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 300 { // more than are looked up at a time
		refs := []appclient.Ref{there}
		if i%100 == 7 {
			refs = append(refs, gone)
		}
		if _, err := c.Root(fmt.Sprintf("r/%03d", i)).Put(ctx, "", nil, appclient.WithRefs(refs...)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for d, err := range c.Dangling(ctx, "r/") {
		if err != nil {
			t.Fatal(err)
		}
		if d.To != gone {
			t.Errorf("%+v", d)
		}
		got = append(got, d.From.Root)
	}
	if !slices.Equal(got, []string{"r/007", "r/107", "r/207"}) {
		t.Errorf("dangling in %q", got)
	}
}

// TestStaleReads: they are answered by replicas that do not lead, also when
// the leader is gone, and spread.
func TestStaleReads(t *testing.T) {
	seen := make(chan string, 1000)
	cl := cluster(t, appclienttest.Options{Fault: func(st appclienttest.Stanza) appclienttest.Fault {
		if st.Reads > 0 {
			seen <- st.Node
		}
		return appclienttest.Fault{}
	}})
	c := dial(t, cl, nil)
	if _, err := c.Root("r").Put(deadline(t), "p", []byte("v")); err != nil {
		t.Fatal(err)
	}
	nodes := make(map[string]bool)
	until(t, "every replica asked", func() bool {
		if o, err := c.Root("r").Get(deadline(t), "p", appclient.Stale(time.Second)); err != nil || string(o.Value) != "v" {
			t.Fatal(o, err)
		}
		nodes[<-seen] = true
		return len(nodes) == 3
	})
}
