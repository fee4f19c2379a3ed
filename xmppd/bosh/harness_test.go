package bosh_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/bosh"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "example.net"

// world is a server with one other user, peer@example.net/x, whose stanzas are noted.
type world struct {
	table *session.Table
	bosh  *bosh.Server
	c2s   *c2s.Server
	peer  *session.Session

	mu   sync.Mutex
	got  []byte   // what the peer was sent
	kept []string // messages that were returned
}

// auth lets everybody in who knows the password.
type auth struct{}

func (auth) HasKeys() bool { return false }
func (auth) Keys(context.Context, string) (a, b account.Keys, exists bool, err error) {
	return a, b, false, errors.New("no keys")
}

func (auth) Password(_ context.Context, _, password string) (bool, error) {
	return password == "pencil", nil
}
func (auth) Exists(context.Context, string) (bool, error) { return true, nil }

// keeper keeps messages for those who aren't there, as offline storage does.
type keeper struct{ w *world }

func (keeper) Info() module.Info      { return module.Info{Name: "keeper"} }
func (keeper) Features() []string     { return nil }
func (keeper) Routes() []module.Route { return nil }
func (k keeper) Extend(e *module.Extension) {
	e.MessageDelivered = func(_ context.Context, _ stanza.JID, p *module.Passage, took []*session.Session) bool {
		if len(took) > 0 {
			return false
		}
		k.w.mu.Lock()
		defer k.w.mu.Unlock()
		k.w.kept = append(k.w.kept, bodies(string(p.Stanza.Raw))...)
		return true
	}
}

// silent is presence that concerns nobody.
type silent struct{}

func (silent) Handle(context.Context, *session.Session, *stanza.Stanza, *session.Batch) {}
func (silent) Inbound(context.Context, *module.Passage)                                 {}

func newWorld(cfg bosh.Config) *world {
	w := &world{}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	table := session.NewTable()
	w.table = table
	r := router.New(domain, table, log, router.Faults{})
	r.SetPresence(silent{})
	if err := r.Add(keeper{w}); err != nil {
		panic(err)
	}
	w.c2s = c2s.New(c2s.Config{
		Domain: domain, InsecurePlaintext: true, Settings: c2s.Settings{Auth: auth{}},
		Table: table, Router: r, Ended: func(context.Context, *session.Session) {}, Log: log,
	})
	cfg.Streams, cfg.Log = w.c2s, log
	cfg.Peer = func(*http.Request) c2s.Peer { return c2s.Peer{Addr: "192.0.2.1"} }
	w.bosh = bosh.New(cfg)
	w.peer = session.New(stanza.JID{Local: "peer", Domain: domain, Resource: "x"})
	w.peer.Out.Init(new(session.Pool), w, 1<<30, func(f func()) bool { f(); return true })
	if _, err := table.Bind(w.peer, session.Rule{}); err != nil {
		panic(err)
	}
	w.peer.SetPresence([]byte("<presence/>"), 1)
	return w
}

// TryWrite implements session.Transport for the peer.
func (w *world) TryWrite(p []byte) (int, bool, error) {
	w.mu.Lock()
	w.got = append(w.got, p...)
	w.mu.Unlock()
	return len(p), false, nil
}
func (w *world) Finish() (int, error) { return 0, nil }
func (w *world) Abort()               {}

func (w *world) received() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.got)
}

func (w *world) close(t failer) {
	w.peer.Out.Fail(session.ErrClosed)
	if err := w.c2s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	w.bosh.Close()
}

// find is the session of a full JID.
func (w *world) find(t failer, full string) *session.Session {
	s := w.table.Get(full)
	if s == nil {
		t.Fatalf("%s is not bound", full)
	}
	return s
}

type failer interface{ Fatalf(string, ...any) }

// do is one HTTP request, whose answer is "" if the connection was cut.
func (w *world) do(ctx context.Context, body string) (answer string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/bosh", strings.NewReader(body))
	rec := httptest.NewRecorder()
	defer func() {
		if e := recover(); e != nil {
			if err, ok := e.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(e)
			}
			answer = ""
		}
	}()
	w.bosh.ServeHTTP(rec, r)
	return rec.Body.String()
}

var sidOf = regexp.MustCompile(` sid='([^']+)'`)

const nsBind = "http://jabber.org/protocol/httpbind"

// body is a request.
func body(sid string, rid int64, attrs, payload string) string {
	return fmt.Sprintf("<body xmlns='"+nsBind+"' xmlns:xmpp='urn:xmpp:xbosh' rid='%d' sid='%s' %s>%s</body>", rid, sid, attrs, payload)
}

const create = "to='" + domain + "' wait='60' hold='1' ver='1.6' xmpp:version='1.0' xml:lang='en'"

// login makes a session of user, bound as resource r, and returns its sid and the rid used last.
func (w *world) login(t failer, user, attrs string, rid int64) (sid string, last int64) {
	ctx := context.Background()
	got := w.do(ctx, fmt.Sprintf("<body xmlns='"+nsBind+"' xmlns:xmpp='urn:xmpp:xbosh' rid='%d' %s/>", rid, attrs))
	m := sidOf.FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("no session: %q", got)
	}
	sid = m[1]
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00pencil"))
	for _, step := range []struct{ attrs, send, want string }{
		{"", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + secret + "</auth>", "<success"},
		{"to='" + domain + "' xmpp:restart='true'", "", "<bind"},
		{"", "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>", "<jid>"},
	} {
		rid++
		if got := w.do(ctx, body(sid, rid, step.attrs, step.send)); !strings.Contains(got, step.want) {
			t.Fatalf("no %q in %q", step.want, got)
		}
	}
	return sid, rid
}

func quick() bosh.Config {
	return bosh.Config{Wait: 10 * time.Second, Inactivity: 30 * time.Second}
}

// count returns the bodies of messages in order.
func bodies(xml string) (out []string) {
	for _, m := range regexp.MustCompile(`<body>([^<]*)</body></message>`).FindAllStringSubmatch(xml, -1) {
		out = append(out, m[1])
	}
	return out
}
