package link

import (
	"strings"
	"testing"
)

// TestEnds: a pair whose end was announced is not cut off, and the next one is as any other.
func TestEnds(t *testing.T) {
	ca := newAuthority(t)
	a, b := start(t, ca, "a", nil), start(t, ca, "b", nil)
	meet(t, a, b)
	for i, c := range []struct {
		end    End
		says   string
		resets uint64
	}{
		{Stopped, "server has stopped", 0},
		{Broken, "server is cut off", 1},
		{Anew, "server connects anew", 1},
		{Broken, "server is cut off", 2},
	} {
		before := strings.Count(a.log.String(), c.says)
		a.Expect("b", c.end)
		b.Reconnect("a")
		eventually(t, "there is a new pair", func() bool { return ups(a) == i+2 && ups(b) == i+2 })
		if said, resets := strings.Count(a.log.String(), c.says), a.Status()[0].Resets; said != before+1 || resets != c.resets {
			t.Errorf("end %d: %q was said %d times more, %d resets", i, c.says, said-before, resets)
		}
	}
	if resets := b.Status()[0].Resets; resets > 0 {
		t.Errorf("who has ended them all counts %d resets", resets)
	}
}
