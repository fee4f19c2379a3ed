package c2s

import (
	"context"
	"crypto/tls"
	"net/netip"
	"runtime"
	"time"
)

// Settings are the part of a configuration that can change while the server runs. A stream keeps
// the settings that it began with until its resource is bound. Zero values of the limits stand for
// the defaults given.
type Settings struct {
	TLS *tls.Config // nil: no TLS at all

	Auth       Authenticator
	Mechanisms []string // SASL mechanisms to offer, of those that the Authenticator allows; nil: all
	// Clients says which client certificates are believed (EXTERNAL). TLS must ask for them.
	Clients ClientCertificates
	// LoggedIn is called when a user has authenticated, before the client is told; an error makes it
	// a temporary failure. nil: nothing to do.
	LoggedIn func(ctx context.Context, name string) error

	Conflict           Conflict
	SessionsPerAccount int // 0: 50

	MaxConnections         int           // 0: 100,000
	Negotiation            time.Duration // from accepting a connection to a bound resource; 0: 30 s
	LoginRate              int           // streams that begin in a second, others wait; 0: 2,000 a processor
	ConnectionsPerAddress  int           // 0: 2,000
	ConnectionRate         int           // new connections of one address in a minute; 0: 6,000
	LoginAttemptsByAddress int           // failed ones in a minute; 0: 60
	LoginAttemptsByAccount int           // failed ones on one account in a minute, from one address; 0: 20
	Exempt                 []netip.Prefix
	KeepAlive              time.Duration // silence after which a peer is asked whether it is there; 0: 2 minutes
	Pace                   Pace
}

// Conflict is what happens when a client wants a resource that is bound already (RFC 6120 section
// 7.7.2.2).
type Conflict uint8

// The three ways of the RFC.
const (
	Replace Conflict = iota // the older stream ends with a conflict
	Refuse                  // the newer request fails with a conflict
	Rename                  // the newer stream gets another resource
)

func (s Settings) withDefaults() *Settings {
	s.SessionsPerAccount = orDefault(s.SessionsPerAccount, 50)
	s.MaxConnections = orDefault(s.MaxConnections, 100_000)
	s.ConnectionsPerAddress = orDefault(s.ConnectionsPerAddress, 2000)
	s.LoginRate = orDefault(s.LoginRate, 2000*runtime.GOMAXPROCS(0))
	s.ConnectionRate = orDefault(s.ConnectionRate, 6000)
	s.LoginAttemptsByAddress = orDefault(s.LoginAttemptsByAddress, 60)
	s.LoginAttemptsByAccount = orDefault(s.LoginAttemptsByAccount, 20)
	if s.Negotiation == 0 {
		s.Negotiation = 30 * time.Second
	}
	if s.KeepAlive == 0 {
		s.KeepAlive = 2 * time.Minute
	}
	s.Pace.withDefaults()
	return &s
}

// exempt reports whether the limits by address don't count for a peer.
func (s *Settings) exempt(addr netip.Addr) bool {
	for _, p := range s.Exempt {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Apply changes the settings for streams that begin from now on.
func (s *Server) Apply(set Settings) {
	now := set.withDefaults()
	s.gate.apply(now)
	s.settings.Store(now)
}
