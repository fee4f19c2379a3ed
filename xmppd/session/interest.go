package session

// everybody is the interest of an account that no module has looked at yet.
const everybody = ^uint32(0)

// Leaving is the mark of the core: sessions of the account are gone, and have something to give
// back still (User.Leave).
const Leaving uint32 = 1 << 31

// Interest is one module's mark on accounts: whether the module's hooks want to see the stanzas of
// an account that is on line. Every account begins with all marks set, since nobody knows better;
// a module that has looked and found nothing to do there drops its own, and takes it again when
// that changes. Stanzas between accounts without marks skip the hooks altogether.
//
// A module must drop and take under a lock of its own that also covers the look, or a change
// between look and drop would be missed.
type Interest struct{ bit uint32 }

// Interests hands out marks; a server has one. The zero value is ready. Not safe for concurrent use.
type Interests struct{ n int }

// Next returns a new mark; ok is false when all 31 are given away.
func (i *Interests) Next() (mark Interest, ok bool) {
	if 1<<i.n == Leaving {
		return Interest{}, false
	}
	i.n++
	return Interest{1 << (i.n - 1)}, true
}

// Bits is the mark as a set of marks.
func (i Interest) Bits() uint32 { return i.bit }

// Take sets the mark on an account. A nil User, an account that is not on line, is no error.
func (i Interest) Take(u *User) {
	if u != nil {
		u.idle.And(^i.bit)
	}
}

// Drop removes the mark from an account. A nil User is no error.
func (i Interest) Drop(u *User) {
	if u != nil {
		u.idle.Or(i.bit)
	}
}

// Note marks a session, for whatever the module means by it, until the session is gone.
func (i Interest) Note(s *Session) { s.notes.Or(i.bit) }

// Unnote takes back Note.
func (i Interest) Unnote(s *Session) { s.notes.And(^i.bit) }

// Noted reports whether Note was called for the session.
func (i Interest) Noted(s *Session) bool { return s.notes.Load()&i.bit != 0 }

// Interest is the set of marks on the account; all of them for a nil User.
func (u *User) Interest() uint32 {
	if u == nil {
		return everybody
	}
	return ^u.idle.Load()
}
