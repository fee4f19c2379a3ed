package offline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is a client whose network takes `room` more bytes.
type wire struct {
	mu      sync.Mutex
	more    sync.Cond
	room, n int
	p, got  []byte
	cut     bool
}

var errCut = errors.New("cut")

func (w *wire) push() {
	k := min(w.room, len(w.p)-w.n)
	w.got = append(w.got, w.p[w.n:w.n+k]...)
	w.n += k
	w.room -= k
}

func (w *wire) TryWrite(p []byte) (int, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return 0, false, errCut
	}
	w.p, w.n = p, 0
	w.push()
	return w.n, w.n < len(p), nil
}

func (w *wire) Finish() (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.push(); w.n < len(w.p); w.push() {
		if w.cut {
			return w.n, errCut
		}
		w.more.Wait()
	}
	return w.n, nil
}

func (w *wire) Abort() {
	w.mu.Lock()
	w.cut = true
	w.more.Broadcast()
	w.mu.Unlock()
}

func (w *wire) grant(n int) {
	w.mu.Lock()
	w.room += n
	w.more.Broadcast()
	w.mu.Unlock()
}

// read returns the whole messages that have come.
func (w *wire) read() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.SplitAfter(string(w.got), "</message>")
	var out []string
	for _, s := range all[:len(all)-1] {
		if i := strings.Index(s, "<message"); i >= 0 {
			out = append(out, s[i:])
		}
	}
	return out
}

// world is a server without connections, with the accounts alice and bob of the domain d.
type world struct {
	t       testing.TB
	module  *Module
	router  *router.Router
	im      *im.Service
	table   *session.Table
	store   store.Store
	pool    session.Pool
	wg      sync.WaitGroup
	wires   map[*session.Session]*wire
	blocked map[stanza.JID]bool
	now     clock
}

func newWorld(t testing.TB, cfg Config, f faults, rf router.Faults) *world {
	t.Helper()
	return newWorldOf(t, storetest.Rerun(storetest.NewMemory("d")), Options{Config: cfg}, f, rf)
}

// newWorldOf is a server on a store that others may share.
func newWorldOf(t testing.TB, records store.Store, opt Options, f faults, rf router.Faults) *world {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w := &world{t: t, table: session.NewTable(), wires: make(map[*session.Session]*wire), blocked: make(map[stanza.JID]bool), now: clock{t: time.Unix(1_700_000_000, 0)}}
	w.store = records
	accounts := account.NewStore(w.store)
	for _, name := range []string{"alice", "bob"} {
		if err := accounts.Create(t.Context(), &account.Account{Name: name}); err != nil && !errors.Is(err, account.ErrExists) {
			t.Fatal(err)
		}
	}
	w.router = router.New("d", w.table, log, rf)
	w.im = im.New(accounts, w.table, w.router, im.Limits{}, im.Policy{}, log, im.Faults{})
	if err := w.im.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.router.SetPresence(w.im)
	opt.Store, opt.Table, opt.Domain, opt.Exists, opt.Log, opt.Registerer = w.store, w.table, "d", account.Exists, log, prometheus.NewRegistry()
	opt.Blocked = func(_ context.Context, _, other stanza.JID) bool { return w.blocked[other.Bare()] }
	opt.Undelivered, opt.Now = w.router.Undelivered, w.now.read
	w.module = New(opt)
	w.module.faults = f
	if err := w.router.Add(w.module); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) login(j string, room int) *session.Session {
	w.t.Helper()
	full, err := stanza.ParseJID(j)
	if err != nil {
		w.t.Fatal(err)
	}
	s := session.New(full)
	out := &wire{room: room}
	out.more.L = &out.mu
	w.wires[s] = out
	s.Out.Init(&w.pool, out, 1<<20, func(f func()) bool { w.wg.Go(f); return true })
	if _, err := w.table.Bind(s, session.Rule{}); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) send(s *session.Session, raw string) {
	w.t.Helper()
	st, err := stanza.One([]byte(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	var b session.Batch
	if se := w.router.Route(w.t.Context(), s, st, &b); se != nil {
		w.t.Fatal(se)
	}
	b.Flush()
}

// end ends a session as c2s does when its connection is cut.
func (w *world) end(s *session.Session) {
	ctx := w.t.Context()
	w.table.Unbind(s)
	w.im.SessionEnded(ctx, s)
	s.Out.Fail(session.ErrClosed)
	left, written := s.Out.Close()
	var b session.Batch
	w.router.Return(ctx, s, left, written, &b)
	b.Flush()
}

// stored is the bodies of what is kept for bob, and whether the account of it is right.
func (w *world) stored() (bodies []string) {
	w.t.Helper()
	err := w.store.View(w.t.Context(), "bob", func(r store.Reader) error {
		bodies = nil
		size := 0
		err := r.Scan(messages, store.Range{}, func(_, raw []byte) bool {
			bodies = append(bodies, body(string(raw)))
			size += len(raw)
			return true
		})
		if err != nil {
			return err
		}
		u, err := readUsed(r)
		if err == nil && (int(u.count) != len(bodies) || int(u.bytes) != size) {
			err = fmt.Errorf("%d messages of %d bytes, but %+v are noted", len(bodies), size, u)
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	return bodies
}

func body(s string) string {
	_, rest, _ := strings.Cut(s, "<body>")
	b, _, _ := strings.Cut(rest, "</body>")
	return b
}

func bodies(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, body(s))
	}
	return strings.Join(out, " ")
}

func chat(i int) string {
	return fmt.Sprintf("<message type='chat' to='bob@d'><body>%d</body></message>", i)
}

func TestWanted(t *testing.T) {
	for _, tt := range []struct {
		to, typ, content string
		kept             bool
	}{
		{"bob@d", "chat", "<body>x</body>", true},
		{"bob@d", "", "<body>x</body>", true},
		{"bob@d/gone", "chat", "<body>x</body>", true},
		{"bob@d/gone", "normal", "<body>x</body>", false},
		{"bob@d", "normal", "<received xmlns='urn:xmpp:receipts' id='1'/>", true},
		{"bob@d", "groupchat", "<body>x</body>", false},
		{"bob@d", "headline", "<body>x</body>", false},
		{"bob@d", "error", "<body>x</body>", false},
		{"bob@d", "chat", "", false},
		{"bob@d", "chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>", false},
		{"bob@d", "chat", "<active xmlns='http://jabber.org/protocol/chatstates'/><body>x</body>", true},
		{"bob@d", "chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>", true},
		{"bob@d", "chat", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false},
		{"bob@d", "chat", "<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>", false},
		{"bob@d", "chat", "<body>x</body><no-copy xmlns='urn:xmpp:hints'/>", true},
		{"nobody@d", "chat", "<body>x</body>", false},
		{"bob@elsewhere", "chat", "<body>x</body>", false},
	} {
		w := newWorld(t, Config{}, faults{}, router.Faults{})
		alice := w.login("alice@d/a", 1<<20)
		w.send(alice, "<message type='"+tt.typ+"' to='"+tt.to+"'>"+tt.content+"</message>")
		if got := len(w.stored()) == 1; got != tt.kept {
			t.Errorf("%+v: kept %v", tt, got)
		}
		bounced := bytes.Contains(w.wires[alice].got, []byte("type='error'"))
		state := strings.HasPrefix(tt.content, "<composing") && !strings.Contains(tt.content, "hints") // nothing to keep, and nothing to send back
		dropped := tt.typ == "headline" || tt.typ == "error" || state
		if bounced == tt.kept && !dropped || state && bounced {
			t.Errorf("%+v: bounced %v", tt, bounced)
		}
	}
}

func TestDelivery(t *testing.T) {
	w := newWorld(t, Config{}, faults{}, router.Faults{})
	alice := w.login("alice@d/a", 1<<20)
	for i := range 250 {
		w.now.pass(time.Second / 2)
		w.send(alice, chat(i))
	}
	w.send(alice, "<message type='chat' to='bob@d' id='forged'><body>250</body><delay xmlns='urn:xmpp:delay' from='d' stamp='2001-01-01T00:00:00Z'/><delay xmlns='urn:xmpp:delay' from='other' stamp='2002-01-01T00:00:00Z'/></message>")
	bob := w.login("bob@d/b", 1<<30)
	w.send(bob, "<presence><priority>-1</priority></presence>")
	w.wg.Wait()
	if n := len(w.wires[bob].read()); n != 0 {
		t.Fatalf("a session with negative priority got %d messages", n)
	}
	w.send(bob, "<presence/>")
	w.wg.Wait()
	got := w.wires[bob].read()
	for i, s := range got {
		stamp := time.Unix(1_700_000_000, 0).Add(time.Duration(i+1) * time.Second / 2).UTC().Format(stampForm)
		if i < 250 && (body(s) != fmt.Sprint(i) || !strings.Contains(s, "<delay xmlns='urn:xmpp:delay' from='d' stamp='"+stamp+"'>") || !strings.Contains(s, " from='alice@d/a'")) {
			t.Fatalf("message %d: %s", i, s)
		}
	}
	if len(got) != 251 || strings.Contains(got[250], "2001") || !strings.Contains(got[250], "2002") {
		t.Errorf("%d messages, the last of them %s", len(got), got[len(got)-1])
	}
	if n := len(w.stored()); n != 0 {
		t.Errorf("%d messages are kept still", n)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, Config{Messages: 3, Bytes: 1000, Days: 1}, faults{}, router.Faults{})
	alice := w.login("alice@d/a", 1<<20)
	for i := range 5 {
		w.send(alice, chat(i))
	}
	if got := strings.Join(w.stored(), " "); got != "0 1 2" || strings.Count(string(w.wires[alice].got), "<service-unavailable ") != 2 {
		t.Errorf("three may be kept: kept %q, the sender got %q", got, w.wires[alice].got)
	}
	w.now.pass(25 * time.Hour)
	if more, err := w.module.expire(t.Context(), "bob"); more || err != nil || len(w.stored()) != 0 {
		t.Errorf("after a day: more %v, %v; %q", more, err, w.stored())
	}
	w.send(alice, "<message type='chat' to='bob@d'><body>"+strings.Repeat("x", 1000)+"</body></message>")
	if n := len(w.stored()); n != 0 {
		t.Errorf("a message of too many bytes was kept")
	}
	// What is too old when it could be delivered is not.
	w.send(alice, chat(7))
	w.now.pass(25 * time.Hour)
	w.send(alice, chat(8))
	bob := w.login("bob@d/b", 1<<20)
	w.send(bob, "<presence/>")
	w.wg.Wait()
	if got := bodies(w.wires[bob].read()); got != "8" || len(w.stored()) != 0 {
		t.Errorf("got %q; kept %q", got, w.stored())
	}
}

func TestBlockedSenders(t *testing.T) {
	w := newWorld(t, Config{}, faults{}, router.Faults{})
	w.send(w.login("alice@d/a", 1<<20), chat(1))
	w.blocked[stanza.JID{Local: "alice", Domain: "d"}] = true
	bob := w.login("bob@d/b", 1<<20)
	w.send(bob, "<presence/>")
	w.wg.Wait()
	if got := w.wires[bob].read(); len(got) != 0 || len(w.stored()) != 0 {
		t.Errorf("bob got %q; kept %q", got, w.stored())
	}
}

// TestTakenBack: messages that were removed because they were with the network, and come back all
// the same (unacknowledged ones of stream management), are kept again, in their places.
func TestTakenBack(t *testing.T) {
	w := newWorld(t, Config{Messages: 4}, faults{}, router.Faults{})
	alice := w.login("alice@d/a", 1<<20)
	for i := range 4 {
		w.send(alice, chat(i))
	}
	bob := w.login("bob@d/b", 1<<20)
	w.send(bob, "<presence/>")
	w.wg.Wait()
	got := w.wires[bob].read()
	w.end(bob)
	w.now.pass(time.Hour)
	w.send(alice, chat(4))
	var b session.Batch
	unacked := strings.Join(got[1:], "")
	for range 2 { // the second time it is there
		w.router.Return(t.Context(), bob, [][]byte{[]byte(unacked)}, 0, &b)
	}
	if got := strings.Join(w.stored(), " "); got != "1 2 3 4" {
		t.Errorf("kept %q", got)
	}
	bob = w.login("bob@d/c", 1<<20)
	w.send(bob, "<presence/>")
	w.wg.Wait()
	if again := w.wires[bob].read(); bodies(again) != "1 2 3 4" || again[0] != got[1] {
		t.Errorf("delivered again: %q", again)
	}
}

// play lets messages come and sessions come, read a little and die, at random; it returns what came
// more or less than once.
func play(rt *rapid.T, t testing.TB, f faults) (wrong []string) {
	w := newWorld(t, Config{}, f, router.Faults{})
	alice := w.login("alice@d/a", 1<<30)
	var live, dead []*session.Session
	n := 0
	for range rapid.IntRange(1, 30).Draw(rt, "steps") {
		step := rapid.IntRange(0, 4).Draw(rt, "step")
		switch {
		case step == 0:
			for range rapid.IntRange(1, 40).Draw(rt, "messages") {
				w.send(alice, chat(n))
				n++
			}
		case step == 1 && len(live) < 3:
			s := w.login(fmt.Sprintf("bob@d/%d", len(live)+len(dead)), rapid.IntRange(0, 3000).Draw(rt, "room"))
			live = append(live, s)
			// Each has a priority of its own, so that a message is for one of them.
			w.send(s, fmt.Sprintf("<presence><priority>%d</priority></presence>", len(live)+len(dead)))
		case step == 2 && len(live) > 0:
			w.wires[live[rapid.IntRange(0, len(live)-1).Draw(rt, "who")]].grant(rapid.IntRange(1, 2000).Draw(rt, "grant"))
		case step == 3 && len(live) > 0:
			i := rapid.IntRange(0, len(live)-1).Draw(rt, "dies")
			w.end(live[i])
			dead = append(dead, live[i])
			live = append(live[:i:i], live[i+1:]...)
		}
	}
	for _, s := range live {
		w.end(s)
	}
	w.wg.Wait()
	last := w.login("bob@d/last", 1<<30)
	w.send(last, "<presence/>")
	w.wg.Wait()
	count := make(map[string]int)
	for _, s := range append(append(dead, live...), last) {
		for _, msg := range w.wires[s].read() {
			count[body(msg)]++
		}
	}
	for i := range n {
		if c := count[fmt.Sprint(i)]; c != 1 {
			wrong = append(wrong, fmt.Sprintf("message %d came %d times", i, c))
		}
	}
	if kept := w.stored(); len(kept) > 0 {
		wrong = append(wrong, fmt.Sprintf("kept in the end: %q", kept))
	}
	return wrong
}

// TestExactlyOnce: each message reaches one session, once, whichever sessions come and die when.
func TestExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		for _, wrong := range play(rt, t, faults{}) {
			rt.Error(wrong)
		}
	})
	for name, f := range map[string]faults{"two drains": {twoDrains: true}, "nothing is taken back": {forget: true}} {
		noticed := false
		rapid.Check(t, func(rt *rapid.T) {
			noticed = noticed || len(play(rt, t, f)) > 0
		})
		if !noticed {
			t.Errorf("planted bug not noticed: %s", name)
		}
	}
}

// TestKeptUntilWritten: what is not with the network yet is on the disk.
func TestKeptUntilWritten(t *testing.T) {
	run := func(f faults) []string {
		w := newWorld(t, Config{}, f, router.Faults{})
		alice := w.login("alice@d/a", 1<<20)
		for i := range 3 {
			w.send(alice, chat(i))
		}
		bob := w.login("bob@d/b", 10)
		w.send(bob, "<presence/>")
		kept := w.stored()
		w.end(bob)
		w.wg.Wait()
		return kept
	}
	if got := run(faults{}); len(got) != 3 {
		t.Errorf("queued, but not read: kept %q", got)
	}
	if got := run(faults{removeFirst: true}); len(got) == 3 {
		t.Error("the planted bug is not noticed")
	}
}

func TestUndelay(t *testing.T) {
	m := newWorld(t, Config{}, faults{}, router.Faults{}).module
	for _, raw := range []string{"<message/>", "<message to='a'/>", "<message><body>x</body></message>", "<m:message xmlns:m='jabber:client'><m:body/></m:message >"} {
		e := entry{1_700_000_000_123_456, []byte(raw)}
		d := m.delayed(e)
		at, plain, ours := m.undelay(d)
		if !ours || at != e.at || string(m.delayed(entry{at, plain})) != string(d) {
			t.Errorf("%s: %s, undone %s %d %v", raw, d, plain, at, ours)
		}
		for i := range d { // a message cut anywhere is none of ours, and is no reason to panic
			m.undelay(d[:i])
		}
	}
	for _, raw := range []string{
		"<message><delay xmlns='urn:xmpp:delay' from='d' stamp='2001-01-01T00:00:00Z'>Offline Storage</delay></message>",
		"<message><delay xmlns='urn:xmpp:delay' from='d' stamp='2001-01-01T00:00:00.123456Z'>Offline Storage</delay><x/></message>",
		"<message><delay xmlns='urn:xmpp:delay' from='e' stamp='2001-01-01T00:00:00.123456Z'>Offline Storage</delay></message>",
		"<message><delay xmlns='urn:xmpp:delay' from='d' stamp='2001-99-01T00:00:00.123456Z'>Offline Storage</delay></message>",
	} {
		if _, _, ours := m.undelay([]byte(raw)); ours {
			t.Errorf("taken for ours: %s", raw)
		}
	}
}
