package archive

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a module on a store in memory, where bob archives everything.
type world struct {
	t     testing.TB
	m     *Module
	store store.Store
	now   time.Time
}

func newWorld(t testing.TB, cfg Config, f faults) *world {
	w := &world{t: t, store: storetest.Rerun(storetest.NewMemory("d")), now: time.Unix(1_700_000_000, 0)}
	cfg.Default = always
	w.m = New(Options{
		Config: cfg, Store: w.store, Table: session.NewTable(),
		Exists:     func(store.Reader) (bool, error) { return true, nil },
		InRoster:   func(context.Context, stanza.JID, stanza.JID) (bool, error) { return false, nil },
		Grouped:    func(string) bool { return false },
		Log:        slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(), Now: func() time.Time { return w.now },
	})
	w.m.faults = f
	return w
}

func jid(s string) stanza.JID {
	j, err := stanza.ParseJID(s)
	if err != nil {
		panic(err)
	}
	return j
}

// receive lets bob get a message, and returns the id that it was given.
func (w *world) receive(from, body string) string {
	w.t.Helper()
	st, err := stanza.One([]byte("<message from='" + from + "' to='bob@d'><body>" + body + "</body></message>"))
	if err != nil {
		w.t.Fatal(err)
	}
	p := &module.Passage{From: jid(from), To: jid("bob@d"), Stanza: st, Stamped: true, Batch: new(session.Batch)}
	if err := w.m.received(w.t.Context(), jid("bob@d"), p); err != nil {
		w.t.Fatal(err)
	}
	_, id, _ := strings.Cut(string(p.Stanza.Raw), "id='")
	id, _, _ = strings.Cut(id, "'")
	return id
}

// ask returns the ids of a page.
func (w *world) ask(q *query) (ids []string, pg page) {
	w.t.Helper()
	err := w.store.View(w.t.Context(), "bob", func(r store.Reader) error {
		pg = page{}
		return q.run(r, &pg)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range pg.records {
		ids = append(ids, idText(r.id))
	}
	return ids, pg
}

func (w *world) parse(fields, set string) *query {
	w.t.Helper()
	q, err := parseQuery([]byte("<query xmlns='"+NS+"'><x xmlns='"+nsForm+"'>"+fields+"</x><set xmlns='"+nsRSM+"'>"+set+"</set></query>"), 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return q
}

// index is the ids in the index of contacts.
func (w *world) index() (n int) {
	err := w.store.View(w.t.Context(), "bob", func(r store.Reader) error {
		n = 0
		return r.Scan(contacts, store.Range{}, func(_, _ []byte) bool { n++; return true })
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestDurable: whoever is given an id can ask for it.
func TestDurable(t *testing.T) {
	run := func(f faults) bool {
		w := newWorld(t, Config{}, f)
		id := w.receive("alice@d/a", "x")
		ids, _ := w.ask(w.parse("", ""))
		return slices.Equal(ids, []string{id})
	}
	if !run(faults{}) {
		t.Error("an id was given for what is not stored")
	}
	if run(faults{early: true}) {
		t.Error("the planted bug is not noticed")
	}
}

// TestRetention: the oldest messages go, by number and by age, from the index too, and no id comes
// again, not even when the clock is set back.
func TestRetention(t *testing.T) {
	run := func(f faults) (wrong []string) {
		w := newWorld(t, Config{Messages: 10, Days: 1}, f)
		given := map[string]bool{}
		give := func() {
			id := w.receive("alice@d/a", "x")
			if given[id] {
				wrong = append(wrong, "id given twice: "+id)
			}
			given[id] = true
		}
		for range 25 {
			give()
		}
		if ids, pg := w.ask(w.parse("", "")); len(ids) != 10 || w.index() != 10 || pg.count != 10 {
			wrong = append(wrong, fmt.Sprintf("of ten: %d, counted %d, in the index %d", len(ids), pg.count, w.index()))
		}
		w.now = w.now.Add(25 * time.Hour)
		if more, err := w.m.expire(t.Context(), "bob"); more || err != nil {
			wrong = append(wrong, fmt.Sprint(more, err))
		}
		if ids, _ := w.ask(w.parse("", "")); len(ids) != 0 || w.index() != 0 {
			wrong = append(wrong, fmt.Sprintf("too old, and there: %d, in the index %d", len(ids), w.index()))
		}
		w.now = time.Unix(1_700_000_000, 0)
		for range 5 {
			give()
		}
		return wrong
	}
	for _, w := range run(faults{}) {
		t.Error(w)
	}
	for _, f := range []faults{{reused: true}, {loose: true}} {
		if len(run(f)) == 0 {
			t.Errorf("planted bug not noticed: %+v", f)
		}
	}
}

// TestExpireByStep: a step of the sweeper is bounded.
func TestExpireByStep(t *testing.T) {
	w := newWorld(t, Config{Days: 1}, faults{})
	for range sweepCount + 3 {
		w.receive("alice@d/a", "x")
	}
	w.now = w.now.Add(25 * time.Hour)
	for _, left := range []int{3, 0} {
		more, err := w.m.expire(t.Context(), "bob")
		if n := w.index(); n != left || more != (left > 0) || err != nil {
			t.Errorf("%d left, want %d; more %v, %v", n, left, more, err)
		}
	}
}

// TestPaging: whoever turns all pages, in either direction, of any size and by any filter, sees what
// a plain list has.
func TestPaging(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, Config{}, faults{})
		type message struct{ id, from string }
		var model []message
		people := []string{"alice@d/a", "alice@d/b", "carol@d/c", "d"}
		for range rapid.IntRange(0, 30).Draw(rt, "messages") {
			from := rapid.SampledFrom(people).Draw(rt, "from")
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "pause")) * time.Microsecond)
			model = append(model, message{w.receive(from, "x"), from})
		}
		with := rapid.SampledFrom(append(people, "", "alice@d", "nobody@d")).Draw(rt, "with")
		fields := ""
		if with != "" {
			fields = "<field var='with'><value>" + with + "</value></field>"
		}
		var want []string
		for _, m := range model {
			if with == "" || m.from == with || strings.HasPrefix(m.from, with+"/") {
				want = append(want, m.id)
			}
		}
		size := rapid.IntRange(1, 7).Draw(rt, "page")
		backward := rapid.Bool().Draw(rt, "backward")
		var got []string
		place := "<after/>"
		if backward {
			place = "<before/>"
		}
		for range len(model) + 1 {
			ids, pg := w.ask(w.parse(fields, fmt.Sprintf("<max>%d</max>%s", size, place)))
			if pg.counted && (pg.count != len(want) || len(ids) > 0 && want[pg.index] != ids[0]) {
				rt.Fatalf("counted %d, want %d; index %d", pg.count, len(want), pg.index)
			}
			if backward {
				got = append(slices.Clone(ids), got...)
			} else {
				got = append(got, ids...)
			}
			if pg.complete {
				break
			}
			if len(ids) == 0 {
				rt.Fatal("an empty page, and there are more")
			}
			place = "<after>" + ids[len(ids)-1] + "</after>"
			if backward {
				place = "<before>" + ids[0] + "</before>"
			}
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestLargePages(t *testing.T) {
	w := newWorld(t, Config{}, faults{})
	for range 5 {
		w.receive("alice@d/a", strings.Repeat("x", pageBytes/2-100))
	}
	if ids, pg := w.ask(w.parse("", "")); len(ids) != 2 || pg.complete {
		t.Errorf("%d messages, complete %v", len(ids), pg.complete)
	}
}

func TestDamagedRecords(t *testing.T) {
	w := newWorld(t, Config{}, faults{})
	for i, bad := range [][]byte{nil, {0}, {0, 9, 'x'}, append([]byte{0, 1}, "@<message/>"...)} {
		err := w.store.Update(t.Context(), "bob", func(tx store.Tx) error { return tx.Put(messages, key(1), bad) })
		if err != nil {
			t.Fatal(err)
		}
		err = w.store.View(t.Context(), "bob", func(r store.Reader) error { return w.parse("", "").run(r, new(page)) })
		if err == nil || !strings.Contains(err.Error(), store.ErrCorrupt.Error()) {
			t.Errorf("record %d: %v", i, err)
		}
	}
}

// FuzzQuery: no query panics, and what is parsed runs.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"<query xmlns='urn:xmpp:mam:2' queryid='1'><x xmlns='jabber:x:data'><field var='with'><value>a@d</value></field></x></query>",
		"<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>3</max><before/></set><flip-page/></query>",
		"<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data'><field var='ids'><value>0000000000000</value></field></x></query>",
		"<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data'><field var='start'><value>2020-01-01T00:00:00Z</value></field></x></query>",
	} {
		f.Add([]byte(s))
	}
	w := newWorld(f, Config{}, faults{})
	for range 3 {
		w.receive("alice@d/a", "x")
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := parseQuery(b, 100)
		if err != nil {
			return
		}
		var pg page
		err = w.store.View(t.Context(), "bob", func(r store.Reader) error { return q.run(r, &pg) })
		if err == nil && len(pg.records) > 3 {
			t.Errorf("%d of three", len(pg.records))
		}
	})
}

func TestIDs(t *testing.T) {
	last := ""
	for _, id := range []uint64{0, 1, 31, 32, 1 << 40, 1_700_000_000_000_000, 1<<64 - 1} {
		s := idText(id)
		back, ok := parseID(s)
		if !ok || back != id || s <= last || binary.BigEndian.Uint64(key(id)) != id {
			t.Errorf("%d: %q is %d, %v; before it %q", id, s, back, ok, last)
		}
		last = s
	}
	for _, s := range []string{"", "0", "000000000000", "0000000000001", "zzzzzzzzzzzzz", "0000000000000="} {
		if id, ok := parseID(s); ok {
			t.Errorf("%q is taken for %d", s, id)
		}
	}
}
