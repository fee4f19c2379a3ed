package exchange

import (
	"errors"
	"slices"

	"github.com/rosterdb/rosterdb/xmppd/cluster/directory"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// maxSettled bounds how many stanzas one answer of the directory is used for.
const maxSettled = 64

// maxAsked bounds what waits for answers of the directory in one lane, in bytes.
const maxAsked = 8 << 20

// wait lets a stanza wait for an answer of the directory. It is not acknowledged to its client meanwhile: it is in the memory of this
// server only, and nobody has it who might keep it. mu must be held.
func (l *lane) wait(account string, waits []stored, p *module.Passage) (taken bool, err error) {
	raw := p.Bytes()
	if p.Stamped {
		raw = clone(raw)
	}
	if l.bytes+len(raw) > maxAsked {
		return true, &module.Error{Type: "wait", Condition: "resource-constraint", Text: "too much waits until it is known where its receivers are"}
	}
	l.bytes += len(raw)
	s := stored{to: p.To.String(), hops: p.Hops, raw: raw}
	if p.Src != nil {
		s.debt = p.Src.Later()
	}
	l.asked[account] = append(waits, s)
	return true, nil
}

// waitAgain lets a stanza that a server did not get wait for where its receiver is now, so that what comes for that account
// meanwhile waits behind it. It has been taken before: no bound refuses it.
func (x *Exchange) waitAgain(s stored) {
	account := bare(s.to)
	l := x.lane(account)
	l.mu.Lock()
	_, asked := l.asked[account]
	l.bytes += len(s.raw)
	l.asked[account] = append(l.asked[account], s)
	l.mu.Unlock()
	if !asked {
		x.question(l, account, 1)
	}
}

// question asks the directory where an account is, for the first n stanzas that wait to know it: what comes later may come
// behind a change that the answer does not tell of.
func (x *Exchange) question(l *lane, account string, n int) {
	x.counts.Asked.Add(1)
	x.dir.Ask(account, func(e directory.Entry) {
		l.add(func(b *session.Batch) { x.answered(l, account, n, e, b) })
	})
}

// answered sends on the first n stanzas that have waited for an answer, and has it asked anew where more wait: each of them
// may have had to wait for disks of several servers.
func (x *Exchange) answered(l *lane, account string, n int, e directory.Entry, b *session.Batch) {
	for n > 0 {
		waits := l.due(account, n)
		l.waiting.Add(int64(len(waits)))
		for i := range waits {
			x.settle(&waits[i], e, b)
			l.waiting.Add(-1)
			if !waits[i].since.IsZero() {
				x.returning.end()
			}
		}
		if n = l.left(account); n > 0 && !x.cfg.Faults.KeepAnswer {
			x.question(l, account, n)
			return
		}
	}
}

// due takes the first n stanzas that wait for where an account is. What comes waits on behind them.
func (l *lane) due(account string, n int) []stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	waits := l.asked[account]
	first := slices.Clone(waits[:n])
	clear(waits[:n])
	l.asked[account] = waits[n:]
	for i := range first {
		l.bytes -= len(first[i].raw)
	}
	return first
}

// left counts the stanzas that the next answer may be used for; where there is none, no more waits for the account.
func (l *lane) left(account string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.asked[account])
	if n == 0 {
		delete(l.asked, account)
	}
	return min(n, maxSettled)
}

// settle sends a stanza on, knowing where its receiver is.
func (x *Exchange) settle(s *stored, e directory.Entry, b *session.Batch) {
	defer s.debt.Paid(b)
	p, err := s.passage(b)
	if err != nil {
		x.log.Error("a stanza that has waited can't be read", "error", err)
		return
	}
	taken, err := x.forward(x.choose(e, p), p, false) // Hop would overtake what waits on
	var se *module.Error
	switch {
	case errors.As(err, &se):
		x.cfg.Router.Undelivered(x.ctx, p, se)
	case !taken:
		p.Here = true
		x.cfg.Router.Arrive(x.ctx, p)
	}
}
