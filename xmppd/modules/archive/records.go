package archive

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Collections of an account.
const (
	messages = "archive"         // by id: length and JID of the contact, the stanza
	contacts = "archive-contact" // by bare JID of the contact, NUL, id: nothing
	usage    = "archive-usage"   // under the empty key: number of messages, last id
)

const (
	trimCount  = 8 // messages that go for one that comes, while there are too many
	sweepCount = 500
)

// coding makes text of ids, in the same order.
func coding() *base32.Encoding { return base32.HexEncoding.WithPadding(base32.NoPadding) }

func idText(id uint64) string { return coding().EncodeToString(key(id)) }

// parseID is the reverse of idText; ok is false for what is no id.
func parseID(s string) (id uint64, ok bool) {
	b, err := coding().DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	id = binary.BigEndian.Uint64(b)
	return id, idText(id) == s
}

func key(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

func contactKey(contact stanza.JID, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(contact.Bare().String()), 0), id)
}

func micro(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 0)) } //nolint:gosec // not negative

// record is an archived message.
type record struct {
	id   uint64
	with stanza.JID // the other side
	raw  []byte
}

func (r *record) bytes() []byte {
	with := r.with.String()
	out := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(with)+len(r.raw)), uint16(len(with))) //nolint:gosec // at most 3071
	return append(append(out, with...), r.raw...)
}

func parseRecord(k, v []byte) (r record, err error) {
	bad := fmt.Errorf("%w: %s %x", store.ErrCorrupt, messages, k)
	if len(k) != 8 || len(v) < 2 || len(v) < 2+int(binary.BigEndian.Uint16(v)) {
		return r, bad
	}
	n := 2 + int(binary.BigEndian.Uint16(v))
	if r.with, err = stanza.ParseJID(string(v[2:n])); err != nil {
		return r, errors.Join(bad, err)
	}
	r.id, r.raw = binary.BigEndian.Uint64(k), v[n:]
	return r, nil
}

// used is what an archive comes to.
type used struct{ count, last uint64 }

func readUsed(r store.Reader) (u used, err error) {
	u.count, u.last, err = store.GetPair(r, usage, nil)
	if errors.Is(err, store.ErrCorrupt) {
		return count(r)
	}
	return u, err
}

// count finds out what can't be read. Ids of removed messages behind the last are forgotten with it,
// but the time, which ids follow, has passed them.
func count(r store.Reader) (u used, err error) {
	add := func(k []byte) { u.count, u.last = u.count+1, binary.BigEndian.Uint64(k) }
	err = store.ScanReadable(r, messages, store.Range{}, func(k, _ []byte) bool {
		add(k)
		return true
	}, func(bad *store.RecordError) { add(bad.Key) })
	return u, err
}

func (u used) write(tx store.Tx) error {
	return store.PutPair(tx, usage, nil, u.count, u.last)
}

// add archives a message. It is on the disk when add returns. kept is false if there is no such account.
func (m *Module) add(ctx context.Context, owner, with stanza.JID, raw []byte, b *session.Batch) (id uint64, kept bool, err error) {
	b.Block() // for the disk
	if m.faults.early {
		return micro(m.opt.Now()), true, nil
	}
	trimmed := 0
	err = m.opt.Store.Update(ctx, owner.Local, func(tx store.Tx) error {
		trimmed = 0
		if kept, err = m.opt.Exists(tx); err != nil || !kept {
			return err
		}
		u, err := readUsed(tx)
		if err != nil {
			return err
		}
		if m.faults.reused && u.count == 0 {
			u.last = 0
		}
		id = max(micro(m.opt.Now()), u.last+1)
		u.count, u.last = u.count+1, id
		r := record{id, with, raw}
		if err := tx.Put(messages, key(id), r.bytes()); err != nil {
			return err
		}
		if err := tx.Put(contacts, contactKey(with, id), nil); err != nil {
			return err
		}
		if u.count > uint64(m.opt.Messages) {
			if trimmed, err = m.oldest(tx, store.Range{}, min(trimCount, int(u.count)-m.opt.Messages)); err != nil {
				return err
			}
			u.count -= uint64(trimmed)
		}
		return u.write(tx)
	})
	if err != nil {
		return 0, false, fmt.Errorf("archive message of %s: %w", owner, err)
	}
	if kept {
		m.archived.Inc()
		m.removed.WithLabelValues("count").Add(float64(trimmed))
	}
	return id, kept, nil
}

// oldest removes the first n messages of a range, and the damaged ones among them, and tells how many
// there were. Of a damaged one the contact isn't known: its id stays in the index, where it finds nothing.
func (m *Module) oldest(tx store.Tx, rng store.Range, n int) (removed int, err error) {
	var old []record
	var bad error
	err = store.ScanReadable(tx, messages, rng, func(k, v []byte) bool {
		var r record
		if r, bad = parseRecord(k, v); bad == nil {
			old = append(old, r)
		}
		return bad == nil && len(old) < n
	}, func(e *store.RecordError) { old = append(old, record{id: binary.BigEndian.Uint64(e.Key)}) })
	if err = errors.Join(bad, err); err != nil {
		return 0, err
	}
	for _, r := range old {
		if err := tx.Delete(messages, key(r.id)); err != nil {
			return 0, err
		}
		if m.faults.loose || r.with == (stanza.JID{}) {
			continue
		}
		if err := tx.Delete(contacts, contactKey(r.with, r.id)); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}

// expire removes messages of an account that are too old.
func (m *Module) expire(ctx context.Context, owner string) (more bool, err error) {
	removed := 0
	before := store.Range{To: key(micro(m.opt.Now().Add(-m.age)))}
	old := false
	err = m.opt.Store.View(ctx, owner, func(r store.Reader) error {
		return store.ScanReadable(r, messages, before, func(_, _ []byte) bool { old = true; return false },
			func(*store.RecordError) { old = true })
	})
	if err != nil || !old {
		return false, err
	}
	err = m.opt.Store.Update(ctx, owner, func(tx store.Tx) error {
		u, err := readUsed(tx)
		if err != nil {
			return err
		}
		if removed, err = m.oldest(tx, before, sweepCount); err != nil {
			return err
		}
		u.count -= min(u.count, uint64(removed))
		return u.write(tx)
	})
	m.removed.WithLabelValues("age").Add(float64(removed))
	return removed >= sweepCount, err
}

// get returns one message; ok is false if it is not there.
func get(r store.Reader, id uint64) (rec record, ok bool, err error) {
	v, err := r.Get(messages, key(id))
	if errors.Is(err, store.ErrNotFound) {
		return rec, false, nil
	}
	if err != nil {
		return rec, false, err
	}
	rec, err = parseRecord(key(id), v)
	rec.raw = bytes.Clone(rec.raw)
	return rec, err == nil, err
}
