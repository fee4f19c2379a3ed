package appclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/op"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func cluster(t testing.TB, opt appclienttest.Options) *appclienttest.Cluster {
	t.Helper()
	c, err := appclienttest.Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func dial(t testing.TB, cl *appclienttest.Cluster, edit func(*appclient.Config)) *appclient.Client {
	t.Helper()
	cfg := cl.Config()
	if edit != nil {
		edit(&cfg)
	}
	c, err := appclient.Dial(deadline(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // never fails
	return c
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestPutGetDelete(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	r := c.Root("cart/42")
	if _, err := r.Get(ctx, "item"); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	v1, err := r.Put(ctx, "item", []byte("apples & <pears>"), appclient.WithRefs(appclient.Ref{Root: "user/1", Path: "name"}))
	if err != nil || v1 == 0 {
		t.Fatalf("Put: version %d, %v", v1, err)
	}
	o, err := r.Get(ctx, "item")
	if err != nil {
		t.Fatal(err)
	}
	if string(o.Value) != "apples & <pears>" || o.Version != v1 || len(o.Refs) != 1 || o.Refs[0] != (appclient.Ref{Root: "user/1", Path: "name"}) || o.Ref() != (appclient.Ref{Root: "cart/42", Path: "item"}) {
		t.Errorf("Get: %+v", o)
	}
	if _, err := c.Resolve(ctx, o.Refs[0]); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("dangling reference: %v", err)
	}
	for range 2 {
		if err := r.Delete(ctx, "item"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if _, err := r.Get(ctx, "item"); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("Get of what was deleted: %v", err)
	}
}

func TestConditions(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	r := c.Root("r")
	v1, err := r.CompareAndSwap(ctx, "", 0, []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.CompareAndSwap(ctx, "", 0, []byte("2"))
	var conflict *appclient.ConflictError
	if !errors.Is(err, appclient.ErrConflict) || !errors.As(err, &conflict) || conflict.Version != v1 {
		t.Errorf("CompareAndSwap with absence of what is there: %v", err)
	}
	if _, err = r.CompareAndSwap(ctx, "", v1, []byte("2")); err != nil {
		t.Error(err)
	}
	if _, err = r.Put(ctx, "", nil, appclient.IfVersion(v1)); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("Put with an old version: %v", err)
	}
	if err = r.Delete(ctx, "none", appclient.IfPresent()); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("Delete of nothing if present: %v", err)
	}
	_, err = r.Batch(ctx, appclient.Put("a", []byte("x")), appclient.Put("", nil, appclient.IfAbsent()))
	if !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("Batch with a failing condition: %v", err)
	}
	if _, err = r.Get(ctx, "a"); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("part of a refused batch was applied: %v", err)
	}
	res, err := r.Batch(ctx, appclient.Put("a", []byte("x")), appclient.Delete(""))
	if err != nil || len(res.Versions) != 2 || res.Versions[0] != res.Revision || res.Versions[1] != 0 {
		t.Errorf("Batch: %+v, %v", res, err)
	}
}

func TestInvalid(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	for _, tc := range []struct {
		name string
		do   func() error
		want error
	}{
		{"no root", func() error { _, err := c.Root("").Get(ctx, ""); return err }, appclient.ErrInvalid},
		{"control character", func() error { _, err := c.Root("r").Put(ctx, "a\nb", nil); return err }, appclient.ErrInvalid},
		{"path twice", func() error {
			_, err := c.Root("r").Batch(ctx, appclient.Put("a", nil), appclient.Delete("a"))
			return err
		}, appclient.ErrInvalid},
		{"empty batch", func() error { _, err := c.Root("r").Batch(ctx); return err }, appclient.ErrInvalid},
		{"large value", func() error { _, err := c.Root("r").Put(ctx, "a", make([]byte, op.MaxValue+1)); return err }, appclient.ErrTooLarge},
		{"prefix", func() error {
			for _, err := range c.Root("r").List(ctx, appclient.ListOptions{Prefix: "\x00"}) {
				return err
			}
			return nil
		}, appclient.ErrInvalid},
	} {
		if err := tc.do(); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestList(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	r := c.Root("tree")
	for i := range 25 {
		if _, err := r.Put(ctx, fmt.Sprintf("d%d/f%02d", i%2, i), make([]byte, i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Put(ctx, "", []byte("root")); err != nil {
		t.Fatal(err)
	}
	list := func(o appclient.ListOptions) (paths []string) {
		for e, err := range r.List(ctx, o) {
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, e.Path)
		}
		return paths
	}
	if all := list(appclient.ListOptions{PageSize: 4}); len(all) != 26 || all[0] != "" || all[1] != "d0/f00" || all[25] != "d1/f23" {
		t.Errorf("List: %q", all)
	}
	if some := list(appclient.ListOptions{Prefix: "d1/", After: "d1/f10", PageSize: 3}); len(some) != 7 || some[0] != "d1/f11" {
		t.Errorf("List of a prefix: %q", some)
	}
	for range r.List(ctx, appclient.ListOptions{}) {
		break // must not hang or leak
	}
}

func TestLargeValuesTravelInPieces(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{MaxStanza: 20 << 10}), nil)
	ctx := deadline(t)
	for _, n := range []int{0, 1, 9 << 10, 10 << 10, 15 << 10, 20 << 10, 100<<10 + 1, op.MaxValue} {
		value := make([]byte, n)
		for i := range value {
			value[i] = byte(rand.Uint32())
		}
		if _, err := c.Root("big").Put(ctx, "v", value); err != nil {
			t.Fatalf("Put of %d bytes: %v", n, err)
		}
		o, err := c.Root("big").Get(ctx, "v")
		if err != nil || !bytes.Equal(o.Value, value) {
			t.Fatalf("Get of %d bytes: %v", n, err)
		}
	}
}

func TestManyCallersShareStanzas(t *testing.T) {
	const callers, each = 64, 50
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			r := c.Root(fmt.Sprintf("root-%d", i))
			for n := range each {
				want := fmt.Sprint(i, n)
				if _, err := r.Put(ctx, "p", []byte(want)); err != nil {
					t.Error(err)
					return
				}
				if o, err := r.Get(ctx, "p"); err != nil || string(o.Value) != want {
					t.Errorf("Get: %v, %v", o, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Stanzas*2 > s.Operations {
		t.Errorf("bundles are small: %+v", s)
	}
}

func TestWhere(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Nodes: 5})
	c := dial(t, cl, nil)
	w := c.Where("some root")
	if len(w.Replicas) != 3 || w.Leader != w.Replicas[0] || w.Epoch != 1 {
		t.Errorf("Where: %+v", w)
	}
}

func TestDialSaysWhatIsMissing(t *testing.T) {
	cl := cluster(t, appclienttest.Options{})
	for i := range cl.Nodes() {
		cl.SetOnline(i, false)
	}
	dialed := func(ctx context.Context) error {
		_, err := appclient.Dial(ctx, cl.Config())
		return err
	}
	if err := untilSays("no data node in the roster", dialed); !errors.Is(err, appclient.ErrUnavailable) || strings.Contains(err.Error(), "applied") || !strings.Contains(err.Error(), "no data node in the roster") {
		t.Errorf("Dial without nodes: %v", err)
	}
	cfg := cl.Config()
	cfg.Addrs = []string{"127.0.0.1:1"}
	dialed = func(ctx context.Context) error {
		_, err := appclient.Dial(ctx, cfg)
		return err
	}
	if err := untilSays("refused", dialed); !errors.Is(err, appclient.ErrUnavailable) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Dial without a server: %v", err)
	}
	for _, jid := range []string{"", "localhost", "@localhost", "a b@localhost", "app@"} {
		cfg.JID = jid
		if err := dialed(deadline(t)); !errors.Is(err, appclient.ErrInvalid) || errors.Is(err, appclient.ErrUnavailable) {
			t.Errorf("Dial as %q: %v", jid, err)
		}
	}
}

func TestClose(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Fault: func(appclienttest.Stanza) appclienttest.Fault {
		return appclienttest.Fault{DropAnswer: true}
	}})
	c := dial(t, cl, nil)
	result := make(chan error, 1)
	go func() {
		_, err := c.Root("r").Get(context.Background(), "p")
		result <- err
	}()
	until(t, "the read on its way", func() bool { return c.Stats().Stanzas > 0 })
	c.Close() //nolint:errcheck // never fails
	if err := <-result; !errors.Is(err, appclient.ErrClosed) {
		t.Errorf("Get under Close: %v", err)
	}
	if _, err := c.Root("r").Put(context.Background(), "p", nil); !errors.Is(err, appclient.ErrClosed) {
		t.Errorf("Put after Close: %v", err)
	}
	c.Close() //nolint:errcheck // must be harmless
}

// TestCloseUnderWrite: what may have been applied is not called closed, which
// stands for surely not applied.
func TestCloseUnderWrite(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Fault: func(st appclienttest.Stanza) appclienttest.Fault {
		return appclienttest.Fault{DropAnswer: st.Writes > 0}
	}})
	c := dial(t, cl, nil)
	result := make(chan error, 1)
	go func() {
		_, err := c.Root("r").Put(context.Background(), "p", nil)
		result <- err
	}()
	until(t, "the write applied", func() bool { return len(cl.Applied()) > 0 })
	c.Close() //nolint:errcheck // never fails
	if err := <-result; !errors.Is(err, appclient.ErrUnknownOutcome) || errors.Is(err, appclient.ErrClosed) {
		t.Errorf("Put under Close: %v", err)
	}
}

// TestZeroOption: an option that nobody made changes nothing.
func TestZeroOption(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	if _, err := c.Root("r").Put(deadline(t), "p", nil, appclient.MutationOption{}); err != nil {
		t.Error(err)
	}
}
