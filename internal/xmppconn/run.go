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
	r := runner{cfg: &cfg, account: account, log: cfg.Logger.With("jid", account.Bare().String()), next: cfg.place.first()}
	defer cfg.place.leave()
	for {
		began := time.Now()
		err := r.once(ctx, h)
		if ctx.Err() != nil {
			return nil
		}
		if final := fatal(err, r.loggedIn); final != nil && !(cfg.faults.fights && errors.Is(final, ErrReplaced)) {
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
	loggedIn bool   // there was a stream before
	up       bool   // the last attempt had a stream
	failures int    // attempts since the last stable stream
	slow     int    // attempts since the last login that were given up
	next     int    // address to try first
	sent     string // address that the last stream's server has sent this client to; "": none
}

// once logs in to the first address that answers, and serves that stream to
// its end.
func (r *runner) once(ctx context.Context, h Handler) error {
	r.up = false
	addrs := addresses(ctx, r.cfg, r.account.Domain)
	tries := len(addrs)
	sent := r.sent
	if r.sent = ""; sent != "" {
		tries++
	}
	var all error
	for range tries {
		addr := addrs[r.next%len(addrs)]
		begin := trail{time: tryTime(r.cfg.DialTimeout, r.slow, rand.Float64())} //nolint:gosec // no secret
		if sent != "" {
			addr, sent, begin.hops = sent, "", 1
		} else {
			r.next++
		}
		if !r.cfg.place.take(addr, begin.hops > 0, &r.cfg.faults) {
			continue
		}
		nc, full, at, err := r.reach(ctx, addr, begin)
		if err == nil {
			r.slow = 0
			err = r.serve(ctx, h, nc, full, at)
			r.cfg.place.leave()
			return err
		}
		r.cfg.place.leave()
		all = errors.Join(all, err)
		if ctx.Err() != nil || fatal(err, r.loggedIn) != nil {
			break
		}
	}
	if all == nil {
		return errNoOther
	}
	if errors.Is(all, errSlow) && !r.cfg.faults.hasty {
		r.slow++
	}
	return all
}

// What keeps the two streams of a pair at two servers.
var (
	errNoOther = errors.New("there is no other server than that of the other stream")
	errSame    = errors.New("this is the server of the other stream")
)

// reach logs in to the server at addr, or to one that it sends the client to.
func (r *runner) reach(ctx context.Context, addr string, t trail) (nc *byteConn, full, at string, err error) {
	for {
		if nc, full, err = login(ctx, r.cfg, r.account, addr, &t); err == nil {
			return nc, full, addr, nil
		}
		if addr, err = r.onward(addr, err, &t); err != nil {
			return nil, "", "", err
		}
	}
}

// onward is where to go on when a login at addr has failed so, or why that is the end of the attempt.
func (r *runner) onward(addr string, err error, t *trail) (next string, end error) {
	place, faults := r.cfg.place, &r.cfg.faults
	var to *elsewhere
	switch {
	case errors.Is(err, errSame) && t.by != "" && place.take(t.by, false, faults): // by another of its names
		next, t.by, t.stays = t.by, "", true
		return next, nil
	case !errors.As(err, &to):
		err = fmt.Errorf("%s: %w", addr, err)
		if t.hops > 0 && errors.Is(err, ErrPolicy) {
			// A redirect can lead astray; the servers of the configuration are there still.
			err = errors.New("redirected to " + err.Error())
		}
		return "", err
	case t.stays:
		return "", fmt.Errorf("%s: %w", addr, errNoOther)
	case !place.take(to.addr, true, faults):
		t.stays = true // a server keeps who was sent to it
		return addr, nil
	}
	if circle := t.follow(to.addr, faults); circle != nil {
		return "", fmt.Errorf("%s: %w", addr, circle)
	}
	r.log.Debug("sent to another server", "by", addr, "to", to.addr)
	t.by = addr
	return to.addr, nil
}

// serve has h served to the end of the stream.
func (r *runner) serve(ctx context.Context, h Handler, nc *byteConn, full, at string) error {
	j, err := stanza.ParseJID(full)
	if err != nil {
		nc.Close() //nolint:errcheck // never used
		return err
	}
	r.loggedIn, r.up = true, true
	c := newConn(nc, full, j, r.cfg)
	c.at = at
	err = c.serve(ctx, h)
	var e *StreamError
	if errors.As(err, &e) && e.Condition == "see-other-host" {
		if to, bad := hostAddr(e.Host, r.cfg.DirectTLS); bad == nil && to != at {
			r.sent = to
		}
	}
	return fmt.Errorf("%s: %w", at, err)
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
