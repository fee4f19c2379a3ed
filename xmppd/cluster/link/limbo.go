package link

import "time"

// limbo is what was written to a stream that is gone, and was not acknowledged.
type limbo struct {
	stream, incarnation uint64 // of the process that had it
	unacked             []batch
	first               uint64 // frames of the stream before unacked
	at                  time.Time
	over                *time.Timer
}

// apart are the times that frames come back with, so that storage can tell them from each other.
const apart = 4 * time.Microsecond

// times is when the frames that a pair leaves behind were sent, as near as is known: one after the other, all before it ended.
func times(end time.Time, batches ...[]batch) time.Time {
	n := 0
	for _, list := range batches {
		n += framesOf(list)
	}
	return end.Add(-time.Duration(n) * apart)
}

func framesOf(list []batch) (n int) {
	for i := range list {
		n += list[i].frames
	}
	return n
}

// keep takes over what the peer has not acknowledged. What is in limbo already comes first: it is
// from a stream before, and has never been answered for.
func (p *peer) keep(out *outgoing, unacked []batch, first uint64, at time.Time) {
	p.giveUp()
	if len(unacked) == 0 {
		return
	}
	p.limbo = &limbo{out.stream, out.incarnation, unacked, first, at, time.NewTimer(p.m.cfg.Doubt)}
}

// limboOver is when nobody waits for the answer any more.
func (p *peer) limboOver() <-chan time.Time {
	if p.limbo == nil {
		return nil
	}
	return p.limbo.over.C
}

// question is what the peer is asked for: the stream whose end it has to tell, and the process that had it.
func (p *peer) question() (stream, incarnation uint64) {
	if p.limbo == nil || p.m.cfg.Faults.NoAsking {
		return 0, 0
	}
	return p.limbo.stream, p.limbo.incarnation
}

// answered takes note of what the peer has said about the stream before.
func (p *peer) answered(out *outgoing) {
	l := p.limbo
	if l == nil {
		return
	}
	if out.incarnation != l.incarnation && !p.m.cfg.Faults.AnyProcess || out.asked != l.stream {
		p.giveUp()
		return
	}
	// A peer that does not know the stream has taken nothing from it.
	p.limbo = nil
	l.over.Stop()
	p.returnFrom(l, out.before, false)
}

// giveUp gives back what is in limbo as doubtful.
func (p *peer) giveUp() {
	l := p.limbo
	if l == nil {
		return
	}
	p.limbo = nil
	l.over.Stop()
	p.returnFrom(l, l.first, true)
}

// returnFrom gives back the frames behind the first `received` ones of the stream.
func (p *peer) returnFrom(l *limbo, received uint64, doubt bool) {
	place, at := l.first, l.at
	for i := range l.unacked {
		b := &l.unacked[i]
		skip := 0
		if received > place {
			skip = int(min(received-place, uint64(b.frames))) //nolint:gosec // of a batch
		}
		at = p.back(b.b, skip, at, doubt)
		place += uint64(b.frames)
	}
}

// back gives the frames of a batch, but for the first ones, back to their channels. It returns the time of the next one.
func (p *peer) back(b []byte, skip int, at time.Time, doubt bool) time.Time {
	for len(b) > 0 {
		ch, payload, n, err := cutFrame(b)
		if err != nil || n == 0 {
			return at // never: they were made here
		}
		b = b[n:]
		sent := at
		at = at.Add(apart)
		if skip--; skip >= 0 {
			continue
		}
		if f := p.m.handlers[ch].Undelivered; f != nil {
			p.counts.returned.Add(1)
			f(p.name, payload, sent, doubt)
		}
	}
	return at
}
