// Package register is in-band registration (XEP-0077, version 2.4): new accounts before login where
// the server allows it, change of password and removal of the account afterwards.
package register

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// NS is the namespace of the payload.
const NS = "jabber:iq:register"

// Accounts is what registration needs of the server's accounts. A name that is taken and a name or
// password that cannot be are refused with the *module.Error that the client is to get.
type Accounts interface {
	Add(ctx context.Context, name, password, group string) error
	SetPassword(ctx context.Context, name, password string) error
	// Remove removes the account; end, to be called then, ends its sessions.
	Remove(ctx context.Context, name string) (end func(), err error)
}

// Module handles registration.
type Module struct {
	Accounts Accounts
	Domain   string
	Open     func() bool // strangers may make accounts now
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "register", Spec: "XEP-0077", Version: "2.4", Title: "In-Band Registration"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NS} }

// Routes implements module.Module: what a user who has logged in may do.
func (m *Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToServer | module.ToAccount, Handle: m.handle}}
}

// request is the content of a query.
type request struct {
	username, password string
	remove             bool
}

func parse(payload []byte) request {
	var r request
	p := stanza.Parse(payload)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start || p.Depth() != 2 {
			continue
		}
		switch string(p.Name()) {
		case "username":
			r.username = string(p.Content())
		case "password":
			r.password = string(p.Content())
		case "remove":
			r.remove = true
		}
	}
	return r
}

func (m *Module) handle(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if iq.Target.Local != "" && !iq.Own() {
		return nil, module.Forbidden("an account belongs to its user")
	}
	if !iq.Set {
		out := append([]byte("<query xmlns='"+NS+"'><registered/><username>"), stanza.AppendEscaped(nil, iq.From.Local)...)
		return append(out, "</username><password/></query>"...), nil
	}
	r := parse(iq.Payload())
	switch {
	case r.remove:
		return nil, m.remove(ctx, iq)
	case r.username != iq.From.Local:
		return nil, module.NotAllowed("only the own password can be changed")
	case r.password == "":
		return nil, module.BadRequest("no password given")
	}
	return nil, m.Accounts.SetPassword(ctx, r.username, r.password)
}

// remove removes the account of the sender, who gets the result before the stream ends (section 3.2).
func (m *Module) remove(ctx context.Context, iq *module.IQ) error {
	end, err := m.Accounts.Remove(ctx, iq.From.Local)
	if err != nil {
		return err
	}
	iq.After = func(b *session.Batch) {
		b.Flush()
		end()
	}
	return nil
}

// StreamFeature implements c2s.PreAuth.
func (m *Module) StreamFeature() []byte {
	if !m.Open() {
		return nil
	}
	return []byte("<register xmlns='http://jabber.org/features/iq-register'/>")
}

// Answer implements c2s.PreAuth: registration of a stranger.
func (m *Module) Answer(ctx context.Context, st *stanza.Stanza, _ string) ([]byte, bool) {
	if string(st.Get(st.ChildNS)) != NS || !st.ID.Present() {
		return nil, false
	}
	var payload []byte
	err := error(module.BadRequest("this is no request"))
	switch {
	case !m.Open():
		err = module.NotAllowed("accounts are made by the server's operator")
	case st.IsType("get"):
		payload, err = []byte("<query xmlns='"+NS+"'><instructions>Choose a user name and a password.</instructions><username/><password/></query>"), nil
	case st.IsType("set"):
		err = m.create(ctx, parse(st.Get(st.Child)))
	}
	if err == nil {
		return stanza.AppendIQResult(nil, st, payload), true
	}
	var se *module.Error
	if !errors.As(err, &se) {
		se = &module.Error{Type: "wait", Condition: "internal-server-error"}
	}
	return stanza.AppendError(nil, st, m.Domain, se.Type, se.Condition, se.Text), true
}

func (m *Module) create(ctx context.Context, r request) error {
	if r.username == "" || r.password == "" {
		return &module.Error{Type: "modify", Condition: "not-acceptable", Text: "user name and password are needed"}
	}
	return m.Accounts.Add(ctx, r.username, r.password, "")
}
