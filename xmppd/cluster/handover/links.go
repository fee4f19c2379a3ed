package handover

import "time"

// Up takes note of a server that is connected. What became of "commit" on a link before is known by now: it has
// come, unless Undelivered has said otherwise.
func (h *Handover) Up(server string) {
	for _, g := range h.givesTo(server) {
		if h.become(g, committed, settled) {
			continue
		}
		if s := h.stageOf(g); s == back || s == doubtful {
			h.mu.Lock()
			delete(h.gives, g.at)
			h.mu.Unlock()
		}
	}
}

// Down takes note of a server that is cut off: what it has only offered, or was only offered, stays where it was.
func (h *Handover) Down(server string) {
	for _, g := range h.givesTo(server) {
		h.become(g, offered, back)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := range h.takes {
		if at.server == server {
			h.drop(at)
		}
	}
	for at := range h.fetches {
		if at.server == server {
			h.answer(at, false, none{})
		}
	}
}

func (h *Handover) givesTo(server string) (out []*give) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at, g := range h.gives {
		if at.server == server {
			out = append(out, g)
		}
	}
	return out
}

// undelivered takes back a frame that a server did not get, or may not have got.
func (h *Handover) undelivered(server string, frame []byte, _ time.Time, doubt bool) {
	k, number, rest, err := cutHead(frame)
	if err != nil {
		return
	}
	h.mu.Lock()
	g := h.gives[key{server, number}]
	h.mu.Unlock()
	switch {
	case k == kindCommit && g != nil && doubt:
		h.become(g, committed, doubtful)
	case k == kindCommit && g != nil:
		h.become(g, committed, back)
	case k == kindHanded:
		full, raw, err := cutSized(rest)
		if err == nil {
			h.handedBack(g, string(full), append([]byte(nil), raw...), doubt)
		}
	}
}

// handedBack takes care of a stanza that was sent behind a session and has not come there. As long as that is
// not settled it is kept for it here.
func (h *Handover) handedBack(g *give, full string, raw []byte, doubt bool) {
	if g != nil {
		h.mu.Lock()
		open := g.stage != settled
		if open {
			g.returned = append(g.returned, lateStanza{raw, doubt})
		}
		h.mu.Unlock()
		if open {
			return
		}
	}
	h.cfg.Sessions.Late(full, raw, doubt)
}
