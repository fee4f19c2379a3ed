package im

import "strings"

// sights are the sessions of other servers that sessions here have seen, by server. Whoever calls
// Service.Told owns them.
type sights struct {
	m map[string]map[string]*sight // by server and full JID
}

// sight is a session that was seen.
type sight struct {
	directed map[string]struct{} // full JIDs of sessions here that got its presence directed
}

func (v *sights) see(server, full string) {
	for other, seen := range v.m {
		if other != server {
			delete(seen, full) // it is there now
		}
	}
	if v.m == nil {
		v.m = make(map[string]map[string]*sight)
	}
	if v.m[server] == nil {
		v.m[server] = make(map[string]*sight)
	}
	if v.m[server][full] == nil {
		v.m[server][full] = new(sight)
	}
}

// elsewhere reports whether a session was last seen at another server.
func (v *sights) elsewhere(server, full string) bool {
	for other, seen := range v.m {
		if other != server && seen[full] != nil {
			return true
		}
	}
	return false
}

func (v *sights) direct(server, full, to string) {
	x := v.m[server][full]
	if x.directed == nil {
		x.directed = make(map[string]struct{})
	}
	x.directed[to] = struct{}{}
}

func (v *sights) undirect(server, full, to string) {
	if x := v.m[server][full]; x != nil {
		delete(x.directed, to)
	}
}

func (v *sights) forget(server, full string) { delete(v.m[server], full) }

// take returns what was seen of a server, and forgets it.
func (v *sights) take(server string) map[string]*sight {
	out := v.m[server]
	delete(v.m, server)
	return out
}

// bareOf is a JID without its resource.
func bareOf(full string) string {
	bare, _, _ := strings.Cut(full, "/")
	return bare
}
