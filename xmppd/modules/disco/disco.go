// Package disco answers service discovery (XEP-0030, version 2.5.0) for the server and for accounts.
package disco

import (
	"context"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// Namespaces of the two queries.
const (
	NSInfo  = "http://jabber.org/protocol/disco#info"
	NSItems = "http://jabber.org/protocol/disco#items"
)

// Module answers service discovery.
type Module struct {
	Domain  string
	Modules []module.Module // whose features are announced
	// Extensions lists what the modules have added; nil: nothing.
	Extensions func() []*module.Extension
	// Domains lists the other domains that can be reached through the server; nil: none.
	Domains func() []string
}

func (m *Module) extensions() []*module.Extension {
	if m.Extensions == nil {
		return nil
	}
	return m.Extensions()
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "disco", Spec: "XEP-0030", Version: "2.5.0", Title: "Service Discovery"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NSInfo, NSItems} }

// Routes implements module.Module.
func (m *Module) Routes() []module.Route {
	const scope = module.ToServer | module.ToAccount
	return []module.Route{
		{NS: NSInfo, Scope: scope, Public: true, Handle: m.info},
		{NS: NSItems, Scope: scope, Public: true, Handle: m.items},
	}
}

// query refuses what nobody may ask: other people's accounts, for the answer would tell whether they
// exist. A node is answered by the module that has it.
func (m *Module) query(ctx context.Context, iq *module.IQ, items bool) (answer []byte, err error) {
	if iq.Set {
		return nil, module.BadRequest("service discovery is a get")
	}
	p := stanza.Parse(iq.Payload())
	p.Next()
	node, ok := p.Attr("node")
	if iq.Target.Local != "" && !iq.Own() {
		if items { // section 8: an empty list, whether or not the account exists
			return noItems(node), nil
		}
		return nil, module.Unavailable()
	}
	if !ok || len(node) == 0 {
		return nil, nil
	}
	for _, e := range m.extensions() {
		if e.Node == nil {
			continue
		}
		if answer, ok, err = e.Node(ctx, iq, string(node), items); ok || err != nil {
			return answer, err
		}
	}
	return nil, module.NotFound("")
}

func (m *Module) info(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if answer, err := m.query(ctx, iq, false); answer != nil || err != nil {
		return answer, err
	}
	if iq.Target.Local == "" {
		return m.ServerInfo(""), nil
	}
	return m.accountInfo(), nil
}

func (m *Module) accountInfo() []byte {
	out := []byte("<query xmlns='" + NSInfo + "'>")
	out = append(out, "<identity category='account' type='registered'/>"...)
	features := []string{NSInfo, NSItems}
	for _, e := range m.extensions() {
		features = append(features, e.AccountFeatures...)
	}
	return append(appendFeatures(out, sorted(features)), "</query>"...)
}

// ServerInfo is the answer about the server itself, as asked for under a node ("": none).
func (m *Module) ServerInfo(node string) []byte {
	out := []byte("<query xmlns='" + NSInfo + "'")
	if node != "" {
		out = stanza.AppendAttr(out, "node", node)
	}
	out = append(out, "><identity category='server' type='im' name='RosterDB'/>"...)
	var features []string
	for _, mod := range m.Modules { // this one among them
		features = append(features, mod.Features()...)
	}
	out = appendFeatures(out, sorted(features))
	for _, e := range m.extensions() {
		for _, form := range e.Forms {
			out = append(out, form...)
		}
	}
	return append(out, "</query>"...)
}

func sorted(features []string) []string {
	slices.Sort(features)
	return slices.Compact(features)
}

func appendFeatures(dst []byte, features []string) []byte {
	for _, f := range features {
		dst = stanza.AppendAttr(append(dst, "<feature"...), "var", f)
		dst = append(dst, "/>"...)
	}
	return dst
}

func (m *Module) items(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if answer, err := m.query(ctx, iq, true); answer != nil || err != nil {
		return answer, err
	}
	var items []byte
	if iq.Target.Local == "" && m.Domains != nil {
		for _, d := range m.Domains() {
			items = append(stanza.AppendAttr(append(items, "<item"...), "jid", d), "/>"...)
		}
	}
	if items == nil {
		return noItems(nil), nil
	}
	return append(append([]byte("<query xmlns='"+NSItems+"'>"), items...), "</query>"...), nil
}

// noItems is the answer without items, as asked for under a node (none: empty).
func noItems(node []byte) []byte {
	out := []byte("<query xmlns='" + NSItems + "'")
	if len(node) > 0 {
		out = stanza.AppendAttr(out, "node", node)
	}
	return append(out, "/>"...)
}
