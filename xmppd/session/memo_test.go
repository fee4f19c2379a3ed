package session

import (
	"errors"
	"testing"
)

func TestMemo(t *testing.T) {
	var marks Interests
	mark, _ := marks.Next()
	m, other := Memo[string]{mark}, Interest{1 << 7}
	u := &User{}
	stored, loads := "a", 0
	get := func(u *User) string {
		t.Helper()
		v, err := m.Get(u, func() (string, bool, error) {
			loads++
			return stored, stored == "", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	marked := func() bool { return u.Interest()&mark.Bits() != 0 }

	if first, second := get(u), get(u); first != "a" || second != "a" || loads != 1 || !marked() {
		t.Errorf("loaded %d times, marked %v", loads, marked())
	}
	stored = ""
	m.Forget(u)
	if first, second := get(u), get(u); first != "" || second != "" || loads != 2 || marked() {
		t.Errorf("nothing to do: loaded %d times, marked %v", loads, marked())
	}
	stored = "b"
	m.Forget(u)
	if !marked() || get(u) != "b" || !marked() || u.Interest()&other.Bits() == 0 {
		t.Error("after a change there is no mark, or not the new value")
	}

	// A change while it is loaded: what was loaded is not kept, and drops no mark.
	m.Forget(u)
	_, err := m.Get(u, func() (string, bool, error) {
		old := ""
		stored = "c"
		m.Forget(u)
		return old, true, nil
	})
	if err != nil || !marked() || get(u) != "c" {
		t.Errorf("a change during the load was lost: marked %v, %q, %v", marked(), get(u), err)
	}

	// An error is not kept; an account that is not on line is asked for each time.
	m.Forget(u)
	if _, err := m.Get(u, func() (string, bool, error) { return "", true, errors.New("no") }); err == nil || !marked() {
		t.Errorf("error %v, marked %v", err, marked())
	}
	loads = 0
	m.Forget(nil)
	if first, second := get(nil), get(nil); first != "c" || second != "c" || loads != 2 {
		t.Errorf("off line: loaded %d times", loads)
	}
}

// TestAfter: what waits for the bytes before it runs when these are written, not before, and never
// if they aren't.
func TestAfter(t *testing.T) {
	p := newPipe(10)
	s, wg := testSession(p, 1<<20)
	ran := make(chan string, 3)
	var b Batch
	s.Out.After(func() { ran <- "empty" })
	if got := <-ran; got != "empty" {
		t.Fatal(got)
	}
	b.Send(s, []byte("0123456789abcdef"), nil, nil, nil)
	s.Out.After(func() { ran <- "first" })
	b.Flush() // ten of them fit
	b.Send(s, []byte("ghij"), nil, nil, nil)
	s.Out.After(func() { ran <- "second" })
	b.Flush()
	if len(ran) != 0 {
		t.Errorf("ran before it was written: %s", <-ran)
	}
	p.grant(6) // the rest of the first, not the second
	if got := <-ran; got != "first" {
		t.Errorf("ran %s", got)
	}
	p.Abort()
	s.Out.Fail(ErrClosed)
	left, _ := s.Out.Close()
	wg.Wait()
	if len(left) == 0 || len(ran) != 0 {
		t.Errorf("left %q, ran %d", left, len(ran))
	}
}
