package xmppconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// stable is how long a stream must have lasted for the next back-off to begin
// anew.
const stable = 2 * time.Second

// Run keeps a stream up until ctx ends; then it sends what is queued, closes
// the stream and returns nil. Otherwise it returns what trying again cannot
// mend: ErrAuth, ErrPolicy or ErrReplaced. All goroutines have ended when it
// returns.
func Run(ctx context.Context, cfg Config, h Handler) error {
	cfg, account, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	r := runner{cfg: &cfg, account: account, log: cfg.Logger.With("jid", account.Bare().String())}
	for {
		began := time.Now()
		err := r.once(ctx, h)
		if ctx.Err() != nil {
			return nil
		}
		if final := fatal(err, r.loggedIn); final != nil {
			return fmt.Errorf("stream of %s: %w", account.Bare(), final)
		}
		if r.up && time.Since(began) > stable {
			r.failures = 0
		}
		if !r.rest(ctx, err) {
			return nil
		}
	}
}

type runner struct {
	cfg      *Config
	account  stanza.JID
	log      *slog.Logger
	loggedIn bool // there was a stream before
	up       bool // the last attempt had a stream
	failures int  // attempts since the last stable stream
	next     int  // address to try first
}

// once logs in to the first address that answers, and serves that stream to
// its end.
func (r *runner) once(ctx context.Context, h Handler) error {
	r.up = false
	addrs := addresses(ctx, r.cfg, r.account.Domain)
	var all error
	for range addrs {
		addr := addrs[r.next%len(addrs)]
		nc, full, err := login(ctx, r.cfg, r.account, addr)
		if err == nil {
			j, perr := stanza.ParseJID(full)
			if perr != nil {
				nc.Close() //nolint:errcheck // never used
				return perr
			}
			r.loggedIn, r.up = true, true
			if err = newConn(nc, full, j, r.cfg).serve(ctx, h); ctx.Err() == nil {
				r.next++ // another server may be better
			}
			return fmt.Errorf("%s: %w", addr, err)
		}
		r.next++
		all = errors.Join(all, fmt.Errorf("%s: %w", addr, err))
		if ctx.Err() != nil || fatal(err, r.loggedIn) != nil {
			break
		}
	}
	return all
}

// rest waits before the next attempt; false when ctx ended.
func (r *runner) rest(ctx context.Context, err error) bool {
	d := pause(r.failures, rand.Float64())
	r.failures++
	r.log.Warn("stream is down, will try again", "err", err, "after", d)
	if r.cfg.OnRetry != nil {
		r.cfg.OnRetry(err, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
