package c2s

import (
	"context"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/throttle"
)

// Pace limits what a client may send once its resource is bound. Who sends more is read more
// slowly, never thrown out. Zero values stand for the defaults given.
type Pace struct {
	Stanzas, AccountStanzas int           // a second, of a session and of all sessions of an account; 0: 20,000 and 40,000
	Bytes, AccountBytes     int           // a second, the same; 0: 32 MiB and 64 MiB
	Burst                   time.Duration // what may come at once, in time at that rate; 0: 5 s
	Stanza                  time.Duration // from the first byte of a stanza to its last; 0: 60 s
}

func (p *Pace) withDefaults() {
	p.Stanzas = orDefault(p.Stanzas, 20_000)
	p.AccountStanzas = orDefault(p.AccountStanzas, 2*p.Stanzas)
	p.Bytes = orDefault(p.Bytes, 32<<20)
	p.AccountBytes = orDefault(p.AccountBytes, 2*p.Bytes)
	if p.Burst == 0 {
		p.Burst = 5 * time.Second
	}
	if p.Stanza == 0 {
		p.Stanza = time.Minute
	}
}

func (p *Pace) rate(perSecond int) throttle.Rate {
	return throttle.Rate{PerSecond: int64(perSecond), Burst: int64(float64(perSecond) * p.Burst.Seconds())}
}

// Spend counts what has come in on the stream and returns how long it should not be read; Pause
// waits that long. Accounts of the cluster (Config.Trusted) have no limit: their streams carry what
// the server's own cluster lives on.
func (st *Stream) Spend(stanzas, bytes int) time.Duration {
	user := st.sess.User()
	if user == nil || st.trusted || st.srv.cfg.Faults.NoPace {
		return 0
	}
	p := &st.srv.settings.Load().Pace
	now := st.srv.now()
	var longest time.Duration
	for _, m := range [...]struct {
		limit string
		meter *throttle.Meter
		n     int
		rate  int
	}{
		{"stanzas", &st.sess.Sent.Stanzas, stanzas, p.Stanzas},
		{"bytes", &st.sess.Sent.Bytes, bytes, p.Bytes},
		{"account_stanzas", &user.Sent.Stanzas, stanzas, p.AccountStanzas},
		{"account_bytes", &user.Sent.Bytes, bytes, p.AccountBytes},
	} {
		if wait := m.meter.Spend(int64(m.n), now, p.rate(m.rate)); wait > 0 {
			st.srv.metrics.paused.WithLabelValues(m.limit).Inc()
			longest = max(longest, wait)
		}
	}
	return longest
}

// Pause waits as Spend has said, or until somebody ends the session or ctx ends.
func (st *Stream) Pause(ctx context.Context, d time.Duration) {
	const look = 100 * time.Millisecond // how late an end may be noticed
	for end := time.Now().Add(d); d > 0 && st.sess.Out.Reason() == nil; d = time.Until(end) {
		t := time.NewTimer(min(d, look))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// slowPoke is what a client is told whose stanza never ends.
func (p *Pace) slowPoke() error {
	return &router.StreamError{Condition: "policy-violation", Text: "a stanza has to be complete " + p.Stanza.String() + " after it began"}
}
