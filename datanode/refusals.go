package datanode

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the lines about refusals: time between two of one reason and account, and
// how many accounts and reasons have lines of their own at the same time.
const (
	refusalEvery = 10 * time.Second
	maxLines     = 1024
)

// quiet lets a line through each so often, and counts what it held back. Safe for
// concurrent use.
type quiet struct {
	mu   sync.Mutex
	next time.Time
	held int
}

func (q *quiet) pass(now time.Time, every time.Duration) (held int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Before(q.next) {
		q.held++
		return 0, false
	}
	held, q.held, q.next = q.held, 0, now.Add(every)
	return held, true
}

// refusals counts what a node refuses itself, and logs it: the first of each reason and
// account at once, and then one line each refusalEvery, so that what one account does
// hides nothing of another's. Safe for concurrent use.
type refusals struct {
	counts [reasons]atomic.Uint64
	log    *slog.Logger
	faults *faults

	mu    sync.Mutex
	lines map[line]*quiet
	rest  quiet // of those that found no place among the lines
}

type line struct {
	why     reason
	account string // bare JID
}

func (r *refusals) init(log *slog.Logger, f *faults) {
	r.log, r.faults, r.lines = log, f, make(map[line]*quiet)
}

// note counts a refusal of an account. What says what was refused.
func (r *refusals) note(why reason, account, what, text string) {
	r.counts[why].Add(1)
	now := time.Now()
	held, ok := r.lineOf(line{why, account}, now).pass(now, refusalEvery)
	if !ok {
		return
	}
	level := slog.LevelInfo
	if why == refusedAccess || why == refusedSession {
		level = slog.LevelWarn
	}
	r.log.Log(context.Background(), level, "refused", "reason", why.String(), "account", account, "operation", what, "text", text, "more_since_last", held)
}

// lineOf finds the line of an account and reason. Those that were silent for long make
// room for others.
func (r *refusals) lineOf(key line, now time.Time) *quiet {
	if r.faults.OneLine {
		return &r.rest
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.lines[key]
	if q == nil {
		if len(r.lines) >= maxLines {
			r.forget(now)
		}
		if len(r.lines) >= maxLines {
			return &r.rest
		}
		q = new(quiet)
		r.lines[key] = q
	}
	return q
}

// forget drops lines that have nothing to tell. The lock is held.
func (r *refusals) forget(now time.Time) {
	for key, q := range r.lines {
		q.mu.Lock()
		over := now.Sub(q.next) >= refusalEvery || q.held == 0 && !now.Before(q.next)
		q.mu.Unlock()
		if over {
			delete(r.lines, key)
		}
	}
}
