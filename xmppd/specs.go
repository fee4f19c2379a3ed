package xmppd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/xmppd/module"
)

// core lists the specifications that no module stands for, with the package that implements each.
func core() []module.Info {
	return []module.Info{
		{Name: "xmppd/c2s", Spec: "RFC 6120", Version: "2011-03", Title: "XMPP Core"},
		{Name: "xmppd/im", Spec: "RFC 6121", Version: "2011-03", Title: "Instant Messaging and Presence"},
		{Name: "xmppd/c2s", Spec: "RFC 7590", Version: "2015-06", Title: "Use of TLS in XMPP"},
		{Name: "internal/stanza", Spec: "RFC 7622", Version: "2015-09", Title: "Address Format"},
		{Name: "xmppd/c2s", Spec: "RFC 5929", Version: "2010-07", Title: "Channel Bindings for TLS (tls-server-end-point; tls-unique in TLS 1.2)"},
		{Name: "xmppd/c2s", Spec: "RFC 9266", Version: "2022-07", Title: "Channel Bindings for TLS 1.3 (tls-exporter)"},
		{Name: "xmppd/c2s", Spec: "RFC 5802", Version: "2010-07", Title: "SCRAM-SHA-1 and SCRAM-SHA-1-PLUS"},
		{Name: "xmppd/c2s", Spec: "RFC 7677", Version: "2015-11", Title: "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS"},
		{Name: "xmppd/component", Spec: "XEP-0114", Version: "1.6", Title: "Jabber Component Protocol"},
		{Name: "xmppd/c2s", Spec: "XEP-0178", Version: "1.2", Title: "SASL EXTERNAL with Certificates, for clients"},
		{Name: "xmppd/c2s", Spec: "XEP-0368", Version: "1.1.0", Title: "Direct TLS"},
		{Name: "xmppd/c2s", Spec: "XEP-0440", Version: "0.4.2", Title: "SASL Channel-Binding Type Capability"},
		{Name: "xmppd/websocket", Spec: "RFC 7395", Version: "2014-10", Title: "XMPP over WebSocket"},
		{Name: "xmppd/bosh", Spec: "XEP-0124", Version: "1.11.2", Title: "Bidirectional-streams Over Synchronous HTTP (BOSH)"},
		{Name: "xmppd/bosh", Spec: "XEP-0206", Version: "1.4", Title: "XMPP Over BOSH"},
		{Name: "xmppd/web", Spec: "XEP-0156", Version: "1.4.0", Title: "Alternative Connection Methods (host-meta)"},
	}
}

// Specifications lists what the server implements, extensions that are switched off left out, in the order of
// numbers, RFCs first.
func (s *Server) Specifications() []module.Info {
	all := core()
	for _, m := range s.modulesOn {
		if info := m.Info(); info.Spec != "RFC 6121" { // the core's roster
			all = append(all, info)
		}
		if f, ok := m.(module.Further); ok {
			all = append(all, f.Also()...)
		}
	}
	slices.SortStableFunc(all, func(a, b module.Info) int { return cmp.Compare(a.Spec, b.Spec) })
	return all
}

// specificationsDocument is docs/xeps.md.
func specificationsDocument(all []module.Info) string {
	var b strings.Builder
	b.WriteString("# Supported specifications\n\n" +
		"Written by `go test ./xmppd -run TestSpecifications -update`; do not edit.\n\n" +
		"A *module* can be switched off by its name (`modules.disable`, [xmppd.md](xmppd.md)); the others are part of\n" +
		"the server. [conformance.md](conformance.md) says which test shows which requirement.\n\n" +
		"| specification | version | title | module or package |\n| --- | --- | --- | --- |\n")
	for _, info := range all {
		where := "module `" + info.Name + "`"
		if strings.Contains(info.Name, "/") {
			where = "`" + info.Name + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", link(info.Spec), info.Version, info.Title, where)
	}
	return b.String()
}

// link leads to the text of a specification.
func link(spec string) string {
	if n, ok := strings.CutPrefix(spec, "XEP-"); ok {
		return "[" + spec + "](https://xmpp.org/extensions/xep-" + n + ".html)"
	}
	return "[" + spec + "](https://www.rfc-editor.org/rfc/" + strings.ToLower(strings.ReplaceAll(spec, " ", "")) + ")"
}
