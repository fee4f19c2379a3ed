package session

import (
	"fmt"
	"testing"
)

func TestForks(t *testing.T) {
	u := new(User)
	a, b := []byte("<message id='a'/>"), []byte("<message id='b'/>")
	if !u.Unfork(a) {
		t.Error("never forked: somebody else has it")
	}
	u.Fork(a, 2)
	u.Fork(b, 3)
	u.Fork(a, 2) // the same once more
	for i, want := range []bool{false, false, true, true, true} {
		if got := u.Unfork(a); got != want {
			t.Errorf("a, time %d: last %v", i, got)
		}
	}
	for i, want := range []bool{false, false, true} {
		if got := u.Unfork(b); got != want {
			t.Errorf("b, time %d: last %v", i, got)
		}
	}
	// What is forgotten is nobody else's.
	u.Fork(a, 2)
	for i := range forkRing {
		u.Fork([]byte(fmt.Sprint(i)), 2)
	}
	if !u.Unfork(a) {
		t.Error("forgotten: somebody else has it")
	}
}
