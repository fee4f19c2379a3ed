package session

import (
	"cmp"
	"context"
	"slices"
	"strconv"
)

// Debt is a stanza of a client that acknowledges stanzas (XEP-0198), which has been routed and waits: it is not acknowledged
// before Paid is called. The zero value is that of any other stanza.
type Debt struct {
	s *Session
	n uint32 // Session.In before it was counted
}

// Later notes that the stanza which is being routed waits for something. The goroutine that routes the session's stream calls it.
func (s *Session) Later() Debt {
	o := &s.Out
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.acks()
	if a == nil || a.policy.Faults.AckEarly {
		return Debt{}
	}
	a.open = append(a.open, s.In)
	return Debt{s, s.In}
}

// Paid notes that the stanza has been handled: it is in the queue of its receiver, stored, or answered. A client that has
// asked meanwhile is told. It is safe for concurrent use.
func (d Debt) Paid(b *Batch) {
	if d.s == nil {
		return
	}
	o := &d.s.Out
	o.mu.Lock()
	a := o.acks()
	tell := a.pay(d.n)
	owe := false
	if tell && !o.closed && !a.cut {
		owe = o.queue(appendAck(nil, a.wants-a.base), nil, nil, nil)
	}
	o.mu.Unlock()
	b.owe(o, owe)
}

// pay removes a stanza from those that wait. It reports whether all that the client has asked for is handled now.
func (a *acks) pay(n uint32) (tell bool) {
	first := a.open[0] // counted modulo 2^32
	i, _ := slices.BinarySearchFunc(a.open, n-first, func(m, want uint32) int { return cmp.Compare(m-first, want) })
	if i == 0 {
		a.open = a.open[1:]
	} else {
		a.open = slices.Delete(a.open, i, i+1)
	}
	if len(a.open) == 0 {
		if a.open = nil; a.quiet != nil {
			close(a.quiet)
			a.quiet = nil
		}
	}
	tell = a.owes && a.handled(a.wants) == a.wants-a.base
	a.owes = a.owes && !tell
	return tell
}

// handled is how many of the client's stanzas, of which in have been routed, are acknowledged: those before the first that waits.
func (a *acks) handled(in uint32) uint32 {
	if len(a.open) > 0 && a.open[0]-a.base < in-a.base {
		in = a.open[0]
	}
	return in - a.base
}

// AwaitHandled waits until nothing waits any more of what the client has sent, or ctx ends. Whoever goes on with a session
// calls it, so that what the client sends next does not overtake that.
func (o *Outbox) AwaitHandled(ctx context.Context) {
	o.mu.Lock()
	a := o.acks()
	if a == nil || len(a.open) == 0 || a.policy.Faults.LeaveOpen {
		o.mu.Unlock()
		return
	}
	if a.quiet == nil {
		a.quiet = make(chan struct{})
	}
	quiet := a.quiet
	o.mu.Unlock()
	select {
	case <-quiet:
	case <-ctx.Done():
	}
}

// AppendAck appends the acknowledgement of what the client has sent, for a session that has enabled
// it; nothing for others. Where some of that waits yet, the client is told once more when it has been handled. The goroutine
// that routes the session's stream calls it.
func (s *Session) AppendAck(dst []byte) []byte {
	s.Out.mu.Lock()
	defer s.Out.mu.Unlock()
	a := s.Out.acks()
	if a == nil {
		return dst
	}
	h := a.handled(s.In)
	a.owes, a.wants = h != s.In-a.base, s.In
	return appendAck(dst, h)
}

func appendAck(dst []byte, h uint32) []byte {
	dst = append(dst, "<a xmlns='"+NSAck+"' h='"...)
	return append(strconv.AppendUint(dst, uint64(h), 10), "'/>"...)
}

// Handled is how many stanzas of the client have been routed since EnableAcks, modulo 2^32, those that wait among them: they
// are handled whatever becomes of the session, unless the server dies. ok is false without acknowledgements. The goroutine that routes the session's stream calls it, or whoever has claimed
// the session.
func (s *Session) Handled() (h uint32, ok bool) {
	s.Out.mu.Lock()
	defer s.Out.mu.Unlock()
	a := s.Out.acks()
	if a == nil {
		return 0, false
	}
	return s.In - a.base, true
}
