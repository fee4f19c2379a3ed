// Package vcard keeps the vCards of accounts (XEP-0054, version 1.2). An account writes its own;
// everybody may read it.
package vcard

import (
	"context"
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// NS is the namespace of the payload.
const NS = "vcard-temp"

// collection keeps the vCard of an account, under the empty key.
const collection = "vcard"

// Config is the module's part of the configuration. Zero stands for the default.
type Config struct {
	Bytes int `toml:"bytes"` // of a vCard: 131072
}

// Module keeps vCards.
type Module struct {
	Config Config
	Store  store.Store
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "vcard", Spec: "XEP-0054", Version: "1.2", Title: "vcard-temp"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (m *Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToAccount, Public: true, Handle: m.handle}}
}

func (m *Module) handle(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if iq.Name() != "vCard" {
		return nil, module.BadRequest("the element is vCard")
	}
	if !iq.Set {
		return m.get(ctx, iq)
	}
	most := m.Config.Bytes
	if most == 0 {
		most = 128 << 10
	}
	card := iq.Payload()
	switch {
	case !iq.Own():
		return nil, module.Forbidden("a vCard belongs to its account")
	case len(card) > most:
		return nil, &module.Error{Type: "modify", Condition: "not-acceptable", Text: fmt.Sprintf("a vCard has at most %d bytes; a smaller photo helps", most)}
	}
	if st, err := stanza.One(card); err != nil || st.Kind != stanza.Nonza {
		return nil, module.BadRequest("a vCard must declare the namespaces that it uses")
	}
	err := m.Store.Update(ctx, iq.From.Local, func(tx store.Tx) error { return tx.Put(collection, nil, card) })
	if err != nil {
		return nil, fmt.Errorf("store vCard: %w", err)
	}
	return nil, nil
}

// get answers with a vCard. Of others' accounts it does not tell whether there is none or no such
// account (section 3.3).
func (m *Module) get(ctx context.Context, iq *module.IQ) ([]byte, error) {
	var card []byte
	err := m.Store.View(ctx, iq.Target.Local, func(r store.Reader) error {
		v, err := r.Get(collection, nil)
		card = append(card, v...)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound) && iq.Own():
		return []byte("<vCard xmlns='" + NS + "'/>"), nil // section 3.1
	case errors.Is(err, store.ErrNotFound):
		return nil, module.NotFound("")
	case err != nil:
		return nil, fmt.Errorf("read vCard: %w", err)
	}
	return card, nil
}
