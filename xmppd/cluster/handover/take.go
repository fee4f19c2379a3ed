package handover

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// take is a session that this server is about to get.
type take struct {
	state *session.State
	kept  [][]byte
	sess  *session.Session // once offered
	// listed: the session is here, and its modules wait for what the giver does last.
	listed bool
}

// asks bounds the servers that are asked for one session: it may move while they are.
const asks = 8

// Fetch brings an account's session here if another server has it, or returns when it is known that none does.
func (h *Handover) Fetch(ctx context.Context, user stanza.JID, id string) {
	left, again := h.cfg.Locate(ctx, user.String(), false), false
	for range asks {
		left = slices.DeleteFunc(left, func(s string) bool { return s == h.cfg.Self })
		if len(left) == 0 {
			if again {
				return
			}
			left, again = h.cfg.Locate(ctx, user.String(), true), true
			continue
		}
		server := left[0]
		left = left[1:]
		answer, ok := h.ask(ctx, server, wanted{user.String(), id})
		switch {
		case ok || answer.Moved == h.cfg.Self || ctx.Err() != nil:
			return
		case answer.Moved != "":
			left = []string{answer.Moved}
		}
	}
}

// ask wants a session of a server. It reports whether that has come.
func (h *Handover) ask(ctx context.Context, server string, w wanted) (none, bool) {
	at := key{server, h.number()}
	answer := make(chan none, 1)
	h.mu.Lock()
	h.fetches[at] = answer
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.fetches, at)
		h.mu.Unlock()
	}()
	frame, err := appendJSON(head(kindWant, at.number), w)
	if err == nil {
		err = h.send(server, frame)
	}
	if err != nil {
		h.log.Debug("session not asked for", "server", server, "error", err)
		return none{}, false
	}
	select {
	case a, open := <-answer:
		return a, !open
	case <-ctx.Done():
		return none{}, false
	}
}

// answer ends a question: with a session that is here now, or without. mu must be held.
func (h *Handover) answer(at key, got bool, n none) {
	c := h.fetches[at]
	if c == nil {
		return
	}
	delete(h.fetches, at)
	if !got {
		c <- n
		return
	}
	close(c)
}

// asTaker takes what a server says that has a session.
func (h *Handover) asTaker(at key, k kind, rest []byte) error {
	switch k {
	case kindNone:
		var n none
		if err := json.Unmarshal(rest, &n); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		h.mu.Lock()
		h.answer(at, false, n)
		h.mu.Unlock()
	case kindState:
		st := new(session.State)
		if err := json.Unmarshal(rest, st); err != nil {
			return fmt.Errorf("state: %w", err)
		}
		h.begin(at, st)
	case kindStanzas:
		list, err := cutStanzas(rest)
		if err != nil {
			return err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if t := h.takes[at]; t != nil {
			t.kept = append(t.kept, list...)
		}
	case kindOffer:
		h.offered(at)
	case kindCommit:
		h.committed(at)
	case kindCancel, kindLeft:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(at)
	case kindHanded:
		full, raw, err := cutSized(rest)
		if err != nil {
			return err
		}
		if raw = slices.Clone(raw); !h.cfg.Sessions.Put(string(full), raw) {
			h.cfg.Sessions.Late(string(full), raw, false)
		}
	case kindWant, kindReady, kindRefused, kindDone:
	}
	return nil
}

// begin takes note of a session that is going to be offered, if it was asked for or is pushed.
func (h *Handover) begin(at key, st *session.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.number&pushed != 0 || h.fetches[at] != nil {
		h.takes[at] = &take{state: st}
	}
}

// offered makes the session, and says that it is ready for more.
func (h *Handover) offered(at key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.takes[at]
	if t == nil || h.closed {
		h.drop(at)
		h.tell(at.server, kindRefused, at.number)
		return
	}
	var err error
	if t.sess, err = h.cfg.Sessions.Adopt(t.state); err != nil {
		h.log.Warn("a session of another server can't be taken over", "server", at.server, "error", err)
		h.drop(at)
		h.tell(at.server, kindRefused, at.number)
		return
	}
	h.tell(at.server, kindReady, at.number)
}

// committed lists the session.
func (h *Handover) committed(at key) {
	h.mu.Lock()
	t := h.takes[at]
	if t == nil || t.sess == nil || t.listed {
		h.mu.Unlock()
		return // never: the giver commits what is ready
	}
	if t.listed = true; !t.state.Waits {
		delete(h.takes, at)
	}
	if h.cfg.Faults.ForgetUnacked {
		t.kept = nil
	}
	t.sess.Out.Keep(t.kept...)
	h.cfg.Sessions.List(t.sess, t.state, t.kept)
	h.answer(at, true, none{})
	h.mu.Unlock()
	h.counts.In.Add(1)
	h.log.Debug("session taken over", "jid", t.sess.Full, "server", at.server, "stanzas", len(t.kept))
	finish := func() {
		h.cfg.Sessions.Listed(h.ctx, t.sess)
		h.tell(at.server, kindDone, at.number)
	}
	if !h.run(finish) {
		h.tell(at.server, kindDone, at.number)
	}
}

// drop forgets a session that this server does not get after all, or that is wholly here. mu must be held.
func (h *Handover) drop(at key) {
	switch t := h.takes[at]; {
	case t == nil || t.sess == nil:
	case !t.listed:
		h.cfg.Sessions.Abandon(t.sess)
	case !h.closed:
		h.wg.Go(func() { h.cfg.Sessions.Available(h.ctx, t.sess) })
	}
	delete(h.takes, at)
	h.answer(at, false, none{})
}
