// Package private keeps XML for clients, such as bookmarks (XEP-0049, version 1.2). An account has
// one element of each name; only the account itself can read and write them.
package private

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// NS is the namespace of the payload.
const NS = "jabber:iq:private"

// collection keeps the elements of an account; the key is namespace, NUL and name.
const collection = "private"

// Config is the module's part of the configuration. Zero stands for the default.
type Config struct {
	Elements int `toml:"elements"` // an account: 100
	Bytes    int `toml:"bytes"`    // an account, all elements together: 1048576
}

// Module keeps private XML.
type Module struct {
	Config Config
	Store  store.Store
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "private", Spec: "XEP-0049", Version: "1.2", Title: "Private XML Storage"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (m *Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToAccount, Handle: m.handle}}
}

// element is one child of a query.
type element struct {
	key []byte
	raw []byte
}

func (m *Module) handle(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if !iq.Own() {
		return nil, module.Forbidden("private XML belongs to its account")
	}
	elements, err := parse(iq.Payload())
	switch {
	case err != nil:
		return nil, err
	case iq.Set:
		return nil, m.set(ctx, iq.From.Local, elements)
	case len(elements) != 1:
		return nil, &module.Error{Type: "modify", Condition: "not-acceptable", Text: "ask for one element at a time"}
	}
	return m.get(ctx, iq.From.Local, elements[0])
}

// parse takes the children of a query. Each must declare its own namespace, so that it means the
// same when it stands alone.
func parse(payload []byte) ([]element, error) {
	var all []element
	p := stanza.Parse(payload)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start || p.Depth() != 2 {
			continue
		}
		ns, name := string(p.NS()), string(p.Name())
		if ns == "" || ns == NS || strings.HasPrefix(ns, "jabber:client") {
			return nil, &module.Error{Type: "modify", Condition: "not-acceptable", Text: "an element needs a namespace of its own"}
		}
		if len(ns)+len(name) > 1<<10 {
			return nil, module.BadRequest("the namespace is too long")
		}
		raw := p.Element()
		if _, err := stanza.One(raw); err != nil || !alone(raw, ns) {
			return nil, module.BadRequest("an element must declare the namespaces that it uses")
		}
		all = append(all, element{key: []byte(ns + "\x00" + name), raw: bytes.Clone(raw)})
	}
	if len(all) == 0 {
		return nil, &module.Error{Type: "modify", Condition: "not-acceptable", Text: "there is no element"} // section 2.3
	}
	return all, nil
}

// alone reports whether an element has the same namespace without its parents.
func alone(raw []byte, ns string) bool {
	p := stanza.Parse(raw)
	p.Next()
	return string(p.NS()) == ns
}

func (m *Module) get(ctx context.Context, owner string, e element) ([]byte, error) {
	out := []byte("<query xmlns='" + NS + "'>")
	err := m.Store.View(ctx, owner, func(r store.Reader) error {
		v, err := r.Get(collection, e.key)
		if errors.Is(err, store.ErrNotFound) {
			v, err = e.raw, nil // section 3.2: an empty element, as the client named it
		}
		out = append(out, v...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read private XML: %w", err)
	}
	return append(out, "</query>"...), nil
}

// full is the error for what does not fit.
func full() error {
	return &module.Error{Type: "wait", Condition: "resource-constraint", Text: "there is no room for more private XML"}
}

func (m *Module) set(ctx context.Context, owner string, elements []element) error {
	most, mostBytes := m.Config.Elements, m.Config.Bytes
	if most == 0 {
		most = 100
	}
	if mostBytes == 0 {
		mostBytes = 1 << 20
	}
	err := m.Store.Update(ctx, owner, func(tx store.Tx) error {
		for _, e := range elements {
			if err := tx.Put(collection, e.key, e.raw); err != nil {
				return err
			}
		}
		n, size := 0, 0
		if err := tx.Scan(collection, store.Range{}, func(_, v []byte) bool {
			n++
			size += len(v)
			return true
		}); err != nil {
			return err
		}
		if n > most || size > mostBytes {
			return full()
		}
		return nil
	})
	var told *module.Error
	if err != nil && !errors.As(err, &told) {
		return fmt.Errorf("store private XML: %w", err)
	}
	return err
}
