// Package adhoc lets administrators run commands from a chat client (XEP-0050, version 1.3.0). The
// commands themselves are handed in: Command is one of them. Each has a form to fill in, or none.
package adhoc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// Namespaces of commands and of the forms in them.
const (
	NS     = "http://jabber.org/protocol/commands"
	NSData = "jabber:x:data"
)

const (
	maxOpen  = 100             // executions that wait for a form
	openTime = 5 * time.Minute // how long each may
)

// Command is something that an administrator can run.
type Command struct {
	Node, Name string
	Form       []Field // what has to be filled in; nil: it runs at once
	// Run gets the values by field. The results are shown; an error that is a *module.Error is
	// told to the administrator.
	Run func(ctx context.Context, values map[string][]string) ([]Field, error)
}

// Field is a field of a form or of a result (XEP-0004).
type Field struct {
	Var, Type, Label string
	Required         bool
	Values           []string
}

// Module offers commands to administrators.
type Module struct {
	Admin    func(bare stanza.JID) bool
	Commands []Command
	// Ran is told of each command that was run, with what became of it; nil: nobody is.
	Ran func(ctx context.Context, by stanza.JID, name string, values map[string][]string, err error)

	mu   sync.Mutex
	open map[string]execution // by session id
}

// execution is a command that waits for its form.
type execution struct {
	node string
	by   stanza.JID // full
	ends time.Time
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "adhoc", Spec: "XEP-0050", Version: "1.3.0", Title: "Ad-Hoc Commands"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (m *Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToServer, Handle: m.handle}}
}

// Extend implements module.Extender: the list of commands is found by service discovery.
func (m *Module) Extend(e *module.Extension) { e.Node = m.discover }

func (m *Module) discover(_ context.Context, iq *module.IQ, node string, items bool) ([]byte, bool, error) {
	cmd := m.find(node)
	if node != NS && cmd == nil || iq.Target.Local != "" {
		return nil, false, nil
	}
	if cmd != nil && !m.Admin(iq.From.Bare()) {
		return nil, true, module.Forbidden("only administrators run commands")
	}
	kind := "info"
	if items {
		kind = "items"
	}
	out := stanza.AppendAttr([]byte("<query xmlns='http://jabber.org/protocol/disco#"+kind+"'"), "node", node)
	out = append(out, '>')
	switch {
	case cmd != nil && !items:
		out = stanza.AppendAttr(append(out, "<identity category='automation' type='command-node'"...), "name", cmd.Name)
		out = append(out, "/><feature var='"+NS+"'/><feature var='"+NSData+"'/>"...)
	case cmd == nil && !items:
		out = append(out, "<identity category='automation' type='command-list'/><feature var='"+NS+"'/>"...)
	case cmd == nil && m.Admin(iq.From.Bare()):
		for i := range m.Commands {
			out = stanza.AppendAttr(append(out, "<item"...), "jid", iq.Target.String())
			out = stanza.AppendAttr(out, "node", m.Commands[i].Node)
			out = append(stanza.AppendAttr(out, "name", m.Commands[i].Name), "/>"...)
		}
	}
	return append(out, "</query>"...), true, nil
}

func (m *Module) find(node string) *Command {
	for i := range m.Commands {
		if m.Commands[i].Node == node {
			return &m.Commands[i]
		}
	}
	return nil
}

// problem is an error with the condition of XEP-0050 section 4.5.
func problem(typ, condition, app string) *module.Error {
	return &module.Error{Type: typ, Condition: condition, App: "<" + app + " xmlns='" + NS + "'/>"}
}

func (m *Module) handle(ctx context.Context, iq *module.IQ) ([]byte, error) {
	r := parse(iq.Payload())
	cmd := m.find(r.node)
	switch {
	case !iq.Set:
		return nil, module.BadRequest("a command is run by a set")
	case !m.Admin(iq.From.Bare()):
		return nil, module.Forbidden("only administrators run commands")
	case cmd == nil:
		return nil, module.NotFound("there is no such command")
	case r.session == "":
		if r.action != "" && r.action != "execute" {
			return nil, problem("modify", "bad-request", "bad-action")
		}
		return m.start(ctx, cmd, iq.From)
	}
	if !m.known(r.session, r.node, iq.From) {
		return nil, problem("modify", "bad-request", "bad-sessionid")
	}
	switch r.action {
	case "cancel":
		m.end(r.session)
		return answer(r.node, r.session, "canceled", nil), nil
	case "", "execute", "complete", "next":
	default:
		return nil, problem("modify", "bad-request", "bad-action")
	}
	for _, f := range cmd.Form {
		if f.Required && len(r.values[f.Var]) == 0 {
			return nil, &module.Error{Type: "modify", Condition: "bad-request", Text: "the field " + f.Var + " is empty", App: "<bad-payload xmlns='" + NS + "'/>"}
		}
	}
	m.end(r.session)
	return m.finish(ctx, cmd, iq.From, r.session, r.values)
}

// start runs a command without a form at once, and hands out the form of another.
func (m *Module) start(ctx context.Context, cmd *Command, by stanza.JID) ([]byte, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("make session id: %w", err)
	}
	session := hex.EncodeToString(id[:])
	if cmd.Form == nil {
		return m.finish(ctx, cmd, by, session, nil)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(m.open, func(_ string, e execution) bool { return now.After(e.ends) })
	if len(m.open) >= maxOpen {
		return nil, &module.Error{Type: "wait", Condition: "resource-constraint", Text: "too many commands wait for their forms"}
	}
	if m.open == nil {
		m.open = make(map[string]execution)
	}
	m.open[session] = execution{cmd.Node, by, now.Add(openTime)}
	body := append([]byte("<actions execute='complete'><complete/></actions>"), form("form", cmd.Name, cmd.Form)...)
	return answer(cmd.Node, session, "executing", body), nil
}

func (m *Module) known(session, node string, by stanza.JID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.open[session]
	return ok && e.node == node && e.by == by && time.Now().Before(e.ends)
}

func (m *Module) end(session string) {
	m.mu.Lock()
	delete(m.open, session)
	m.mu.Unlock()
}

func (m *Module) finish(ctx context.Context, cmd *Command, by stanza.JID, session string, values map[string][]string) ([]byte, error) {
	result, err := cmd.Run(ctx, values)
	if m.Ran != nil {
		m.Ran(ctx, by, cmd.Name, values, err)
	}
	var told *module.Error
	switch {
	case errors.As(err, &told):
		return nil, told
	case err != nil:
		return nil, fmt.Errorf("command %s: %w", cmd.Node, err)
	case result == nil:
		return answer(cmd.Node, session, "completed", []byte("<note type='info'>done</note>")), nil
	}
	return answer(cmd.Node, session, "completed", form("result", cmd.Name, result)), nil
}
