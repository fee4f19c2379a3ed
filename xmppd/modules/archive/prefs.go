package archive

import (
	"context"
	"errors"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

const settings = "archive-prefs" // one record, under the empty key

const maxListed = 500 // addresses in an account's preferences

// Defaults of XEP-0441.
const (
	always = "always"
	never  = "never"
	roster = "roster"
)

// prefs are an account's preferences (XEP-0441); immutable.
type prefs struct {
	Default string   `json:"default"`
	Always  []string `json:"always,omitempty"` // JIDs
	Never   []string `json:"never,omitempty"`
}

// idle reports whether nothing is ever archived.
func (p *prefs) idle() bool { return p.Default == never && len(p.Always) == 0 }

// lists reports whether an address is in a list, itself or as a bare JID (XEP-0441 section 3).
func lists(list []string, j stanza.JID) bool {
	return len(list) > 0 && (slices.Contains(list, j.String()) || slices.Contains(list, j.Bare().String()))
}

// prefs returns the preferences of an account, its own or those of the configuration.
func (m *Module) prefs(ctx context.Context, owner stanza.JID) (*prefs, error) {
	return m.memo.Get(m.opt.Table.User(owner.String()), func() (*prefs, bool, error) {
		p, err := m.load(ctx, owner)
		return p, err == nil && p.idle(), err
	})
}

func (m *Module) load(ctx context.Context, owner stanza.JID) (*prefs, error) {
	var p prefs
	err := m.opt.Store.View(ctx, owner.Local, func(r store.Reader) (err error) {
		p, err = store.GetJSON[prefs](r, settings, nil)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		p, err = prefs{Default: m.opt.Default}, nil
		if m.opt.Grouped(owner.Local) {
			p.Default = never
		}
	}
	return &p, err
}

// wanted tells whether a message between an account and somebody is to be archived for the account.
func (m *Module) wanted(ctx context.Context, owner, other stanza.JID, p *module.Passage) (bool, error) {
	pr, err := m.prefs(ctx, owner)
	switch {
	case err != nil || pr.idle() || !worth(p.Stanza):
		return false, err
	case lists(pr.Never, other):
		return false, nil
	case lists(pr.Always, other):
		return true, nil
	case pr.Default == roster:
		return m.opt.InRoster(ctx, owner, other.Bare())
	}
	return pr.Default == always, nil
}

func (m *Module) getPrefs(ctx context.Context, iq *module.IQ) ([]byte, error) {
	p, err := m.load(ctx, iq.Target)
	if err != nil {
		return nil, err
	}
	return p.append(nil), nil
}

func (p *prefs) append(dst []byte) []byte {
	dst = append(stanza.AppendAttr(append(dst, "<prefs xmlns='"+NS+"'"...), "default", p.Default), '>')
	for _, list := range []struct {
		name string
		jids []string
	}{{always, p.Always}, {never, p.Never}} {
		dst = append(append(append(dst, '<'), list.name...), '>')
		for _, j := range list.jids {
			dst = append(stanza.AppendEscaped(append(dst, "<jid>"...), j), "</jid>"...)
		}
		dst = append(append(append(dst, "</"...), list.name...), '>')
	}
	return append(dst, "</prefs>"...)
}

func (m *Module) setPrefs(ctx context.Context, iq *module.IQ) ([]byte, error) {
	p, err := parsePrefs(iq.Payload())
	if err != nil {
		return nil, err
	}
	err = m.opt.Store.Update(ctx, iq.Target.Local, func(tx store.Tx) error {
		if exists, err := m.opt.Exists(tx); err != nil || !exists {
			return errors.Join(err, module.Forbidden("the account is gone"))
		}
		return store.PutJSON(tx, settings, nil, p)
	})
	if err != nil {
		return nil, err
	}
	m.memo.Forget(m.opt.Table.User(iq.Target.String()))
	if m.opt.Changed != nil {
		m.opt.Changed(iq.Target)
	}
	return p.append(nil), nil
}

func parsePrefs(payload []byte) (*prefs, error) {
	x := stanza.Parse(payload)
	x.Next()
	def, _ := x.Attr("default")
	p := &prefs{Default: string(def)}
	switch p.Default {
	case always, never, roster:
	default:
		return nil, module.BadRequest("the default is always, never or roster")
	}
	var list *[]string
	for ev := x.Next(); ev != stanza.EOF; ev = x.Next() {
		if ev != stanza.Start {
			continue
		}
		switch name := string(x.Name()); {
		case x.Depth() == 2 && name == always:
			list = &p.Always
		case x.Depth() == 2 && name == never:
			list = &p.Never
		case x.Depth() == 2:
			list = nil
		case x.Depth() == 3 && name == "jid" && list != nil:
			j, err := stanza.ParseJID(string(x.Content()))
			if err != nil {
				return nil, &module.Error{Type: "modify", Condition: "jid-malformed", Text: "a jid is not a JID"}
			}
			*list = append(*list, j.String())
			if len(p.Always)+len(p.Never) > maxListed {
				return nil, &module.Error{Type: "wait", Condition: "resource-constraint", Text: "too many addresses"}
			}
		}
	}
	return p, nil
}
