package appclient

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// answer gives the client a stanza.
func answer(t *testing.T, h handler, format string, args ...any) {
	t.Helper()
	st, _, err := stanza.NewScanner(stanza.Limits{}).Next(fmt.Appendf(nil, format, args...))
	if err != nil || st == nil {
		t.Fatal(err)
	}
	h.Stanza(nil, st)
}

// joined puts increments of 1, 2, 3, … behind a write that is under way.
func joined(t *testing.T, n int) (h handler, shares []*share, c *call) {
	h, _, _ = offline(t)
	e := h.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range n {
		s := &share{delta: int64(i + 1), done: make(chan struct{}, 1)}
		e.join(counter{"r", "n"}, s)
		if i > 0 && s.write != c {
			t.Fatal("increments of one counter do not share a write")
		}
		c, shares = s.write, append(shares, s)
	}
	return h, shares, c
}

// sent lets the write of the increments go out.
func sent(t *testing.T, h handler, c *call) {
	answer(t, h, `<message from='dn1@localhost/store'><received xmlns='urn:xmpp:receipts' id='r1'/><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='1' code='ok' revision='1'><item code='ok' version='1'/></done></results></message>`)
	h.engine.fill(nil, &h.out, 0)
	if c.state != waitAnswer {
		t.Fatal("the increments were not sent")
	}
}

func counted(t *testing.T, h handler, c *call, item string) {
	answer(t, h, `<message from='dn1@localhost/store'><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='%d' code='ok' revision='2'><item %s/></done></results></message>`, c.last, item)
}

var errGone = errors.New("the caller has gone")

// TestMergedValues: the callers of one write see the values between.
func TestMergedValues(t *testing.T) {
	h, shares, c := joined(t, 4)
	sent(t, h, c)
	if d := c.write.Mutations[0].Delta; d != 1+2+3+4 {
		t.Fatalf("adds %d", d)
	}
	counted(t, h, c, "code='ok' version='2' count='110'")
	for i, want := range []int64{101, 103, 106, 110} {
		if s := shares[i]; len(s.done) != 1 || s.err != nil || s.value != want {
			t.Errorf("increment %d: value %d, %v; want %d", i, s.value, s.err, want)
		}
	}
}

// TestMergedLeaveBefore: who leaves before the write is sent takes his part along.
func TestMergedLeaveBefore(t *testing.T) {
	h, shares, c := joined(t, 3)
	h.engine.leaveShare(shares[1], errGone)
	if !errors.Is(shares[1].err, ErrUnavailable) || !errors.Is(shares[1].err, errGone) {
		t.Errorf("who left was told %v", shares[1].err)
	}
	sent(t, h, c)
	if d := c.write.Mutations[0].Delta; d != 1+3 {
		t.Errorf("adds %d", d)
	}
	counted(t, h, c, "code='ok' version='2' count='4'")
	if shares[0].value != 1 || shares[2].value != 4 {
		t.Errorf("values %d, %d", shares[0].value, shares[2].value)
	}
}

// TestMergedLeaveAfter: who leaves later does not know, and can ask; the write is
// carried on for the others.
func TestMergedLeaveAfter(t *testing.T) {
	h, shares, c := joined(t, 2)
	sent(t, h, c)
	h.engine.leaveShare(shares[0], errGone)
	id, ok := OpOf(shares[0].err)
	if !ok || id.seq != c.write.Seq {
		t.Errorf("who left was told %v", shares[0].err)
	}
	counted(t, h, c, "code='ok' version='2' count='3'")
	if s := shares[1]; len(s.done) != 1 || s.err != nil || s.value != 3 {
		t.Errorf("who stayed: value %d, %v", s.value, s.err)
	}
	if ses := h.engine.parts[0].session; ses.floor > id.seq {
		t.Error("the floor passed a write that somebody may ask after")
	}
}

// TestMergedAllLeave: with nobody left the write ends.
func TestMergedAllLeave(t *testing.T) {
	h, shares, c := joined(t, 2)
	for _, s := range shares {
		h.engine.leaveShare(s, errGone)
	}
	if c.state != finished || !errors.Is(shares[0].err, ErrUnavailable) || !errors.Is(shares[1].err, ErrUnavailable) {
		t.Errorf("%v, %v", shares[0].err, shares[1].err)
	}
	if len(h.engine.merging) != 0 {
		t.Error("it can still be joined")
	}
}

// TestMergedConflict: a sum that does not fit is no reason to refuse the parts.
func TestMergedConflict(t *testing.T) {
	h, shares, c := joined(t, 3)
	sent(t, h, c)
	answer(t, h, `<message from='dn1@localhost/store'><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='%d' code='conflict' revision='2'><item code='conflict' version='2' count='5'/></done></results></message>`, c.last)
	e := h.engine
	var alone []int64
	for c := range e.calls() {
		if c.kind == writeCall {
			alone = append(alone, c.write.Mutations[0].Delta)
		}
	}
	if len(alone) != 3 || len(shares[0].done) != 0 {
		t.Errorf("under way now: %v", alone)
	}
}
