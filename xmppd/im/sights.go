package im

import (
	"maps"
	"strings"
	"sync"
)

// sights are the sessions of other servers that sessions here have seen, by server. Whoever calls
// Service.Told changes them; all may ask.
type sights struct {
	mu sync.Mutex
	m  map[string]map[string]*sight   // by server and full JID
	by map[string]map[string]struct{} // full JIDs that are in m, by account
	// doubts are sessions here, by the full JID of one whose presence was directed to them, that wait for somebody to confirm that.
	doubts map[string]map[string]struct{}
}

// sight is a session that was seen.
type sight struct {
	directed map[string]struct{} // full JIDs of sessions here that got its presence directed
	shown    bool                // as all get it that may see it, not only directed
	parted   map[string]struct{} // accounts that are not subscribed any more and have not heard that it is gone
	moved    bool                // it was seen at another server before: what was said last by the two may have come first
	turns    int                 // how often it was seen at another server since one has said that it has left, or was cut off
	doubted  bool                // its server has said that it has left, and nothing of it since
}

// see takes note of a session at a server, and returns to which sessions here it had directed presence by what another server
// has said, where it was seen until now.
func (v *sights) see(server, full string) (left map[string]struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	moved, turns := false, 0
	var parted map[string]struct{}
	for other, seen := range v.m {
		if x := seen[full]; other != server && x != nil {
			moved, turns, left, parted = true, x.turns+1, x.directed, x.parted
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
		v.m[server][full] = &sight{moved: moved, turns: turns, parted: parted}
	}
	v.m[server][full].doubted = false
	account := bareOf(full)
	if v.by[account] == nil {
		v.by[account] = make(map[string]struct{})
	}
	v.by[account][full] = struct{}{}
	return left
}

// show takes note that a session has not only directed its presence.
func (v *sights) show(server, full string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x := v.m[server][full]; x != nil {
		x.shown = true
	}
}

// shown appends the sessions of an account that have not only directed their presence.
func (v *sights) shown(out []string, account string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for full := range v.by[account] {
		for _, seen := range v.m {
			if x := seen[full]; x != nil && x.shown {
				out = append(out, full)
			}
		}
	}
	return out
}

// part takes note that an account is not subscribed to another one any more.
func (v *sights) part(account, peer string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for full := range v.by[account] {
		for _, seen := range v.m {
			if x := seen[full]; x != nil && x.shown {
				if x.parted == nil {
					x.parted = make(map[string]struct{})
				}
				x.parted[peer] = struct{}{}
			}
		}
	}
}

// told takes note that accounts have heard what a session is: gone, or shown to them anew.
func (v *sights) told(server, full string, accounts []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x := v.m[server][full]; x != nil && len(x.parted) > 0 {
		for _, a := range accounts {
			delete(x.parted, a)
		}
	}
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

// at takes note of a session that a server has got, which directs presence to some sessions here. It returns to which others it did by what
// was told before, by that server too.
func (v *sights) at(server, full string, to map[string]struct{}, own bool) (left map[string]struct{}) {
	left = maps.Clone(v.see(server, full))
	v.mu.Lock()
	defer v.mu.Unlock()
	if left == nil {
		left = make(map[string]struct{})
	}
	if x := v.m[server][full]; x != nil && own {
		maps.Copy(left, x.directed)
	}
	for t := range to {
		v.directLocked(server, full, t)
		delete(left, t)
	}
	return left
}

func (v *sights) direct(server, full, to string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.directLocked(server, full, to)
}

// directLocked is direct while mu is held.
func (v *sights) directLocked(server, full, to string) {
	x := v.m[server][full]
	if x == nil {
		return // it has come here meanwhile
	}
	if x.directed == nil {
		x.directed = make(map[string]struct{})
	}
	x.directed[to] = struct{}{}
	v.believe(full, to)
}

// question takes note that presence which a session has directed to sessions here may be out of date.
func (v *sights) question(full string, to map[string]struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.doubts == nil {
		v.doubts = make(map[string]map[string]struct{})
	}
	if v.doubts[full] == nil {
		v.doubts[full] = make(map[string]struct{})
	}
	maps.Copy(v.doubts[full], to)
}

// unconfirmed forgets the directed presence of which nothing was heard since question, and returns to whom it was directed.
func (v *sights) unconfirmed(full string, to map[string]struct{}) map[string]struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make(map[string]struct{})
	for t := range to {
		if _, is := v.doubts[full][t]; !is {
			continue
		}
		v.believe(full, t)
		out[t] = struct{}{}
		for _, seen := range v.m {
			if x := seen[full]; x != nil {
				delete(x.directed, t)
			}
		}
	}
	return out
}

// believe ends a doubt. mu must be held.
func (v *sights) believe(full, to string) {
	if delete(v.doubts[full], to); len(v.doubts[full]) == 0 {
		delete(v.doubts, full)
	}
}

func (v *sights) undirect(server, full, to string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x := v.m[server][full]; x != nil {
		delete(x.directed, to)
	}
}

// pick forgets a session that is seen at a server, and returns what was known; nil: it is not seen there.
func (v *sights) pick(server, full string) *sight {
	v.mu.Lock()
	defer v.mu.Unlock()
	x := v.m[server][full]
	delete(v.m[server], full)
	v.unlist(full)
	return x
}

// doubt takes note that a session has left a server, and reports whether it was last seen there.
func (v *sights) doubt(server, full string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	x := v.m[server][full]
	if x == nil {
		return false
	}
	x.doubted = true
	return true
}

// crossed reports whether two servers have told of a session in turns: what was heard last may not be what was said last. It says so once.
func (v *sights) crossed(full string) (is bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, seen := range v.m {
		if x := seen[full]; x != nil {
			is, x.turns = is || x.turns > 1, 0
		}
	}
	return is
}

// allCrossed appends the sessions of which crossed has not told, in any order.
func (v *sights) allCrossed(out []string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, seen := range v.m {
		for full, x := range seen {
			if x.turns > 1 {
				out, x.turns = append(out, full), 0
			}
		}
	}
	return out
}

// pickDoubted forgets a session that nothing was heard of since doubt, and returns what was known; nil: there is none.
func (v *sights) pickDoubted(server, full string) *sight {
	v.mu.Lock()
	defer v.mu.Unlock()
	x := v.m[server][full]
	if x == nil || !x.doubted {
		return nil
	}
	delete(v.m[server], full)
	v.unlist(full)
	return x
}

// directs reports whether a session has directed presence to one that is here.
func (v *sights) directs(full, to string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, seen := range v.m {
		if x := seen[full]; x != nil {
			if _, is := x.directed[to]; is {
				return true
			}
		}
	}
	return false
}

// directing appends the sessions that have directed presence to one that is here. It looks at all that are seen.
func (v *sights) directing(out []string, to string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, seen := range v.m {
		for full, x := range seen {
			if _, is := x.directed[to]; is {
				out = append(out, full)
			}
		}
	}
	return out
}

// all appends all sessions that are seen.
func (v *sights) all(out []string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, seen := range v.m {
		for full := range seen {
			out = append(out, full)
		}
	}
	return out
}

// came forgets a session that is here now, and returns to which sessions here it had directed presence by what its last server has said.
func (v *sights) came(full string) (left map[string]struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, seen := range v.m {
		if x := seen[full]; x != nil {
			left = x.directed
			delete(seen, full)
		}
	}
	v.unlist(full)
	return left
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
