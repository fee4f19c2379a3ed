// Package archive keeps the messages of an account and answers queries for them: message archive
// management (XEP-0313, version 1.1.3) with result sets (XEP-0059, version 1.0), stanza ids (XEP-0359,
// version 0.7.0) and archiving preferences (XEP-0441, version 0.2.0).
//
// A message is on the disk before anybody gets it: what its receivers see bears the id under which it
// is archived. Accounts that archive nothing, which is the default, cost nothing: their mark is
// dropped (session.Memo).
//
// # Records
//
// The collection "archive" has the messages by id, which is the time of arrival in microseconds, or
// one more than the last one. "archive-contact" has the ids by contact. "archive-usage" has one
// record, the number of messages and the last id, so that no id is given twice. "archive-prefs" has
// the account's preferences, if it has set some.
package archive

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/sweep"
)

// Namespaces.
const (
	NS        = "urn:xmpp:mam:2"
	nsSID     = "urn:xmpp:sid:0"
	nsRSM     = "http://jabber.org/protocol/rsm"
	nsForward = "urn:xmpp:forward:0"
	nsForm    = "jabber:x:data"
	nsHints   = "urn:xmpp:hints"
)

// Config is the module's part of the configuration. Zero stands for the default.
type Config struct {
	Default  string `toml:"default"`  // always, never or roster, for users without preferences: never
	Messages int    `toml:"messages"` // of an account; the oldest go: 10000
	Days     int    `toml:"days"`     // until a message is removed: 365
	Page     int    `toml:"page"`     // messages that a query returns at most: 250
}

// Check reports what can't work.
func (c *Config) Check() error {
	switch c.Default {
	case "", always, never, roster:
	default:
		return fmt.Errorf("modules.archive.default is always, never or roster, not %q", c.Default)
	}
	return nil
}

// Options are what the module needs.
type Options struct {
	Config
	Store store.Store
	Table *session.Table
	// Exists tells whether the owner is an account.
	Exists func(store.Reader) (bool, error)
	// InRoster tells whether an account has a contact in its roster.
	InRoster func(ctx context.Context, owner, contact stanza.JID) (bool, error)
	// Grouped tells whether an account belongs to a shared group: to such the default does not apply.
	Grouped func(local string) bool
	// Changed is told of an account whose preferences have changed; nil: nobody wants to know.
	Changed    func(owner stanza.JID)
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // nil: time.Now
}

// faults are bugs that this package's tests plant.
type faults struct {
	early  bool // give out an id before the message is stored
	reused bool // number after the messages that are there, not after those that were
	loose  bool // leave removed messages in the index
}

// Module keeps archives. Make it with New.
type Module struct {
	opt      Options
	age      time.Duration
	memo     session.Memo[*prefs]
	archived prometheus.Counter
	removed  *prometheus.CounterVec // reason
	queries  prometheus.Counter
	faults   faults
}

// New makes the module.
func New(opt Options) *Module {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	def(&opt.Messages, 10_000)
	def(&opt.Days, 365)
	def(&opt.Page, 250)
	if opt.Default == "" {
		opt.Default = never
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "xmppd", Name: name, Help: help}
	}
	m := &Module{
		opt: opt, age: time.Duration(opt.Days) * 24 * time.Hour,
		archived: prometheus.NewCounter(counter("archive_messages_total", "Messages put into archives.")),
		removed:  prometheus.NewCounterVec(counter("archive_removed_total", "Messages removed from archives, by reason."), []string{"reason"}),
		queries:  prometheus.NewCounter(counter("archive_queries_total", "Queries answered.")),
	}
	for _, reason := range []string{"count", "age"} {
		m.removed.WithLabelValues(reason) // begins at zero
	}
	opt.Registerer.MustRegister(m.archived, m.removed, m.queries)
	return m
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "archive", Spec: "XEP-0313", Version: "1.1.3", Title: "Message Archive Management"}
}

// Also implements module.Further.
func (*Module) Also() []module.Info {
	return []module.Info{
		{Name: "archive", Spec: "XEP-0059", Version: "1.0", Title: "Result Set Management"},
		{Name: "archive", Spec: "XEP-0359", Version: "0.7.0", Title: "Unique and Stable Stanza IDs"},
		{Name: "archive", Spec: "XEP-0441", Version: "0.2.0", Title: "Message Archive Management Preferences"},
	}
}

// Features implements module.Module: an archive is an account's, and so are its features.
func (*Module) Features() []string { return nil }

// Routes implements module.Module.
func (m *Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToAccount, Handle: m.handle}}
}

// Extend implements module.Extender.
func (m *Module) Extend(e *module.Extension) {
	m.memo.Mark = e.Interest
	e.MessageSent = m.sent
	e.MessageReceived = m.received
	e.MessageDelivered = m.delivered
	e.Remember = func(ctx context.Context, owner stanza.JID) error {
		_, err := m.prefs(ctx, owner)
		return err
	}
	e.AccountFeatures = []string{NS, NS + "#extended", nsSID, nsRSM}
}

// Run implements module.Runner: it removes messages that are too old.
func (m *Module) Run(ctx context.Context) {
	s := sweep.Sweeper{Store: m.opt.Store, Collection: messages, Every: time.Hour, Pause: 100 * time.Millisecond, Step: m.expire, Log: m.opt.Log}
	s.Run(ctx)
}

// handle answers what is asked of an archive.
func (m *Module) handle(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if !iq.Own() {
		return nil, module.Forbidden("an archive belongs to its account")
	}
	switch name := iq.Name(); {
	case name == "query" && iq.Set:
		m.queries.Inc()
		return m.query(ctx, iq)
	case name == "query":
		return []byte(form), nil
	case name == "prefs" && iq.Set:
		return m.setPrefs(ctx, iq)
	case name == "prefs":
		return m.getPrefs(ctx, iq)
	case name == "metadata" && !iq.Set:
		return m.metadata(ctx, iq)
	}
	return nil, module.BadRequest("an archive is queried, by a set; its prefs, metadata and form are got")
}

// sent archives a message for its sender.
func (m *Module) sent(ctx context.Context, p *module.Passage) error {
	owner := p.From.Bare()
	if p.To.Bare() == owner {
		return nil // archived once, when it arrives
	}
	yes, err := m.wanted(ctx, owner, p.To, p)
	if err != nil || !yes {
		return err
	}
	_, _, err = m.add(ctx, owner, p.To, p.Bytes(), p.Batch)
	return err
}

// received archives a message for its receiver and gives it the id that it is archived by.
func (m *Module) received(ctx context.Context, owner stanza.JID, p *module.Passage) error {
	if err := m.strip(owner, p); err != nil {
		return err
	}
	if p.To.Resource != "" && module.MessageType(p.Stanza) == "normal" && m.opt.Table.Get(p.To.String()) == nil {
		return nil // goes back to its sender (RFC 6121 section 8.5.3.2.1)
	}
	yes, err := m.wanted(ctx, owner, p.From, p)
	if err != nil || !yes {
		return err
	}
	raw := p.Bytes()
	id, kept, err := m.add(ctx, owner, p.From, raw, p.Batch)
	if err != nil || !kept {
		return err
	}
	el := stanza.AppendAttr([]byte("<stanza-id xmlns='"+nsSID+"'"), "by", owner.String())
	el = append(stanza.AppendAttr(el, "id", idText(id)), "/>"...)
	return p.Replace(stanza.AppendInside(make([]byte, 0, len(raw)+len(el)+16), raw, el))
}

// delivered says that a message nobody took is in good hands if it is in the archive.
func (m *Module) delivered(ctx context.Context, owner stanza.JID, p *module.Passage, took []*session.Session) bool {
	if len(took) > 0 || p.To.Resource != "" && module.MessageType(p.Stanza) != "chat" {
		return false
	}
	pr, err := m.prefs(ctx, owner)
	if err != nil || pr.idle() {
		return false // what looks like an id is none of this archive's
	}
	for el := range p.Stanza.Elements() {
		if isID(p.Stanza, el, owner) {
			return true
		}
	}
	return false
}

// strip removes ids that claim to be of the owner's archive (XEP-0359 section 6).
func (m *Module) strip(owner stanza.JID, p *module.Passage) error {
	if !bytes.Contains(p.Stanza.Raw, []byte("stanza-id")) {
		return nil
	}
	raw := p.Bytes()
	st, err := stanza.One(raw)
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	clean := st.Without(func(el stanza.Element) bool { return isID(st, el, owner) })
	if len(clean) == len(raw) {
		return nil
	}
	return p.Replace(clean)
}

// isID reports whether an element is the id of a message in the owner's archive.
func isID(st *stanza.Stanza, el stanza.Element, owner stanza.JID) bool {
	if string(el.Name) != "stanza-id" || string(el.NS) != nsSID {
		return false
	}
	p := stanza.Parse(st.Get(el.Span))
	p.Next()
	by, _ := p.Attr("by")
	j, err := stanza.ParseJID(string(by))
	return err == nil && j == owner
}

// worth tells the messages that belong into an archive (XEP-0313 section 5.1.1, XEP-0334).
func worth(st *stanza.Stanza) bool {
	if t := module.MessageType(st); t != "chat" && t != "normal" {
		return false
	}
	content := false
	for el := range st.Elements() {
		name := string(el.Name)
		switch string(el.NS) {
		case nsHints:
			if name == "no-store" || name == "no-permanent-store" {
				return false
			}
			content = content || name == "store"
		case "", stanza.NSClient:
			content = content || name == "body"
		case "urn:xmpp:receipts":
			content = content || name == "received"
		case "urn:xmpp:chat-markers:0":
			content = content || name != "markable"
		}
	}
	return content
}
