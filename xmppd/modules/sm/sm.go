package sm

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// NS is the namespace of the elements.
const NS = session.NSAck

const nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"

// Config is the module's part of the configuration. Zero stands for the default.
type Config struct {
	ResumeSeconds      int `toml:"resume_seconds"`       // that a session waits for its client: 300
	AckSeconds         int `toml:"ack_seconds"`          // that a client has to answer a request: 60
	RequestEvery       int `toml:"request_every"`        // stanzas after which one is sent at once: 20
	MaxUnacked         int `toml:"max_unacked"`          // stanzas kept for a session: 10000
	DetachedPerAccount int `toml:"detached_per_account"` // sessions that wait for their client: 10
}

// withDefaults puts the defaults in.
func (c Config) withDefaults() Config {
	for _, f := range []struct {
		v *int
		d int
	}{{&c.ResumeSeconds, 300}, {&c.AckSeconds, 60}, {&c.RequestEvery, 20}, {&c.MaxUnacked, 10_000}, {&c.DetachedPerAccount, 10}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return c
}

// Module is stream management. Make it with New.
type Module struct {
	cfg     Config
	watch   session.Watch
	policy  session.AckPolicy
	metrics *metrics
	// Elsewhere is the way to sessions of other servers; nil: there are none. It is set before the first
	// stanza.
	Elsewhere Elsewhere

	mu     sync.Mutex
	byID   map[string]*session.Session // sessions that can be resumed
	graves graves
}

// New makes the module. It needs Run.
func New(cfg Config, reg prometheus.Registerer) *Module {
	m := &Module{cfg: cfg.withDefaults(), byID: make(map[string]*session.Session)}
	m.policy = session.AckPolicy{
		Stanzas: m.cfg.MaxUnacked, Every: m.cfg.RequestEvery, Patience: m.cfg.AckSeconds, Watch: &m.watch,
	}
	m.metrics = newMetrics(reg, m)
	return m
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "sm", Spec: "XEP-0198", Version: "1.6", Title: "Stream Management"}
}

// Features implements module.Module: it is a stream feature, and not discovered otherwise.
func (*Module) Features() []string { return nil }

// Routes implements module.Module.
func (*Module) Routes() []module.Route { return nil }

// StreamFeature implements c2s.Resumption.
func (*Module) StreamFeature() string { return "<sm xmlns='" + NS + "'/>" }

// Extend implements module.Extender.
func (m *Module) Extend(e *module.Extension) {
	e.Nonzas = map[string]module.NonzaHandler{NS: m.element}
	e.Ended = m.ended
	e.Returned = m.returned
}

// Run implements module.Runner: it keeps time.
func (m *Module) Run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			m.watch.Tick()
		case <-ctx.Done():
			return
		}
	}
}

// element handles what a client with a session says.
func (m *Module) element(_ context.Context, s *session.Session, el *stanza.Stanza, b *session.Batch) error {
	p := stanza.Parse(el.Raw)
	p.Next()
	_, enabled := s.Handled()
	switch name := string(p.Name()); {
	case name == "enable" && s.Reliable:
		b.SendNonza(s, failed("feature-not-implemented", nil))
		return nil
	case name == "enable" && !enabled:
		return m.enable(s, &p, b)
	case name == "r" && enabled:
		b.SendNonza(s, s.AppendAck(nil))
		return nil
	case name == "a" && enabled:
		return acknowledged(s, &p)
	}
	b.SendNonza(s, failed("unexpected-request", nil))
	return nil
}

// enable begins to count and to keep (section 3, and 5 for resumption).
func (m *Module) enable(s *session.Session, p *stanza.Parser, b *session.Batch) error {
	resume, _ := p.Attr("resume")
	if r := string(resume); r != "true" && r != "1" {
		b.EnableAcks(s, &m.policy, "", 0, []byte("<enabled xmlns='"+NS+"'/>"))
		return nil
	}
	seconds := m.cfg.ResumeSeconds
	if v, ok := p.Attr("max"); ok {
		if n, err := strconv.Atoi(string(v)); err == nil && n > 0 {
			seconds = min(seconds, n)
		}
	}
	var raw [18]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return fmt.Errorf("make the name of a session: %w", err)
	}
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	m.mu.Lock()
	m.byID[id] = s
	m.mu.Unlock()
	b.EnableAcks(s, &m.policy, id, seconds, fmt.Appendf(nil, "<enabled xmlns='%s' resume='true' id='%s' max='%d'/>", NS, id, seconds))
	return nil
}

// acknowledged takes note of what the client has handled (section 4).
func acknowledged(s *session.Session, p *stanza.Parser) error {
	h, ok := count(p)
	if !ok {
		return &module.StreamError{Condition: "bad-format", Text: "h is the number of stanzas handled"}
	}
	return tooMuch(s.Out.Ack(h))
}

// count reads the attribute h.
func count(p *stanza.Parser) (uint32, bool) {
	v, _ := p.Attr("h")
	n, err := strconv.ParseUint(string(v), 10, 32)
	return uint32(n), err == nil //nolint:gosec // 32 bits
}

// tooMuch makes the stream error of section 4 of an acknowledgement of more than was sent.
func tooMuch(err error) error {
	var ae *session.AckError
	if !errors.As(err, &ae) {
		return err
	}
	return &module.StreamError{
		Condition: "undefined-condition", Text: err.Error(),
		App: fmt.Sprintf("<handled-count-too-high xmlns='%s' h='%d' send-count='%d'/>", NS, ae.H, ae.Sent),
	}
}

// failed is the answer to a request that can't be served; h is told if it is known.
func failed(condition string, h *uint32) []byte {
	out := []byte("<failed xmlns='" + NS + "'")
	if h != nil {
		out = fmt.Appendf(out, " h='%d'", *h)
	}
	return fmt.Appendf(out, "><%s xmlns='%s'/></failed>", condition, nsStanzas)
}
