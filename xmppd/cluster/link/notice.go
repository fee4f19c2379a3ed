package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// noticeEvery is how often one line is written that others can cause as often as they like.
const noticeEvery = time.Minute

// notices write a line, by its message and its first argument, once in a while.
type notices struct {
	log *slog.Logger

	mu   sync.Mutex
	next map[notice]time.Time
}

type notice struct {
	msg  string
	what any
}

const maxNotices = 256 // kinds that are remembered

func (n *notices) warn(msg string, args ...any) {
	k, now := notice{msg: msg}, time.Now()
	for _, a := range args {
		if s, ok := a.(string); ok {
			k.what = s // the last string
		}
	}
	n.mu.Lock()
	again := now.Before(n.next[k])
	if !again {
		if n.next == nil || len(n.next) >= maxNotices {
			n.next = make(map[notice]time.Time)
		}
		n.next[k] = now.Add(noticeEvery)
	}
	n.mu.Unlock()
	if !again {
		n.log.Warn(msg, args...)
	}
}

// notDialed tells why there is no stream to a peer.
func (m *Mesh) notDialed(name string, err error) {
	var refused *RefusedError
	switch {
	case errors.Is(err, context.Canceled) || m.ctx.Err() != nil:
	case errors.As(err, &refused) && (refused.Reason == refusedUnknown || refused.Reason == refusedBusy):
		m.log.Debug("server is not ready yet", "server", name, "reason", refused.Text)
	case refused != nil:
		m.notices.warn("server refuses this one", "server", name, "reason", refused.Text)
	default:
		m.notices.warn("server can't be reached", "server", name, "reason", err.Error())
	}
}

// notWelcome tells why a stream of a peer was not taken.
func (m *Mesh) notWelcome(conn net.Conn, err error) {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	var refused *RefusedError
	switch {
	case m.ctx.Err() != nil:
	case errors.As(err, &refused) && (refused.Reason == refusedUnknown || refused.Reason == refusedBusy):
		m.log.Debug("server is not taken yet", "peer", host, "reason", refused.Text)
	case refused != nil:
		m.notices.warn("server refused", "peer", host, "reason", refused.Text)
	default:
		m.notices.warn("connection on the cluster's port refused", "peer", host, "reason", err.Error())
	}
}
