package appclient_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/op"
)

// TestUpdate moves amounts between accounts of a root from many goroutines.
func TestUpdate(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	bank := c.Root("bank")
	const accounts, callers, each = 4, 8, 20
	for i := range accounts {
		if _, err := bank.Put(ctx, fmt.Sprint("acct/", i), []byte("100")); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := range each {
				if err := bank.Update(ctx, move(fmt.Sprint("acct/", (i+n)%accounts), fmt.Sprint("acct/", (i+n+1)%accounts))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	err := bank.Update(ctx, func(tx *appclient.Tx) error {
		sum = 0
		for e, err := range tx.List(appclient.ListOptions{Prefix: "acct/"}) {
			if err != nil {
				return err
			}
			o, err := tx.Get(e.Path)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(o.Value))
			if err != nil {
				return err
			}
			sum += n
		}
		return nil
	})
	if err != nil || sum != 100*accounts {
		t.Errorf("%d in all, %v", sum, err)
	}
}

func move(from, to string) func(*appclient.Tx) error {
	return func(tx *appclient.Tx) error {
		for path, by := range map[string]int{from: -1, to: 1} {
			o, err := tx.Get(path)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(o.Value))
			if err != nil {
				return err
			}
			tx.Put(path, strconv.AppendInt(nil, int64(n+by), 10))
		}
		return nil
	}
}

// interfered runs a transaction that reads a and writes b, while another changes
// something between its first attempt's read and commit.
func interfered(t *testing.T, f appclient.Faults, read func(*appclient.Tx) (string, error), other func(context.Context, appclient.Root) error) (saw string, attempts int) {
	t.Helper()
	cl := cluster(t, appclienttest.Options{})
	c, err := appclient.DialWith(deadline(t), cl.Config(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // never fails
	r := c.Root("r")
	ctx := deadline(t)
	err = r.Update(ctx, func(tx *appclient.Tx) error {
		attempts++
		v, err := read(tx)
		if err != nil {
			return err
		}
		if attempts == 1 {
			if err := other(ctx, r); err != nil {
				return err
			}
		}
		tx.Put("b", []byte("saw "+v))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.Get(ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	return string(o.Value), attempts
}

func readA(tx *appclient.Tx) (string, error) {
	o, err := tx.Get("a")
	if errors.Is(err, appclient.ErrNotFound) {
		return "nothing", nil
	}
	if err != nil {
		return "", err
	}
	return string(o.Value), nil
}

func countAll(tx *appclient.Tx) (string, error) {
	n := 0
	for _, err := range tx.List(appclient.ListOptions{}) {
		if err != nil {
			return "", err
		}
		n++
	}
	return strconv.Itoa(n), nil
}

func putA(ctx context.Context, r appclient.Root) error {
	_, err := r.Put(ctx, "a", []byte("new"))
	return err
}

func TestUpdateSeesInterference(t *testing.T) {
	for _, tc := range []struct {
		name  string
		read  func(*appclient.Tx) (string, error)
		other func(context.Context, appclient.Root) error
		want  string
		tries int
	}{
		{"an object that was absent comes", readA, putA, "saw new", 2},
		{"an object comes into a list", countAll, putA, "saw 1", 2},
		{"something else changes", readA, func(ctx context.Context, r appclient.Root) error {
			_, err := r.Put(ctx, "z", nil)
			return err
		}, "saw nothing", 1},
	} {
		if saw, tries := interfered(t, appclient.Faults{}, tc.read, tc.other); saw != tc.want || tries != tc.tries {
			t.Errorf("%s: %q after %d attempts, want %q after %d", tc.name, saw, tries, tc.want, tc.tries)
		}
	}
	if saw, _ := interfered(t, appclient.Faults{UpdateUnchecked: true}, readA, putA); saw != "saw nothing" {
		t.Errorf("a transaction that checks nothing: %q; the test cannot see the lost update", saw)
	}
}

func TestUpdateEnds(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	r := c.Root("r")
	own := errors.New("not today")
	if err := r.Update(deadline(t), func(tx *appclient.Tx) error { tx.Put("x", nil); return own }); err != own {
		t.Errorf("the function's error: %v", err)
	}
	if _, err := r.Get(deadline(t), "x"); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("what a failed transaction wrote: %v", err)
	}
	if err := r.Update(deadline(t), func(tx *appclient.Tx) error { tx.Put("x", nil, appclient.IfPresent()); return nil }); !errors.Is(err, appclient.ErrConflict) {
		t.Errorf("a condition of its own: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := r.Update(ctx, func(tx *appclient.Tx) error { // somebody else is always faster
		if _, err := readA(tx); err != nil {
			return err
		}
		tx.Put("b", nil)
		return putA(deadline(t), r)
	})
	// Its time may end in a read, in the commit or between two attempts.
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a hopeless transaction: %v", err)
	}
	if _, err := r.Get(deadline(t), "b"); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("a hopeless transaction was applied: %v", err)
	}
}

// TestTxSeesItsWrites: within the transaction, reads show what it has written.
func TestTxSeesItsWrites(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	r := c.Root("r")
	if _, err := r.Put(deadline(t), "b", []byte("old")); err != nil {
		t.Fatal(err)
	}
	err := r.Update(deadline(t), func(tx *appclient.Tx) error {
		tx.Put("a", []byte("1"))
		tx.Delete("b")
		tx.Add("n", 2)
		tx.Add("n", 3)
		if o, err := tx.Get("a"); err != nil || string(o.Value) != "1" {
			t.Errorf("Get of what was put: %v, %v", o, err)
		}
		if _, err := tx.Get("b"); !errors.Is(err, appclient.ErrNotFound) {
			t.Errorf("Get of what was deleted: %v", err)
		}
		if _, err := tx.Get("n"); !errors.Is(err, appclient.ErrInvalid) {
			t.Errorf("Get of what was added to: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := r.Get(deadline(t), "n"); err != nil || string(o.Value) != "5" {
		t.Errorf("%v, %v", o, err)
	}
	err = r.Update(deadline(t), func(tx *appclient.Tx) error {
		tx.Put("a", nil)
		tx.Add("a", 1)
		return nil
	})
	if !errors.Is(err, appclient.ErrInvalid) {
		t.Errorf("Add to what was put: %v", err)
	}
}

// TestUpdateDuringExpiry: when objects have expired that the root's revision does not
// count yet, what was read at that revision may never have been so together.
func TestUpdateDuringExpiry(t *testing.T) {
	get := func(tx *appclient.Tx) (all string, err error) {
		for _, path := range []string{"a", "b"} {
			if _, err := tx.Get(path); err == nil {
				all += path
			} else if !errors.Is(err, appclient.ErrNotFound) {
				return "", err
			}
		}
		return all, nil
	}
	for name, read := range map[string]func(*appclient.Tx) (string, error){"get": get, "list": countAll} {
		want := map[string]string{"get": "ab", "list": "2"}[name]
		if saw, attempts := expireUnder(t, appclient.Faults{}, read); saw != want || attempts != 2 {
			t.Errorf("%s: %q after %d attempts, want %q after 2", name, saw, attempts, want)
		}
		if saw, _ := expireUnder(t, appclient.Faults{VagueAccepted: true}, read); saw == want {
			t.Errorf("%s: the seeded fault was not noticed", name)
		}
	}
}

// expireUnder runs a transaction that only reads; in its first attempt "b" has expired
// and waits for its removal.
func expireUnder(t *testing.T, f appclient.Faults, read func(*appclient.Tx) (string, error)) (saw string, attempts int) {
	t.Helper()
	var first atomic.Bool
	cl := cluster(t, appclienttest.Options{Fault: func(s appclienttest.Stanza) (f appclienttest.Fault) {
		if s.Reads > 0 && first.Load() {
			f.Expiring = "b"
		}
		return f
	}})
	c, err := appclient.DialWith(deadline(t), cl.Config(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // never fails
	r := c.Root("r")
	if _, err := r.Batch(deadline(t), appclient.Put("a", nil), appclient.Put("b", nil)); err != nil {
		t.Fatal(err)
	}
	err = r.Update(deadline(t), func(tx *appclient.Tx) (err error) {
		attempts++
		first.Store(attempts == 1)
		saw, err = read(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return saw, attempts
}

// TestUpdateOfAReader: an account that may not write can still read several objects
// together, whatever is written meanwhile.
func TestUpdateOfAReader(t *testing.T) {
	for _, tc := range []struct {
		changed, want string
		tries         int
	}{{"other", "old old", 1}, {"a", "new old", 2}} {
		var reader atomic.Bool
		cl := cluster(t, appclienttest.Options{Fault: func(s appclienttest.Stanza) (f appclienttest.Fault) {
			if s.Opens+s.Writes > 0 && reader.Load() {
				f.Refuse = op.Denied
			}
			return f
		}})
		writer, c := dial(t, cl, nil).Root("r"), dial(t, cl, nil)
		for _, path := range []string{"a", "b"} {
			if _, err := writer.Put(deadline(t), path, []byte("old")); err != nil {
				t.Fatal(err)
			}
		}
		saw, tries := "", 0
		err := c.Root("r").Update(deadline(t), func(tx *appclient.Tx) error {
			tries++
			reader.Store(false)
			a, err := tx.Get("a")
			if err != nil {
				return err
			}
			if tries == 1 {
				if _, err := writer.Put(deadline(t), tc.changed, []byte("new")); err != nil {
					return err
				}
			}
			b, err := tx.Get("b")
			if err != nil {
				return err
			}
			reader.Store(true)
			saw = string(a.Value) + " " + string(b.Value)
			return nil
		})
		if err != nil || saw != tc.want || tries != tc.tries {
			t.Errorf("while %s changes: %q after %d tries, %v; want %q after %d", tc.changed, saw, tries, err, tc.want, tc.tries)
		}
	}
}

// TestUpdateReadsTwice: an object that is read twice and has changed in between, even
// back, was not so at one moment.
func TestUpdateReadsTwice(t *testing.T) {
	for _, writes := range []bool{false, true} {
		c := dial(t, cluster(t, appclienttest.Options{}), nil)
		r := c.Root("r")
		tries, first, second := 0, "", ""
		err := r.Update(deadline(t), func(tx *appclient.Tx) (err error) {
			tries++
			if first, err = readA(tx); err != nil {
				return err
			}
			if tries == 1 {
				if err := putA(deadline(t), r); err != nil {
					return err
				}
			}
			if second, err = readA(tx); err != nil {
				return err
			}
			if tries == 1 {
				err = r.Delete(deadline(t), "a")
			}
			if writes {
				tx.Put("b", nil)
			}
			return err
		})
		if err != nil || tries != 2 || first != second {
			t.Errorf("writing %v: saw %q and %q after %d tries, %v", writes, first, second, tries, err)
		}
	}
}

// TestUpdateRunsAgainForItsReads: where what a transaction has read has changed it runs
// again, whatever became of its own conditions. The seeded fault ends it with those.
func TestUpdateRunsAgainForItsReads(t *testing.T) {
	cl := cluster(t, appclienttest.Options{})
	for _, fault := range []bool{false, true} {
		ctx := deadline(t)
		c, err := appclient.DialWith(ctx, cl.Config(), appclient.Faults{OwnConditionFirst: fault})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() }) //nolint:errcheck // never fails
		for _, list := range []bool{false, true} {
			r := c.Root(fmt.Sprint("sequence/", fault, list))
			runs := 0
			err := r.Update(ctx, func(tx *appclient.Tx) error {
				n := 0
				o, err := tx.Get("next")
				if err == nil {
					n, err = strconv.Atoi(string(o.Value))
				} else if errors.Is(err, appclient.ErrNotFound) {
					err = nil
				}
				if list {
					for range tx.List(appclient.ListOptions{}) { // the whole root counts as read
						continue
					}
				}
				if runs++; runs == 1 && err == nil { // somebody is faster
					_, err = r.Batch(ctx, appclient.Put("item/0", nil), appclient.Put("next", []byte("1")))
				}
				tx.Put(fmt.Sprint("item/", n), nil, appclient.IfAbsent())
				tx.Put("next", strconv.AppendInt(nil, int64(n+1), 10))
				return err
			})
			if ended := errors.Is(err, appclient.ErrConflict); ended != (fault && !list) || !ended && (err != nil || runs != 2) {
				t.Errorf("fault %v, list %v: %d runs, %v", fault, list, runs, err)
			}
		}
	}
}

// TestUpdateEndsWhereNothingWouldChange: a condition that does not hold, and an Add that
// cannot be, end a transaction whose reads are as they were.
func TestUpdateEndsWhereNothingWouldChange(t *testing.T) {
	c := dial(t, cluster(t, appclienttest.Options{}), nil)
	ctx := deadline(t)
	r := c.Root("final")
	if _, err := r.Batch(ctx, appclient.Put("text", []byte("no number")), appclient.Put("other", nil)); err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(tx *appclient.Tx){
		"an Add to a text":               func(tx *appclient.Tx) { tx.Add("text", 1) },
		"an Add to a text that was read": func(tx *appclient.Tx) { _, _ = tx.Get("text"); tx.Add("text", 1) },
		"a condition":                    func(tx *appclient.Tx) { _, _ = tx.Get("other"); tx.Put("text", nil, appclient.IfAbsent()) },
		"one about what was read":        func(tx *appclient.Tx) { _, _ = tx.Get("text"); tx.Put("text", nil, appclient.IfAbsent()) },
		"one about what was listed": func(tx *appclient.Tx) {
			for range tx.List(appclient.ListOptions{}) {
				continue
			}
			tx.Put("text", nil, appclient.IfAbsent())
		},
	} {
		runs := 0
		err := r.Update(ctx, func(tx *appclient.Tx) error {
			runs++
			do(tx)
			return nil
		})
		var c *appclient.ConflictError
		if !errors.As(err, &c) || c.Path != "text" || c.Counter != (name[:2] == "an") || runs != 1 {
			t.Errorf("%s: %d runs, %v", name, runs, err)
		}
	}
	// What it has read of two moments says nothing: do runs again.
	runs := 0
	err := r.Update(ctx, func(tx *appclient.Tx) error {
		o, err := tx.Get("text")
		if runs++; runs == 1 && err == nil {
			_, err = r.Batch(ctx, appclient.Put("text", []byte("made")), appclient.Put("made", nil))
		}
		_, missing := tx.Get("made")
		if string(o.Value) != "made" && missing == nil {
			tx.Put("made", nil, appclient.IfAbsent())
		}
		return err
	})
	if err != nil || runs != 2 {
		t.Errorf("reads of two moments: %d runs, %v", runs, err)
	}
}
