// Package portal is an HTTP listener for the events of a portal: a signed POST becomes a message or a
// headline to a user. A request is signed with a secret that both sides share (HMAC, RFC 2104, with
// SHA-256) and bears a time stamp, so that nobody between can make one up, and nobody can send one
// again: what was taken is remembered, durably, for as long as its time stamp counts.
package portal

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Headers of a request.
const (
	TimestampHeader = "X-Portal-Timestamp" // Unix time in seconds
	SignatureHeader = "X-Portal-Signature" // v1= and the signature in hex
)

// collection keeps the requests taken, under the domain as owner: the key is time stamp and signature.
const collection = "portal"

// maxBody bounds a request, in bytes.
const maxBody = 64 << 10

// Config is what a Handler needs.
type Config struct {
	Secret []byte
	Window time.Duration // how far the time stamp may be from the server's clock; 0: 5 min
	From   string        // the JID that messages come from
	// Exists tells whether there is such a user, on line or not; nil: there is.
	Exists     func(ctx context.Context, bare stanza.JID) (bool, error)
	Injector   module.Injector
	Store      store.Store
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
	Faults     Faults
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	Forgetful bool // don't remember what was taken
	AnySigner bool // don't check signatures
}

// Event is what a portal sends, as JSON.
type Event struct {
	ID      string `json:"id"`   // the portal's name of it; becomes the stanza's id
	To      string `json:"to"`   // bare or full JID
	Type    string `json:"type"` // headline, normal or chat; empty: headline
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// Handler takes requests. It is safe for concurrent use.
type Handler struct {
	cfg      Config
	requests *prometheus.CounterVec
}

// New makes a handler. The secret has at least 16 bytes.
func New(cfg Config) (*Handler, error) {
	if len(cfg.Secret) < 16 {
		return nil, errors.New("the portal's secret needs at least 16 bytes: make one with `openssl rand -hex 32`")
	}
	if cfg.Window == 0 {
		cfg.Window = 5 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Handler{cfg: cfg, requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "xmppd", Subsystem: "portal", Name: "requests_total", Help: "Requests of the portal, by HTTP status.",
	}, []string{"status"})}
	for _, status := range []int{
		http.StatusAccepted, http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable,
	} {
		h.requests.WithLabelValues(strconv.Itoa(status)) // begins at zero
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(h.requests)
	}
	return h, nil
}

// sign returns the signature of a time stamp, as it is written in its header, and a body.
func sign(secret []byte, at string, body []byte) []byte {
	m := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(m, "v1:"+at+":") // a hash takes everything
	m.Write(body)
	return m.Sum(nil)
}

// refusal is an error with the status that tells it.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := h.take(r)
	status, answer := http.StatusAccepted, map[string]string{"id": id}
	if err != nil {
		var no *refusal
		if !errors.As(err, &no) {
			h.cfg.Log.Error("event of the portal not taken", "error", err)
			no = &refusal{http.StatusServiceUnavailable, "the server can't take it now; try again later"}
		}
		h.cfg.Log.Info("event of the portal refused", "peer", r.RemoteAddr, "status", no.status, "reason", no.text)
		status, answer = no.status, map[string]string{"error": no.text}
	}
	h.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the portal may be gone
}

// take checks a request, remembers it and sends what it asks for.
func (h *Handler) take(r *http.Request) (id string, err error) {
	if r.Method != http.MethodPost {
		return "", &refusal{http.StatusMethodNotAllowed, "events are posted"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return "", &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("an event has at most %d bytes", maxBody)}
	}
	at := r.Header.Get(TimestampHeader)
	given, _ := strings.CutPrefix(r.Header.Get(SignatureHeader), "v1=")
	signature, err := hex.DecodeString(given)
	if (err != nil || !hmac.Equal(signature, sign(h.cfg.Secret, at, body))) && !h.cfg.Faults.AnySigner {
		return "", &refusal{http.StatusUnauthorized, "the signature does not fit time stamp and body; docs/xmppd.md tells how to sign"}
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || h.cfg.Now().Sub(time.Unix(seconds, 0)).Abs() > h.cfg.Window {
		return "", &refusal{http.StatusUnauthorized, fmt.Sprintf("the time stamp is more than %s from the server's clock", h.cfg.Window)}
	}
	raw, id, err := h.message(r.Context(), body)
	if err != nil {
		return "", err
	}
	if err := h.remember(r.Context(), seconds, signature); err != nil {
		return "", err
	}
	return id, h.send(r.Context(), raw)
}

// message makes the stanza of an event.
func (h *Handler) message(ctx context.Context, body []byte) (raw []byte, id string, err error) {
	var e Event
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return nil, "", &refusal{http.StatusBadRequest, "the body is no event: " + err.Error()}
	}
	to, err := stanza.ParseJID(e.To)
	switch {
	case e.Type == "":
		e.Type = "headline"
	case e.Type != "headline" && e.Type != "normal" && e.Type != "chat":
		return nil, "", &refusal{http.StatusBadRequest, "type is headline, normal or chat"}
	}
	switch {
	case err != nil || to.Local == "":
		return nil, "", &refusal{http.StatusBadRequest, "to is no JID of a user"}
	case e.ID == "" || len(e.ID) > 200:
		return nil, "", &refusal{http.StatusBadRequest, "id names the event, in at most 200 bytes"}
	case e.Body == "" && e.Subject == "":
		return nil, "", &refusal{http.StatusBadRequest, "there is neither subject nor body"}
	}
	if err := h.exists(ctx, to); err != nil {
		return nil, "", err
	}
	out := stanza.AppendAttr([]byte("<message"), "from", h.cfg.From)
	out = stanza.AppendAttr(out, "to", to.String())
	out = stanza.AppendAttr(out, "type", e.Type)
	out = append(stanza.AppendAttr(out, "id", e.ID), '>')
	for _, part := range []struct{ name, text string }{{"subject", e.Subject}, {"body", e.Body}} {
		if part.text != "" {
			out = append(append(append(out, '<'), part.name...), '>')
			out = append(stanza.AppendEscaped(out, part.text), "</"+part.name+">"...)
		}
	}
	return append(out, "</message>"...), e.ID, nil
}

// exists refuses an event for nobody: a headline would vanish without a word.
func (h *Handler) exists(ctx context.Context, to stanza.JID) error {
	if h.cfg.Exists == nil {
		return nil
	}
	ok, err := h.cfg.Exists(ctx, to.Bare())
	if err != nil {
		return fmt.Errorf("look for %s: %w", to.Bare(), err)
	}
	if !ok {
		return &refusal{http.StatusNotFound, "there is no user " + to.Bare().String()}
	}
	return nil
}

// remember notes that a request was taken; it refuses one that was before. Requests whose time stamp
// does not count any more are forgotten.
func (h *Handler) remember(ctx context.Context, at int64, signature []byte) error {
	key := append(stamp(at), signature...)
	err := h.cfg.Store.Update(ctx, "", func(tx store.Tx) error {
		_, err := tx.Get(collection, key)
		switch {
		case err == nil:
			return &refusal{http.StatusConflict, "this request was taken before; an event that is sent again needs a new time stamp"}
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		old := stamp(h.cfg.Now().Add(-h.cfg.Window).Unix() - 1)
		if _, err := tx.DeleteRange(collection, store.Range{To: old}); err != nil {
			return err
		}
		if h.cfg.Faults.Forgetful {
			return nil
		}
		return tx.Put(collection, key, []byte{1})
	})
	var no *refusal
	if err != nil && !errors.As(err, &no) {
		return fmt.Errorf("remember request: %w", err)
	}
	return err
}

// stamp is a time in seconds as the beginning of a key.
func stamp(at int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(at, 0))) //nolint:gosec // not negative
}

func (h *Handler) send(ctx context.Context, raw []byte) error {
	var b session.Batch
	err := h.cfg.Injector.Inject(ctx, raw, &b)
	b.Flush()
	var se *module.Error
	if errors.As(err, &se) {
		return &refusal{http.StatusNotFound, "nobody takes messages there: " + se.Error()}
	}
	return err
}
