package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

const (
	pageBytes  = 1 << 20 // of the messages of an answer, but for its first
	countLimit = 10_000  // messages that are counted for an answer
)

// page is an answer.
type page struct {
	records  []record             // in the order of ids
	complete bool                 // there are no more in the direction of the query
	counted  bool                 // count and index are known
	count    int                  // messages that match
	index    int                  // of the first record among them
	damaged  []*store.RecordError // left out
}

// query answers with messages, then with what they are (XEP-0313 section 4).
func (m *Module) query(ctx context.Context, iq *module.IQ) ([]byte, error) {
	q, err := parseQuery(iq.Payload(), m.opt.Page)
	if err != nil {
		return nil, err
	}
	var pg page
	err = m.opt.Store.View(ctx, iq.Target.Local, func(r store.Reader) error {
		pg = page{}
		return q.run(r, &pg)
	})
	if err != nil {
		return nil, err
	}
	for _, bad := range pg.damaged {
		m.opt.Log.Error("an archived message is damaged and is left out; restore it from a backup", "account", iq.Target, "error", bad)
	}
	list := pg.records
	if q.flip {
		list = slices.Clone(list)
		slices.Reverse(list)
	}
	for i := range list {
		iq.Batch.Send(iq.Src, list[i].result(iq, q.queryID), nil, nil, nil)
	}
	return pg.fin(), nil
}

// each calls f for the ids of a range that match, in order or in reverse, until it returns false, and
// damaged for those that it leaves out.
func (q *query) each(r store.Reader, lo, hi uint64, reverse bool, f func(id uint64) bool, damaged func(*store.RecordError)) error {
	if lo >= hi {
		return nil
	}
	if q.byIDs {
		ids := slices.Clone(q.ids)
		slices.Sort(ids)
		ids = slices.Compact(ids)
		if reverse {
			slices.Reverse(ids)
		}
		for _, id := range ids {
			if id >= lo && id < hi && !f(id) {
				return nil
			}
		}
		return nil
	}
	collection, rng := messages, store.Range{From: key(lo), To: key(hi), Reverse: reverse}
	if q.with != (stanza.JID{}) {
		collection = contacts
		rng.From, rng.To = contactKey(q.with, lo), contactKey(q.with, hi)
	}
	return store.ScanReadable(r, collection, rng, func(k, _ []byte) bool { return f(binary.BigEndian.Uint64(k[len(k)-8:])) }, damaged)
}

// match returns a message if it is one that is asked for.
func (q *query) match(r store.Reader, id uint64) (rec record, ok bool, err error) {
	rec, ok, err = get(r, id)
	if err != nil || !ok || q.with == (stanza.JID{}) {
		return rec, ok, err
	}
	return rec, rec.with == q.with || q.with.Resource == "" && rec.with.Bare() == q.with, nil
}

// run finds the messages of the page.
func (q *query) run(r store.Reader, pg *page) error {
	for _, id := range q.must {
		if _, ok, err := get(r, id); err != nil || !ok {
			return errors.Join(err, notFound())
		}
	}
	lo, hi := q.lo, q.hi
	if q.after != 0 {
		lo = max(lo, q.after+1)
	}
	if q.before != 0 {
		hi = min(hi, q.before)
	}
	skip, size := max(q.index, 0), 0
	var bad error
	pg.complete = true
	damaged := func(e *store.RecordError) { pg.damaged = append(pg.damaged, e) }
	err := q.each(r, lo, hi, q.backward, func(id uint64) bool {
		rec, ok, err := q.match(r, id)
		if e := (*store.RecordError)(nil); errors.As(err, &e) {
			damaged(e)
			return true
		}
		if err != nil || !ok {
			bad = err
			return err == nil
		}
		if skip > 0 {
			skip--
			return true
		}
		size += len(rec.raw)
		if len(pg.records) == q.max || len(pg.records) > 0 && size > pageBytes {
			pg.complete = false
			return false
		}
		pg.records = append(pg.records, rec)
		return true
	}, damaged)
	if err := errors.Join(bad, err); err != nil {
		return err
	}
	if q.backward {
		slices.Reverse(pg.records)
	}
	return q.total(r, pg)
}

// total counts what matches, unless that is too much.
func (q *query) total(r store.Reader, pg *page) error {
	if q.with.Resource != "" {
		return nil // only the messages themselves tell
	}
	first := uint64(math.MaxUint64)
	if len(pg.records) > 0 {
		first = pg.records[0].id
	}
	pg.counted = true
	return q.each(r, q.lo, q.hi, false, func(id uint64) bool {
		pg.count++
		if id < first {
			pg.index++
		}
		pg.counted = pg.count <= countLimit
		return pg.counted
	}, func(*store.RecordError) {})
}

// result is a message of the archive on its way to who has asked for it.
func (rec *record) result(iq *module.IQ, queryID string) []byte {
	out := stanza.AppendAttr(make([]byte, 0, len(rec.raw)+512), "from", iq.Target.String())
	out = append([]byte("<message"), out...)
	out = append(stanza.AppendAttr(out, "to", iq.From.String()), "><result xmlns='"+NS+"'"...)
	if queryID != "" {
		out = stanza.AppendAttr(out, "queryid", queryID)
	}
	out = append(stanza.AppendAttr(out, "id", idText(rec.id)), "><forwarded xmlns='"+nsForward+"'><delay xmlns='urn:xmpp:delay'"...)
	out = append(stanza.AppendAttr(out, "stamp", stamp(rec.id)), "/>"...)
	out = stanza.AppendStandalone(out, rec.raw)
	return append(out, "</forwarded></result></message>"...)
}

// stamp is the time of an id (XEP-0082).
func stamp(id uint64) string {
	return time.UnixMicro(int64(min(id, math.MaxInt64))).UTC().Format("2006-01-02T15:04:05.000000Z") //nolint:gosec // bounded
}

// fin ends an answer.
func (pg *page) fin() []byte {
	out := []byte("<fin xmlns='" + NS + "'")
	if pg.complete {
		out = append(out, " complete='true'"...)
	}
	out = append(out, "><set xmlns='"+nsRSM+"'>"...)
	if n := len(pg.records); n > 0 {
		out = append(out, "<first"...)
		if pg.counted {
			out = stanza.AppendAttr(out, "index", strconv.Itoa(pg.index))
		}
		out = append(append(append(out, '>'), idText(pg.records[0].id)...), "</first><last>"...)
		out = append(append(out, idText(pg.records[n-1].id)...), "</last>"...)
	}
	if pg.counted {
		out = append(strconv.AppendInt(append(out, "<count>"...), int64(pg.count), 10), "</count>"...)
	}
	return append(out, "</set></fin>"...)
}

// metadata tells where an archive begins and ends (XEP-0313 section 5).
func (m *Module) metadata(ctx context.Context, iq *module.IQ) ([]byte, error) {
	var ends bytes.Buffer
	err := m.opt.Store.View(ctx, iq.Target.Local, func(r store.Reader) error {
		ends.Reset()
		for _, end := range []struct {
			name    string
			reverse bool
		}{{"start", false}, {"end", true}} {
			err := store.ScanReadable(r, messages, store.Range{Reverse: end.reverse}, func(k, _ []byte) bool {
				id := binary.BigEndian.Uint64(k)
				ends.WriteString("<" + end.name + " id='" + idText(id) + "' timestamp='" + stamp(id) + "'/>")
				return false
			}, func(*store.RecordError) {})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []byte("<metadata xmlns='" + NS + "'>" + ends.String() + "</metadata>"), nil
}
