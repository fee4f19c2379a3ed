package router_test

import (
	"context"
	"sync"

	"github.com/rosterdb/rosterdb/xmppd/account"
)

// memStore is an account.Store in memory, for fuzzing: a disk would be the slowest part by far.
type memStore struct {
	mu       sync.Mutex
	accounts map[string]*account.Account
	members  []account.Member
	rosters  map[string]map[string]account.Item
}

func (m *memStore) Create(_ context.Context, a *account.Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts[a.Name] = a
	if a.Group != "" {
		m.members = append(m.members, account.Member{Name: a.Name, Group: a.Group})
	}
	return nil
}

func (m *memStore) SetKeys(context.Context, string, account.Keys, account.Keys) error { return nil }
func (m *memStore) Delete(context.Context, string) error                              { return nil }
func (m *memStore) List(context.Context, func(*account.Account) bool) error           { return nil }
func (m *memStore) Grouped(context.Context) ([]account.Member, error)                 { return m.members, nil }
func (m *memStore) Secret() []byte                                                    { return nil }
func (m *memStore) Close() error                                                      { return nil }

func (m *memStore) Account(_ context.Context, name string) (*account.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.accounts[name]; ok {
		return a, nil
	}
	return nil, account.ErrNotFound
}

func (m *memStore) Roster(_ context.Context, name string) (items []account.Item, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, it := range m.rosters[name] {
		items = append(items, it)
	}
	return items, nil
}

func (m *memStore) Item(_ context.Context, name, contact string) (account.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if it, ok := m.rosters[name][contact]; ok {
		return it, nil
	}
	return account.Item{Contact: contact, Subscription: account.SubNone}, nil
}

func (m *memStore) UpdateItem(ctx context.Context, name, contact string, f func(*account.Item) bool) error {
	it, _ := m.Item(ctx, name, contact)
	if !f(&it) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rosters[name] == nil {
		m.rosters[name] = make(map[string]account.Item)
	}
	m.rosters[name][contact] = it
	if it.Empty() {
		delete(m.rosters[name], contact)
	}
	return nil
}
