package im

import (
	"context"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// NSRoster is the namespace of roster requests and pushes (RFC 6121 section 2.1).
const NSRoster = "jabber:iq:roster"

// Info implements module.Module: the roster is answered like any extension, but is part of the core.
func (s *Service) Info() module.Info {
	return module.Info{Name: "roster", Spec: "RFC 6121", Version: "2011-03", Title: "Roster"}
}

// Features implements module.Module.
func (s *Service) Features() []string { return []string{NSRoster} }

// Routes implements module.Module.
func (s *Service) Routes() []module.Route {
	return []module.Route{{NS: NSRoster, Scope: module.ToAccount, Handle: s.handleRoster}}
}

func (s *Service) handleRoster(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if !iq.Own() {
		return nil, module.Forbidden("a roster belongs to its account")
	}
	if !iq.Set {
		return s.rosterGet(ctx, iq)
	}
	return nil, s.rosterSet(ctx, iq)
}

func (s *Service) rosterGet(ctx context.Context, iq *module.IQ) ([]byte, error) {
	items, err := s.store.Roster(ctx, iq.From.Local)
	if err != nil {
		return nil, err
	}
	if sess := s.table.Get(iq.From.String()); sess != nil {
		sess.WantsRoster()
	}
	shared := s.groups.load()
	out := []byte("<query xmlns='" + NSRoster + "'>")
	for i := range items {
		if it := &items[i]; it.Listed && !(it.Contact == s.bare(localpart(it.Contact)) && shared.both(iq.From.Local, localpart(it.Contact))) {
			out = appendItem(out, it)
		}
	}
	if _, in := shared.group[iq.From.Local]; in {
		for _, m := range shared.members {
			if m.Name != iq.From.Local {
				it := s.sharedItem(m)
				out = appendItem(out, &it)
			}
		}
	}
	return append(out, "</query>"...), nil
}

func appendItem(dst []byte, it *account.Item) []byte {
	dst = append(dst, "<item"...)
	dst = stanza.AppendAttr(dst, "jid", it.Contact)
	if it.Name != "" {
		dst = stanza.AppendAttr(dst, "name", it.Name)
	}
	dst = stanza.AppendAttr(dst, "subscription", string(it.Subscription))
	if it.Ask {
		dst = append(dst, " ask='subscribe'"...)
	}
	if len(it.Groups) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, g := range it.Groups {
		dst = append(dst, "<group>"...)
		dst = stanza.AppendEscaped(dst, g)
		dst = append(dst, "</group>"...)
	}
	return append(dst, "</item>"...)
}

func appendRemoved(dst []byte, contact string) []byte {
	dst = append(dst, "<item"...)
	dst = stanza.AppendAttr(dst, "jid", contact)
	return append(dst, " subscription='remove'/>"...)
}

// push sends a roster push to the interested sessions of an account (RFC 6121 section 2.1.6).
func (s *Service) push(bare string, item func([]byte) []byte, b *session.Batch) {
	u := s.table.User(bare)
	if u == nil {
		return
	}
	for _, dst := range u.Sessions() {
		if !dst.Interested() {
			continue
		}
		out := append([]byte("<iq type='set'"), " id='push"...)
		out = append(strconv.AppendUint(out, s.pushes.Add(1), 36), '\'')
		out = stanza.AppendAttr(out, "to", dst.Full)
		out = append(out, "><query xmlns='"+NSRoster+"'>"...)
		out = append(item(out), "</query></iq>"...)
		b.Send(dst, out, nil, nil, nil)
	}
}

func (s *Service) pushItem(bare string, it *account.Item, b *session.Batch) {
	s.push(bare, func(dst []byte) []byte { return appendItem(dst, it) }, b)
}
