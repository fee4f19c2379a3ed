// Package caps announces the server's own entity capabilities (XEP-0115, version 1.6.0): a hash of
// its service discovery answer in the stream features, so that clients that have seen the same
// answer before need not ask again.
package caps

import (
	"context"
	"crypto/sha1" //nolint:gosec // the hash that XEP-0115 makes mandatory; it protects nothing here
	"encoding/base64"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// NS is the namespace of the announcement.
const NS = "http://jabber.org/protocol/caps"

// Module announces capabilities. It must come behind all modules that add to service discovery.
type Module struct {
	URI string // names the software
	// Discovery is the server's service discovery answer, as asked for under a node ("": none).
	Discovery func(node string) []byte
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "caps", Spec: "XEP-0115", Version: "1.6.0", Title: "Entity Capabilities"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NS} }

// Routes implements module.Module: the node that is announced is answered by service discovery.
func (*Module) Routes() []module.Route { return nil }

// Verification is the verification string of a service discovery answer (XEP-0115 section 5.1).
func Verification(query []byte) string {
	var identities, features []string
	var forms []form
	p := stanza.Parse(query)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start || p.Depth() != 2 {
			continue
		}
		attr := func(name string) string {
			v, _ := p.Attr(name)
			return string(v)
		}
		switch string(p.Name()) {
		case "identity":
			identities = append(identities, strings.Join([]string{attr("category"), attr("type"), attr("xml:lang"), attr("name")}, "/"))
		case "feature":
			features = append(features, attr("var"))
		case "x":
			if f := parseForm(&p); f.kind != "" {
				forms = append(forms, f)
			}
		}
	}
	slices.Sort(identities)
	slices.Sort(features)
	slices.SortFunc(forms, func(a, b form) int { return strings.Compare(a.kind, b.kind) })
	var s strings.Builder
	put := func(parts ...string) {
		for _, part := range parts {
			s.WriteString(strings.ReplaceAll(part, "<", "&lt;"))
			s.WriteByte('<')
		}
	}
	put(identities...)
	put(features...)
	for _, f := range forms {
		put(f.kind)
		for _, field := range f.fields {
			put(field.name)
			put(field.values...)
		}
	}
	sum := sha1.Sum([]byte(s.String())) //nolint:gosec // see above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// form is a data form (XEP-0128) as the verification string wants it.
type form struct {
	kind   string // of its FORM_TYPE
	fields []field
}

type field struct {
	name   string
	values []string
}

// parseForm reads the form that p has just started on, fields and values sorted.
func parseForm(p *stanza.Parser) form {
	var f form
	depth := p.Depth()
	for ev := p.Next(); ev != stanza.EOF && p.Depth() >= depth; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		switch string(p.Name()) {
		case "field":
			name, _ := p.Attr("var")
			f.fields = append(f.fields, field{name: string(name)})
		case "value":
			if n := len(f.fields); n > 0 {
				f.fields[n-1].values = append(f.fields[n-1].values, string(p.Content()))
			}
		}
	}
	f.fields = slices.DeleteFunc(f.fields, func(x field) bool {
		if x.name != "FORM_TYPE" || len(x.values) == 0 {
			return false
		}
		f.kind = x.values[0]
		return true
	})
	for i := range f.fields {
		slices.Sort(f.fields[i].values)
	}
	slices.SortFunc(f.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return f
}

// Extend implements module.Extender.
func (m *Module) Extend(e *module.Extension) {
	ver := Verification(m.Discovery(""))
	c := stanza.AppendAttr([]byte("<c xmlns='"+NS+"' hash='sha-1'"), "node", m.URI)
	e.StreamFeatures = string(append(stanza.AppendAttr(c, "ver", ver), "/>"...))
	own := m.URI + "#" + ver
	e.Node = func(_ context.Context, iq *module.IQ, node string, items bool) ([]byte, bool, error) {
		if node != own || items || iq.Target.Local != "" {
			return nil, false, nil
		}
		return m.Discovery(node), true, nil
	}
}
