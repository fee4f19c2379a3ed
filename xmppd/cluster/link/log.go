package link

import (
	"context"
	"errors"
	"net"
)

// notDialed tells why there is no stream to a peer.
func (m *Mesh) notDialed(name string, err error) {
	var refused *RefusedError
	switch {
	case errors.Is(err, context.Canceled) || m.ctx.Err() != nil:
	case errors.As(err, &refused) && (refused.Reason == refusedUnknown || refused.Reason == refusedBusy):
		m.log.Debug("server is not ready yet", "reason", refused.Text, "server", name)
	case refused != nil:
		m.notices.Warn("server refuses this one", "reason", refused.Text, "server", name)
	default:
		m.notices.Warn("server can't be reached", "server", name, "reason", err)
	}
}

// notWelcome tells why a stream of a peer was not taken.
func (m *Mesh) notWelcome(conn net.Conn, err error) {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	var refused *RefusedError
	switch {
	case m.ctx.Err() != nil:
	case errors.As(err, &refused) && (refused.Reason == refusedUnknown || refused.Reason == refusedBusy):
		m.log.Debug("server is not taken yet", "reason", refused.Text, "peer", host)
	case refused != nil:
		m.notices.Warn("server refused", "reason", refused.Text, "peer", host)
	default:
		m.notices.Warn("connection on the cluster's port refused", "peer", host, "reason", err.Error())
	}
}
