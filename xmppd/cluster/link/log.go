package link

import (
	"context"
	"errors"
	"net"
)

// absence is why a peer is not connected.
type absence struct {
	reason  string
	refused bool // by the peer
}

// notDialed tells why there is no stream to a peer.
func (m *Mesh) notDialed(p *peer, err error) {
	name := p.name
	var refused *RefusedError
	switch {
	case End(p.ends.Load()) == Stopped:
		m.log.Debug("server that has stopped is not there", "server", name, "reason", err)
	case errors.Is(err, context.Canceled) || m.ctx.Err() != nil:
	case errors.As(err, &refused) && (refused.Reason == refusedUnknown || refused.Reason == refusedBusy):
		m.log.Debug("server is not ready yet", "reason", refused.Text, "server", name)
	case refused != nil:
		p.why.Store(&absence{refused.Text, true})
		m.notices.Warn("server refuses this one", "reason", refused.Text, "server", name)
	default:
		p.why.Store(&absence{err.Error(), false})
		m.notices.Warn("server can't be reached", "server", name, "reason", err)
	}
}

// notWelcome tells why a stream of a peer was not taken.
func (m *Mesh) notWelcome(conn net.Conn, err error) {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	var refused *RefusedError
	if reason := reasonOf(err); reason != "" && m.ctx.Err() == nil {
		m.cfg.Refused(reason)
	}
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

// Reasons for which a connection is refused, beside those that the peer is told.
const (
	reasonCertificate = "certificate" // none, or of another authority, at either end
	reasonImpostor    = "impostor"    // of this cluster, and not of the server that it says
	reasonHello       = "hello"       // TLS, and then nothing of a server
	reasonTLS         = "tls"         // no TLS, or none in time
	reasonFlood       = "flood"       // too many at once
)

// errHello: what comes behind TLS is no server's.
var errHello = errors.New("it is no server of a cluster")

// Reasons lists those of Config.Refused.
func Reasons() []string {
	return []string{
		refusedVersion, refusedCluster, refusedData, refusedName, refusedClock,
		reasonCertificate, reasonImpostor, reasonHello, reasonTLS,
	}
}

// reasonOf is what a refused connection counts as; "" for a server that is only not taken yet.
func reasonOf(err error) string {
	var refused *RefusedError
	switch {
	case errors.As(err, &refused) && (refused.Reason == refusedUnknown || refused.Reason == refusedBusy):
		return ""
	case refused != nil:
		return refused.Reason
	case errors.Is(err, errName):
		return reasonImpostor
	case errors.Is(err, errHello):
		return reasonHello
	case errors.Is(err, errCertificate):
		return reasonCertificate
	}
	return reasonTLS
}
