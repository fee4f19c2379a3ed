package offline

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Collections of an account.
const (
	messages = "offline"       // by arrival (Unix time in microseconds, 8 bytes; see behindAll): the stanza
	usage    = "offline-usage" // under the empty key: number and bytes of messages, 8 bytes each
)

const (
	nsDelay    = "urn:xmpp:delay"
	stampForm  = "2006-01-02T15:04:05.000000Z" // XEP-0082, as exact as the key
	delayEnd   = "'>Offline Storage</delay>"
	pageCount  = 100 // messages that are queued at once
	pageBytes  = 64 << 10
	sweepCount = 1000 // messages that a step of the sweeper removes
	beyond     = 4    // times the limit in bytes, for what comes back from sessions
)

// errFull: the account has as many messages as it may have.
var errFull = errors.New("too many messages are kept")

func keyOf(at uint64) []byte { return binary.BigEndian.AppendUint64(nil, at) }

func micro(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 0)) } //nolint:gosec // not negative

// used is what an account's messages come to.
type used struct{ count, bytes uint64 }

func readUsed(r store.Reader) (u used, err error) {
	u.count, u.bytes, err = store.GetPair(r, usage, nil)
	if errors.Is(err, store.ErrCorrupt) {
		return count(r)
	}
	return u, err
}

func (u used) write(tx store.Tx) error {
	if u.count == 0 {
		return tx.Delete(usage, nil)
	}
	return store.PutPair(tx, usage, nil, u.count, u.bytes)
}

// keep stores a message, or finds that it is stored still. kept is false if there is no such account.
func (m *Module) keep(ctx context.Context, owner stanza.JID, p *module.Passage) (kept bool, err error) {
	if p.Src == nil {
		if at, raw, ours := m.undelay(p.Stanza.Raw); ours {
			if m.faults.forget {
				return true, nil
			}
			return m.takeBack(ctx, owner.Local, at, raw)
		}
	}
	raw, err := m.clean(p)
	if err != nil {
		return false, err
	}
	err = m.opt.Store.Update(ctx, owner.Local, func(tx store.Tx) error {
		if kept, err = m.opt.Exists(tx); err != nil || !kept {
			return err
		}
		return m.add(tx, raw, p.Again, p.Since)
	})
	if err == nil && kept {
		m.metrics.stored.Inc()
	}
	return kept && err == nil, err
}

// clean returns a message as its receiver gets it, without marks of delay that claim to be ours.
func (m *Module) clean(p *module.Passage) ([]byte, error) {
	raw := p.Bytes()
	if !bytes.Contains(raw, []byte(nsDelay)) {
		return raw, nil
	}
	st, err := stanza.One(raw)
	if err != nil {
		return nil, err
	}
	return st.Without(func(el stanza.Element) bool {
		if string(el.Name) != "delay" || string(el.NS) != nsDelay {
			return false
		}
		d := stanza.Parse(st.Get(el.Span))
		d.Next()
		from, _ := d.Attr("from")
		return string(from) == m.opt.Domain
	}), nil
}

// add puts a message behind the others. One that comes back from a session (again) may go beyond the
// account's limits: its sender was told nothing when it was queued, and may be gone, as all are when
// the server stops. The limits of queues are in bytes, and so is the bound of that. One that was taken earlier (since) goes
// before what came later.
func (m *Module) add(tx store.Tx, raw []byte, again bool, since time.Time) error {
	u, err := readUsed(tx)
	if err != nil {
		return err
	}
	full, most := u.count >= uint64(m.opt.Messages), uint64(m.opt.Bytes)
	if again && !m.faults.strict {
		full, most = false, beyond*most
	}
	if full || u.bytes+uint64(len(raw)) > most {
		return errFull
	}
	at := micro(m.opt.Now())
	if since.IsZero() || m.faults.late {
		at, err = behindAll(tx, at)
	} else {
		at, err = m.between(tx, min(at, micro(since)))
	}
	if err != nil {
		return err
	}
	return u.put(tx, at, raw)
}

// behindAll is the key of a message that comes now: behind all others. It is even.
func behindAll(tx store.Tx, now uint64) (at uint64, err error) {
	at = now &^ 1
	behind := func(key []byte) { at = max(at, (binary.BigEndian.Uint64(key)+2)&^1) }
	err = store.ScanReadable(tx, messages, store.Range{Reverse: true}, func(key, _ []byte) bool {
		behind(key)
		return false
	}, func(bad *store.RecordError) { behind(bad.Key) })
	return at, err
}

// between is the key of a message that was taken at a time, and was not kept then. It is odd: those that came then had even ones,
// and a server that has delivered one of them, and was away since, may be about to remove it.
func (m *Module) between(tx store.Tx, at uint64) (uint64, error) {
	if !m.faults.sameKeys {
		at |= 1
	}
	for ; ; at += 2 {
		_, err := tx.Get(messages, keyOf(at))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return at, nil
		case err != nil && !unreadable(err):
			return 0, err
		}
	}
}

func (u used) put(tx store.Tx, at uint64, raw []byte) error {
	u.count++
	u.bytes += uint64(len(raw))
	if err := u.write(tx); err != nil {
		return err
	}
	return tx.Put(messages, keyOf(at), raw)
}

// takeBack stores a message again that was delivered from here and came back, in its old place. It
// is not held against the account's limits.
func (m *Module) takeBack(ctx context.Context, owner string, at uint64, raw []byte) (kept bool, err error) {
	queued, unlock := m.spare(owner, at)
	defer unlock()
	m.unhold(owner, at)
	err = m.opt.Store.Update(ctx, owner, func(tx store.Tx) error {
		if kept, err = m.opt.Exists(tx); err != nil || !kept {
			return err
		}
		old, err := tx.Get(messages, keyOf(at))
		switch {
		case errors.Is(err, store.ErrNotFound) && queued && m.opt.Claims != nil && !m.faults.putBack:
			return nil // nobody here has removed it: another server has delivered it
		case errors.Is(err, store.ErrNotFound) && at <= micro(m.opt.Now()):
			u, err := readUsed(tx)
			if err != nil {
				return err
			}
			return u.put(tx, at, raw)
		case err == nil && bytes.Equal(old, raw):
			return nil
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		return m.add(tx, raw, true, time.Time{}) // a forged time
	})
	return kept && err == nil, err
}

// remove takes messages away; those that aren't there are no error. With the last one goes the claim, if it is
// mine: over reports that.
func (m *Module) remove(ctx context.Context, owner string, ats []uint64, mine claim) (over bool, err error) {
	if len(ats) == 0 {
		return false, nil
	}
	err = m.opt.Store.Update(ctx, owner, func(tx store.Tx) error {
		over = false
		u, err := readUsed(tx)
		if err != nil {
			return err
		}
		for _, at := range ats {
			raw, err := tx.Get(messages, keyOf(at))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil && !unreadable(err) {
				return err
			}
			u.count -= min(u.count, 1)
			u.bytes -= min(u.bytes, uint64(len(raw)))
			if err := errors.Join(tx.Delete(messages, keyOf(at)), tx.Delete(reported, keyOf(at))); err != nil {
				return err
			}
		}
		if u.count == 0 && mine != (claim{}) {
			c, err := holder(tx)
			if err != nil {
				return err
			}
			if over = c == mine; over {
				if err := tx.Delete(claims, nil); err != nil {
					return err
				}
			}
		}
		return u.write(tx)
	})
	return over && err == nil, err
}

// entry is a message as it is kept.
type entry struct {
	at  uint64
	raw []byte
}

// look is what a drain sees of an account: at most a page of messages, and at least one if there is one.
type look struct {
	page    []entry
	more    bool // others may follow
	holder  claim
	damaged []*store.RecordError
}

// look reads the first messages from a time on that are not held, and who has claimed them.
func (m *Module) look(r store.Reader, owner string, from uint64, found *look) (err error) {
	if m.opt.Claims != nil {
		if found.holder, err = holder(r); err != nil {
			return err
		}
	}
	size := 0
	return m.scan(r, from, func(key, raw []byte) bool {
		if m.isHeld(owner, binary.BigEndian.Uint64(key)) {
			return true
		}
		size += len(raw)
		if found.more = len(found.page) == pageCount || len(found.page) > 0 && size > pageBytes; found.more {
			return false
		}
		found.page = append(found.page, entry{binary.BigEndian.Uint64(key), bytes.Clone(raw)})
		return true
	}, &found.damaged)
}

// delayed is a message with the mark of when it came (XEP-0203).
func (m *Module) delayed(e entry) []byte {
	mark := time.UnixMicro(int64(min(e.at, math.MaxInt64))).UTC().AppendFormat(append([]byte(nil), m.head...), stampForm) //nolint:gosec // bounded
	return stanza.AppendInside(make([]byte, 0, len(e.raw)+len(mark)+40), e.raw, append(mark, delayEnd...))
}

// undelay is the reverse of delayed; ours is false for what it has not made.
func (m *Module) undelay(raw []byte) (at uint64, plain []byte, ours bool) {
	start := bytes.LastIndex(raw, m.head)
	if start < 0 || len(raw) < start+len(m.head)+len(stampForm)+len(delayEnd) {
		return 0, nil, false
	}
	stamp := raw[start+len(m.head):][:len(stampForm)]
	end := start + len(m.head) + len(stampForm)
	t, err := time.Parse(stampForm, string(stamp))
	if err != nil || !bytes.HasPrefix(raw[end:], []byte(delayEnd)) || bytes.LastIndexByte(raw, '<') != end+len(delayEnd) {
		return 0, nil, false
	}
	plain = append(append(plain, raw[:start]...), raw[end+len(delayEnd):]...)
	return micro(t), plain, true
}

// expire removes messages of an account that are too old.
func (m *Module) expire(ctx context.Context, owner string) (more bool, err error) {
	var old []uint64
	err = m.opt.Store.View(ctx, owner, func(r store.Reader) error {
		old = nil
		add := func(key []byte) { old = append(old, binary.BigEndian.Uint64(key)) }
		return store.ScanReadable(r, messages, store.Range{To: keyOf(micro(m.opt.Now().Add(-m.age)))}, func(key, _ []byte) bool {
			add(key)
			return len(old) < sweepCount
		}, func(bad *store.RecordError) { add(bad.Key) })
	})
	if err != nil {
		return false, err
	}
	m.metrics.dropped.WithLabelValues("age").Add(float64(len(old)))
	_, err = m.remove(ctx, owner, old, claim{})
	return len(old) >= sweepCount, err
}
