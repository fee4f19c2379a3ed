package portal

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

const secret = "0123456789abcdef0123456789abcdef"

// world is a portal's listener with a clock that the test moves.
type world struct {
	t    *testing.T
	h    *Handler
	now  time.Time
	sent []string
	fail error
	lost error // why Exists can't tell
}

func (w *world) exists(_ context.Context, user stanza.JID) (bool, error) {
	return user.Local != "nobody", w.lost
}

func (w *world) Inject(_ context.Context, raw []byte, _ *session.Batch) error {
	if w.fail == nil {
		w.sent = append(w.sent, string(raw))
	}
	return w.fail
}

func newWorld(t *testing.T, f Faults) *world {
	t.Helper()
	w := &world{t: t, now: time.Unix(1_800_000_000, 0)}
	var err error
	w.h, err = New(Config{
		Secret: []byte(secret), From: "example.net", Injector: w, Exists: w.exists, Store: storetest.NewMemory("example.net"),
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now }, Faults: f,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// signature is what a portal puts into the header.
func signature(secret []byte, at int64, body []byte) string {
	return "v1=" + hex.EncodeToString(sign(secret, strconv.FormatInt(at, 10), body))
}

// post sends a body with a time stamp and a signature.
func (w *world) post(body string, at int64, signature string) (status int, answer string) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/portal", strings.NewReader(body))
	r.Header.Set(TimestampHeader, strconv.FormatInt(at, 10))
	r.Header.Set(SignatureHeader, signature)
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	b, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Code, string(b)
}

// signed is post with the right signature.
func (w *world) signed(body string, at int64) int {
	w.t.Helper()
	status, _ := w.post(body, at, signature([]byte(secret), at, []byte(body)))
	return status
}

const event = `{"id":"o1","to":"alice@example.net","subject":"a<b","body":"two & three"}`

func TestEventBecomesMessage(t *testing.T) {
	w := newWorld(t, Faults{})
	if got := w.signed(event, w.now.Unix()); got != http.StatusAccepted {
		t.Fatalf("status %d", got)
	}
	if got := w.signed(`{"id":"o2","to":"Alice@example.net/desk","type":"chat","body":"x"}`, w.now.Unix()); got != http.StatusAccepted {
		t.Fatalf("status %d", got)
	}
	want := []string{
		"<message from='example.net' to='alice@example.net' type='headline' id='o1'><subject>a&lt;b</subject><body>two &amp; three</body></message>",
		"<message from='example.net' to='alice@example.net/desk' type='chat' id='o2'><body>x</body></message>",
	}
	for i := range want {
		if i >= len(w.sent) || w.sent[i] != want[i] {
			t.Fatalf("sent %q", w.sent)
		}
	}
}

// replays is how often one request is taken out of several attempts at different times.
func replays(t *testing.T, f Faults) int {
	w := newWorld(t, f)
	at := w.now.Unix()
	for _, later := range []time.Duration{0, time.Second, 4 * time.Minute, 5 * time.Minute, 6 * time.Minute, time.Hour} {
		w.now = time.Unix(at, 0).Add(later)
		w.signed(event, at)
		w.signed(`{"id":"other","to":"bob@example.net","body":"`+later.String()+`"}`, w.now.Unix()) // lets old ones be forgotten
	}
	n := 0
	for _, s := range w.sent {
		if strings.Contains(s, "id='o1'") {
			n++
		}
	}
	return n
}

func TestReplayIsRefused(t *testing.T) {
	if got := replays(t, Faults{}); got != 1 {
		t.Errorf("a request was taken %d times", got)
	}
	if got := replays(t, Faults{Forgetful: true}); got == 1 {
		t.Error("a listener that forgets is not noticed")
	}
	w := newWorld(t, Faults{})
	w.signed(event, w.now.Unix())
	if got := w.signed(event, w.now.Unix()); got != http.StatusConflict {
		t.Errorf("again: status %d", got)
	}
}

func forgeries(t *testing.T, f Faults) (taken int) {
	w := newWorld(t, f)
	at := w.now.Unix()
	right := signature([]byte(secret), at, []byte(event))
	for _, c := range []struct {
		body, signature string
		at              int64
	}{
		{event, "", at},
		{event, "v1=00", at},
		{event, strings.TrimPrefix(right, "v1=") + "00", at},
		{event, signature([]byte("another secret, another portal"), at, []byte(event)), at},
		{event + " ", right, at},
		{event, right, at + 1},
	} {
		if status, _ := w.post(c.body, c.at, c.signature); status == http.StatusAccepted {
			taken++
		} else if status != http.StatusUnauthorized {
			t.Errorf("signature %q: status %d", c.signature, status)
		}
	}
	return taken
}

func TestForgeryIsRefused(t *testing.T) {
	if got := forgeries(t, Faults{}); got != 0 {
		t.Errorf("%d forged requests were taken", got)
	}
	if forgeries(t, Faults{AnySigner: true}) == 0 {
		t.Error("a listener that does not check is not noticed")
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t, Faults{})
	at := w.now.Unix()
	for body, want := range map[string]int{
		"":                                    http.StatusBadRequest,
		"[]":                                  http.StatusBadRequest,
		`{"id":"1","to":"alice@example.net"}`: http.StatusBadRequest,
		`{"id":"1","to":"example.net","body":"x"}`:                                  http.StatusBadRequest,
		`{"to":"alice@example.net","body":"x"}`:                                     http.StatusBadRequest,
		`{"id":"1","to":"alice@example.net","body":"x","type":"groupchat"}`:         http.StatusBadRequest,
		`{"id":"1","to":"alice@example.net","body":"x","priority":1}`:               http.StatusBadRequest,
		`{"id":"1","to":"alice@example.net","body":"` + strings.Repeat("x", 70<<10): http.StatusRequestEntityTooLarge,
	} {
		if got := w.signed(body, at); got != want {
			t.Errorf("%.80s: status %d, want %d", body, got, want)
		}
	}
	for _, off := range []int64{-301, 301, -1 << 40, 1 << 40} {
		if got := w.signed(event, at+off); got != http.StatusUnauthorized {
			t.Errorf("%d s off: status %d", off, got)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/portal", nil)
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d", rec.Code)
	}
	for _, typ := range []string{"headline", "normal", "chat"} {
		if got := w.signed(`{"id":"1","to":"nobody@example.net","type":"`+typ+`","body":"x"}`, at); got != http.StatusNotFound {
			t.Errorf("%s for nobody: status %d", typ, got)
		}
	}
	w.lost = errors.New("no disk")
	if got := w.signed(event, at); got != http.StatusServiceUnavailable {
		t.Errorf("a store that does not answer: status %d", got)
	}
	w.lost = nil
	w.fail = module.Unavailable()
	if got := w.signed(event, at); got != http.StatusNotFound {
		t.Errorf("nobody there: status %d", got)
	}
	if len(w.sent) != 0 {
		t.Errorf("sent %q", w.sent)
	}
	if _, err := New(Config{Secret: []byte("short")}); err == nil {
		t.Error("a short secret is accepted")
	}
}
