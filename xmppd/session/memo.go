package session

import "sync"

// memos is what modules remember of an account that is on line, by their marks.
type memos struct {
	mu      sync.Mutex
	changes uint64 // counts Forget
	m       map[Interest]any
}

// Memo is what one module remembers of each account while it is on line, instead of asking the
// store again. The zero value must be given the module's mark.
type Memo[T any] struct{ Mark Interest }

// Get returns what load has returned since the last Forget, calling it if need be; for a nil User,
// an account that is not on line, always. idle tells that nothing is to be done for the account
// as long as that value holds: the module's mark is dropped. load may wait; several may run at once.
func (m Memo[T]) Get(u *User, load func() (v T, idle bool, err error)) (T, error) {
	if u == nil {
		v, _, err := load()
		return v, err
	}
	s := &u.memos
	s.mu.Lock()
	if v, ok := s.m[m.Mark].(T); ok {
		s.mu.Unlock()
		return v, nil
	}
	changes := s.changes
	s.mu.Unlock()
	v, idle, err := load()
	if err != nil {
		return v, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != changes {
		return v, nil // it may be from before a change: not to be kept
	}
	if s.m == nil {
		s.m = make(map[Interest]any)
	}
	s.m[m.Mark] = v
	if idle {
		m.Mark.Drop(u)
	}
	return v, nil
}

// ForgetMemos is Memo.Forget of all modules: the store was changed by another server. A nil User is no error.
func (u *User) ForgetMemos() {
	if u == nil {
		return
	}
	u.memos.mu.Lock()
	u.memos.changes++
	for mark := range u.memos.m {
		mark.Take(u)
	}
	clear(u.memos.m)
	u.memos.mu.Unlock()
	u.forgot()
}

// Forget drops what is remembered and sets the mark again. It is called after the store has
// changed: what was loaded before the change is not kept, what is loaded later sees it. A nil User
// is no error.
func (m Memo[T]) Forget(u *User) {
	if u == nil {
		return
	}
	u.memos.mu.Lock()
	u.memos.changes++
	delete(u.memos.m, m.Mark)
	m.Mark.Take(u)
	u.memos.mu.Unlock()
	u.forgot()
}
