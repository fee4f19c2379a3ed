// Package csi is client state indication (XEP-0352, version 1.0.0): while a client says that nobody
// looks at it, what nobody waits for is held back, and goes out with the next important stanza.
//
// Presence of a contact is replaced by later presence of the same, and so is what it types. Nothing
// is dropped otherwise, and the order stays: an important stanza comes behind all that was held.
package csi

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// NS is the namespace of the elements.
const NS = "urn:xmpp:csi:0"

// Config is the module's part of the configuration. Zero stands for the default.
type Config struct {
	HeldStanzas int `toml:"held_stanzas"` // for one client: 300
	HeldBytes   int `toml:"held_bytes"`   // the same in bytes: 65536
}

// Module is client state indication. Make it with New.
type Module struct {
	cfg                      Config
	inactive, held, replaced prometheus.Counter
	scanners                 sync.Pool // *stanza.Scanner
}

// New makes the module. A nil Registerer: no metrics.
func New(cfg Config, reg prometheus.Registerer) *Module {
	if cfg.HeldStanzas <= 0 {
		cfg.HeldStanzas = 300
	}
	if cfg.HeldBytes <= 0 {
		cfg.HeldBytes = 64 << 10
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "xmppd", Name: name, Help: help})
	}
	m := &Module{
		cfg:      cfg,
		inactive: counter("csi_inactive_total", "Times that a client said nobody looks at it."),
		held:     counter("csi_held_total", "Stanzas held back for clients that nobody looks at."),
		replaced: counter("csi_replaced_total", "Stanzas of these that a later one has taken the place of."),
	}
	if reg != nil {
		reg.MustRegister(m.inactive, m.held, m.replaced)
	}
	return m
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "csi", Spec: "XEP-0352", Version: "1.0.0", Title: "Client State Indication"}
}

// Features implements module.Module: it is a stream feature, and not discovered otherwise.
func (*Module) Features() []string { return nil }

// Routes implements module.Module.
func (*Module) Routes() []module.Route { return nil }

// Extend implements module.Extender.
func (m *Module) Extend(e *module.Extension) {
	e.StreamFeatures = "<csi xmlns='" + NS + "'/>"
	e.Nonzas = map[string]module.NonzaHandler{NS: m.element}
}

// element takes the client's word (section 4.2). A stream begins active, a resumed one too.
func (m *Module) element(_ context.Context, s *session.Session, el *stanza.Stanza, b *session.Batch) error {
	p := stanza.Parse(el.Raw)
	p.Next()
	switch string(p.Name()) {
	case "active":
		b.SetFilter(s, nil)
	case "inactive":
		if !s.Out.Filtered() {
			m.inactive.Inc()
			b.SetFilter(s, &filter{m: m, latest: make(map[string]int)})
		}
	default:
		return &module.StreamError{Condition: "unsupported-stanza-type", Text: "a client is active or inactive"}
	}
	return nil
}
