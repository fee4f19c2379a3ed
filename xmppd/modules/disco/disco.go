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
		{NS: NSInfo, Scope: scope, Fast: true, Handle: m.info},
		{NS: NSItems, Scope: scope, Fast: true, Handle: m.items},
	}
}

// check refuses queries of nodes, which nothing here has, and of other people's accounts: the
// answer would tell whether they exist.
func check(iq *module.IQ) error {
	if iq.Set {
		return module.BadRequest("service discovery is a get")
	}
	if iq.Target.Local != "" && !iq.Own() {
		return module.Unavailable()
	}
	p := stanza.Parse(iq.Payload())
	p.Next()
	if node, ok := p.Attr("node"); ok && len(node) > 0 {
		return &module.Error{Type: "cancel", Condition: "item-not-found"}
	}
	return nil
}

func (m *Module) info(_ context.Context, iq *module.IQ) ([]byte, error) {
	if err := check(iq); err != nil {
		return nil, err
	}
	out := []byte("<query xmlns='" + NSInfo + "'>")
	if iq.Target.Local != "" {
		out = append(out, "<identity category='account' type='registered'/>"...)
		features := []string{NSInfo, NSItems}
		for _, e := range m.extensions() {
			features = append(features, e.AccountFeatures...)
		}
		out = appendFeatures(out, sorted(features))
		return append(out, "</query>"...), nil
	}
	out = append(out, "<identity category='server' type='im' name='RosterDB'/>"...)
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
	return append(out, "</query>"...), nil
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

func (m *Module) items(_ context.Context, iq *module.IQ) ([]byte, error) {
	if err := check(iq); err != nil {
		return nil, err
	}
	var items []byte
	if iq.Target.Local == "" {
		for _, e := range m.extensions() {
			for _, it := range e.Items {
				items = stanza.AppendAttr(append(items, "<item"...), "jid", it.JID)
				items = append(stanza.AppendAttr(items, "name", it.Name), "/>"...)
			}
		}
	}
	if items == nil {
		return []byte("<query xmlns='" + NSItems + "'/>"), nil
	}
	return append(append([]byte("<query xmlns='"+NSItems+"'>"), items...), "</query>"...), nil
}
