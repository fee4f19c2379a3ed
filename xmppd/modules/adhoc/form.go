package adhoc

import "github.com/rosterdb/rosterdb/internal/stanza"

// request is a command element of a client.
type request struct {
	node, session, action string
	values                map[string][]string // of the submitted form
}

func parse(payload []byte) request {
	r := request{values: make(map[string][]string)}
	p := stanza.Parse(payload)
	field := ""
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		attr := func(name string) string {
			v, _ := p.Attr(name)
			return string(v)
		}
		switch {
		case p.Depth() == 1:
			r.node, r.session, r.action = attr("node"), attr("sessionid"), attr("action")
		case p.Depth() == 3 && string(p.Name()) == "field":
			field = attr("var")
		case p.Depth() == 4 && string(p.Name()) == "value" && field != "":
			r.values[field] = append(r.values[field], string(p.Content()))
		}
	}
	return r
}

// answer is a command element to a client.
func answer(node, session, status string, body []byte) []byte {
	out := stanza.AppendAttr([]byte("<command xmlns='"+NS+"'"), "node", node)
	out = stanza.AppendAttr(out, "sessionid", session)
	out = stanza.AppendAttr(out, "status", status)
	if body == nil {
		return append(out, "/>"...)
	}
	return append(append(append(out, '>'), body...), "</command>"...)
}

// form is a data form (XEP-0004) of a type.
func form(typ, title string, fields []Field) []byte {
	out := stanza.AppendAttr([]byte("<x xmlns='"+NSData+"'"), "type", typ)
	out = append(stanza.AppendEscaped(append(out, "><title>"...), title), "</title>"...)
	for _, f := range fields {
		out = stanza.AppendAttr(append(out, "<field"...), "var", f.Var)
		if f.Type != "" {
			out = stanza.AppendAttr(out, "type", f.Type)
		}
		if f.Label != "" {
			out = stanza.AppendAttr(out, "label", f.Label)
		}
		out = append(out, '>')
		if f.Required {
			out = append(out, "<required/>"...)
		}
		for _, v := range f.Values {
			out = append(stanza.AppendEscaped(append(out, "<value>"...), v), "</value>"...)
		}
		out = append(out, "</field>"...)
	}
	return append(out, "</x>"...)
}
