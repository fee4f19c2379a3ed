package directory

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Session is what the directory knows of a session.
type Session struct {
	Resource string
	Priority int   // of its presence; session.Unavailable without
	Bound    int64 // when it was bound, Unix ns of its server
}

// Holding is the sessions of an account that one server has.
type Holding struct {
	Server   string
	Sessions []Session
}

// Entry is where the sessions of an account are, by server. It must not be changed.
type Entry []Holding

// Of returns the sessions that a server has.
func (e Entry) Of(server string) []Session {
	for _, h := range e {
		if h.Server == server {
			return h.Sessions
		}
	}
	return nil
}

// Find returns the server that has a resource; empty if none has.
func (e Entry) Find(resource string) string {
	for _, h := range e {
		if slices.ContainsFunc(h.Sessions, func(s Session) bool { return s.Resource == resource }) {
			return h.Server
		}
	}
	return ""
}

// Best returns the server that a message to the bare JID goes to: the one with the highest priority
// that is not negative (RFC 6121 section 8.5.2.1.1); of several with that priority self, if it is one
// of them, or else one that is near. Without such a session it is one that has any, for it knows best;
// empty if none has.
func (e Entry) Best(self string, near func(server string) bool) string {
	server, best, closest := "", 0, 0
	for _, h := range e {
		way := 0
		switch {
		case h.Server == self:
			way = 2
		case near(h.Server):
			way = 1
		}
		for _, s := range h.Sessions {
			p := max(s.Priority, -1)
			if server == "" || p > best || p == best && way > closest {
				server, best, closest = h.Server, p, way
			}
		}
	}
	return server
}

// with returns an entry in which a server has other sessions.
func (e Entry) with(server string, sessions []Session) Entry {
	out := make(Entry, 0, len(e)+1)
	for _, h := range e {
		if h.Server != server {
			out = append(out, h)
		}
	}
	if len(sessions) > 0 {
		out = append(out, Holding{server, sessions})
	}
	slices.SortFunc(out, func(a, b Holding) int {
		if a.Server < b.Server {
			return -1
		}
		return 1
	})
	return out
}

// errShort is a frame that ends too early.
var errShort = errors.New("frame of the directory is cut short")

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func cutString(b []byte) (s string, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, errShort
	}
	return string(b[size : size+int(n)]), b[size+int(n):], nil //nolint:gosec // not more than there is
}

func appendSessions(b []byte, list []Session) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s.Resource)
		b = binary.AppendVarint(b, int64(s.Priority))
		b = binary.AppendVarint(b, s.Bound)
	}
	return b
}

func cutSessions(b []byte) (list []Session, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return nil, nil, errShort
	}
	b = b[size:]
	for range n {
		var s Session
		if s.Resource, b, err = cutString(b); err != nil {
			return nil, nil, err
		}
		prio, size := binary.Varint(b)
		if size <= 0 {
			return nil, nil, errShort
		}
		b = b[size:]
		bound, size := binary.Varint(b)
		if size <= 0 {
			return nil, nil, errShort
		}
		s.Priority, s.Bound, b = int(prio), bound, b[size:]
		list = append(list, s)
	}
	return list, b, nil
}

func appendEntry(b []byte, e Entry) []byte {
	b = binary.AppendUvarint(b, uint64(len(e)))
	for _, h := range e {
		b = appendSessions(appendString(b, h.Server), h.Sessions)
	}
	return b
}

func cutEntry(b []byte) (e Entry, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return nil, nil, errShort
	}
	b = b[size:]
	for range n {
		var h Holding
		if h.Server, b, err = cutString(b); err != nil {
			return nil, nil, err
		}
		if h.Sessions, b, err = cutSessions(b); err != nil {
			return nil, nil, err
		}
		e = append(e, h)
	}
	return e, b, nil
}
