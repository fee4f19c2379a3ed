package im

import (
	"strings"
	"sync"
)

// sights are the sessions of other servers that sessions here have seen, by server. Whoever calls
// Service.Told changes them; all may ask.
type sights struct {
	mu sync.Mutex
	m  map[string]map[string]*sight   // by server and full JID
	by map[string]map[string]struct{} // full JIDs that are in m, by account
}

// sight is a session that was seen.
type sight struct {
	directed map[string]struct{} // full JIDs of sessions here that got its presence directed
}

func (v *sights) see(server, full string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for other, seen := range v.m {
		if other != server {
			delete(seen, full) // it is there now
		}
	}
	if v.m == nil {
		v.m, v.by = make(map[string]map[string]*sight), make(map[string]map[string]struct{})
	}
	if v.m[server] == nil {
		v.m[server] = make(map[string]*sight)
	}
	if v.m[server][full] == nil {
		v.m[server][full] = new(sight)
	}
	account := bareOf(full)
	if v.by[account] == nil {
		v.by[account] = make(map[string]struct{})
	}
	v.by[account][full] = struct{}{}
}

// elsewhere reports whether a session was last seen at another server.
func (v *sights) elsewhere(server, full string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for other, seen := range v.m {
		if other != server && seen[full] != nil {
			return true
		}
	}
	return false
}

// has reports whether a session is seen at any server.
func (v *sights) has(full string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, is := v.by[bareOf(full)][full]
	return is
}

// of appends the sessions of an account that are seen.
func (v *sights) of(out []string, account string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for full := range v.by[account] {
		out = append(out, full)
	}
	return out
}

func (v *sights) direct(server, full, to string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x := v.m[server][full]
	if x == nil {
		return // it has come here meanwhile
	}
	if x.directed == nil {
		x.directed = make(map[string]struct{})
	}
	x.directed[to] = struct{}{}
}

func (v *sights) undirect(server, full, to string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x := v.m[server][full]; x != nil {
		delete(x.directed, to)
	}
}

func (v *sights) forget(server, full string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.m[server], full)
	v.unlist(full)
}

// came forgets a session that is here now.
func (v *sights) came(full string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, seen := range v.m {
		delete(seen, full)
	}
	v.unlist(full)
}

// unlist takes a session that no server has from those of its account. mu must be held.
func (v *sights) unlist(full string) {
	for _, seen := range v.m {
		if seen[full] != nil {
			return
		}
	}
	account := bareOf(full)
	if delete(v.by[account], full); len(v.by[account]) == 0 {
		delete(v.by, account)
	}
}

// take returns what was seen of a server, and forgets it.
func (v *sights) take(server string) map[string]*sight {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := v.m[server]
	delete(v.m, server)
	for full := range out {
		v.unlist(full)
	}
	return out
}

// bareOf is a JID without its resource.
func bareOf(full string) string {
	bare, _, _ := strings.Cut(full, "/")
	return bare
}
