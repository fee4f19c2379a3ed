package blocking

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

func (m *Module) handle(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if !iq.Own() {
		return nil, module.Forbidden("a block list belongs to its account")
	}
	switch name := iq.Name(); {
	case name == "blocklist" && !iq.Set:
		return m.get(ctx, iq)
	case name == "block" && iq.Set, name == "unblock" && iq.Set:
		return nil, m.set(ctx, iq, name == "block")
	}
	return nil, module.BadRequest("a block list is got; addresses are set, by block or unblock")
}

// get answers with the list. From then on the session hears of changes.
func (m *Module) get(ctx context.Context, iq *module.IQ) ([]byte, error) {
	m.memo.Mark.Note(iq.Src) // before the look: a change between the two is pushed
	l, err := m.load(ctx, iq.Target)
	if err != nil {
		return nil, err
	}
	return appendItems(nil, "blocklist", l.sorted()), nil
}

func appendItems(dst []byte, name string, items []stanza.JID) []byte {
	dst = append(append(append(dst, '<'), name...), " xmlns='"+NS+"'"...)
	if len(items) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, j := range items {
		dst = append(stanza.AppendAttr(append(dst, "<item"...), "jid", j.String()), "/>"...)
	}
	return append(append(append(dst, "</"...), name...), '>')
}

// parse reads the addresses of a command, each once.
func parse(payload []byte, limit int) (items []stanza.JID, err error) {
	seen := make(list)
	p := stanza.Parse(payload)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start || p.Depth() != 2 || string(p.Name()) != "item" {
			continue
		}
		raw, _ := p.Attr("jid")
		j, err := stanza.ParseJID(string(raw))
		if err != nil {
			return nil, &module.Error{Type: "modify", Condition: "jid-malformed", Text: "an item's jid is not a JID"}
		}
		if _, is := seen[j]; !is {
			seen[j] = struct{}{}
			items = append(items, j)
		}
		if len(items) > limit {
			return nil, tooMany()
		}
	}
	return items, nil
}

func tooMany() error {
	return &module.Error{Type: "wait", Condition: "resource-constraint", Text: "the block list is full"}
}

// set blocks or unblocks the addresses of a command; all of them if an unblock has none.
func (m *Module) set(ctx context.Context, iq *module.IQ, block bool) error {
	items, err := parse(iq.Payload(), m.opt.Items)
	switch {
	case err != nil:
		return err
	case block && len(items) == 0:
		return module.BadRequest("nothing to block")
	case block && slices.ContainsFunc(items, func(j stanza.JID) bool { return j.Bare() == iq.Target }):
		return module.NotAllowed("nobody can block oneself")
	}
	mu := &m.change[maphash.String(m.seed, iq.Target.Local)%uint64(len(m.change))]
	mu.Lock()
	defer mu.Unlock()
	changed, err := m.store(ctx, iq.Target.Local, items, block)
	if err != nil {
		return err
	}
	m.memo.Forget(m.opt.Table.User(iq.Target.String()))
	if block {
		err = m.opt.Presence.Blocked(ctx, iq.Target, changed)
	} else {
		err = m.opt.Presence.Unblocked(ctx, iq.Target, changed)
	}
	if err != nil { // the list is changed all the same
		m.opt.Log.Error("presence does not follow the block list", "account", iq.Target, "error", err)
	}
	m.push(ctx, iq, items, block)
	return nil
}

// store changes the list and returns what is different now.
func (m *Module) store(ctx context.Context, owner string, items []stanza.JID, block bool) (changed []stanza.JID, err error) {
	err = m.opt.Store.Update(ctx, owner, func(tx store.Tx) error {
		changed = nil
		l, bytes, err := read(tx)
		if err != nil {
			return err
		}
		if !block && len(items) == 0 {
			for j := range l {
				changed = append(changed, j)
			}
			_, err := tx.DeleteRange(collection, store.Range{})
			return err
		}
		for _, j := range items {
			key := []byte(j.String())
			_, is := l[j]
			if is == block {
				continue
			}
			changed = append(changed, j)
			if !block {
				err = tx.Delete(collection, key)
			} else if bytes += len(key); len(l)+len(changed) > m.opt.Items || bytes > maxBytes {
				m.full.Inc()
				return tooMany()
			} else {
				err = tx.Put(collection, key, nil)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return changed, err
}

// push tells the account's sessions that have asked for the list of a change, on all servers.
func (m *Module) push(ctx context.Context, iq *module.IQ, items []stanza.JID, block bool) {
	name := "unblock"
	if block {
		name = "block"
	}
	payload := appendItems(nil, name, items)
	m.PushHere(ctx, iq.Target.String(), payload, iq.Batch)
	m.opt.Presence.TellBlockPush(iq.Target.String(), payload)
}

// PushHere tells the sessions that an account has on this server that something was done to some addresses. What they
// are told is whether these are on the list now: of two servers' changes of the moment the news may come in another
// order.
func (m *Module) PushHere(ctx context.Context, account string, payload []byte, b *session.Batch) {
	u := m.opt.Table.User(account)
	if !slices.ContainsFunc(u.Sessions(), m.memo.Mark.Noted) {
		return
	}
	mu := &m.order[maphash.String(m.seed, account)%uint64(len(m.order))]
	mu.Lock()
	defer mu.Unlock()
	for _, p := range m.present(ctx, account, payload) {
		for _, dst := range u.Sessions() {
			if m.memo.Mark.Noted(dst) {
				out := strconv.AppendUint([]byte("<iq type='set' id='block"), m.pushes.Add(1), 36)
				out = append(stanza.AppendAttr(append(out, '\''), "to", dst.Full), '>')
				b.Send(dst, append(append(out, p...), "</iq>"...), nil, nil, nil)
			}
		}
	}
}

// present is a change as it is pushed: what the list has now of its addresses, and what not.
func (m *Module) present(ctx context.Context, account string, payload []byte) [][]byte {
	owner, errJ := stanza.ParseJID(account)
	items, errI := parse(payload, m.opt.Items)
	l, err := m.list(ctx, owner)
	if err = errors.Join(errJ, errI, err); err != nil || m.opt.Faults.AsTold {
		if err != nil {
			m.opt.Log.Error("block list can't be read; its change is told as it was made", "account", account, "error", err)
		}
		return [][]byte{payload}
	}
	if len(items) == 0 { // all were taken off
		pushes := [][]byte{payload}
		if all := l.sorted(); len(all) > 0 {
			pushes = append(pushes, appendItems(nil, "block", all))
		}
		return pushes
	}
	var pushes [][]byte
	for _, on := range []bool{false, true} {
		some := slices.DeleteFunc(slices.Clone(items), func(j stanza.JID) bool {
			_, is := l[j]
			return is != on
		})
		if len(some) > 0 {
			pushes = append(pushes, appendItems(nil, map[bool]string{false: "unblock", true: "block"}[on], some))
		}
	}
	return pushes
}

// sorted are the addresses of a list.
func (l list) sorted() (items []stanza.JID) {
	for j := range l {
		items = append(items, j)
	}
	slices.SortFunc(items, func(a, b stanza.JID) int { return strings.Compare(a.String(), b.String()) })
	return items
}
