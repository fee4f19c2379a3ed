package xmppconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// Errors of the package. Run wraps them with the server's own words.
var (
	// ErrAuth: the server refused the credentials. Run ends with it: trying a
	// wrong password again only locks the account.
	ErrAuth = errors.New("the server refused the login; check the JID and the password")
	// ErrPolicy: the server or this package will not have the connection as it
	// is configured (unknown host, TLS that cannot be verified, plaintext to a
	// host that is not loopback). Run ends with it.
	ErrPolicy = errors.New("connection not permitted as configured")
	// ErrReplaced: another client logged in under the same full JID and the
	// server gave it the place. Run ends with it, or the two would throw each
	// other out for ever.
	ErrReplaced = errors.New("another client logged in under the same full JID; give each its own account or resource")
	// ErrClosed: the connection is gone; what was sent on it may be lost.
	ErrClosed = errors.New("connection closed")
	// ErrOverflow: the peer does not read as fast as stanzas are sent and the
	// queue is full. The stanza was not sent.
	ErrOverflow = errors.New("send queue is full; the server does not keep up")
)

// Defaults of Config's fields that are zero.
const (
	DefaultPingAfter   = 3 * time.Second
	DefaultDeadAfter   = 8 * time.Second
	DefaultDialTimeout = 5 * time.Second
	DefaultMaxQueue    = 32 << 20 // bytes
)

// Config says who logs in where.
type Config struct {
	JID      string // bare JID; a resource in it counts where Resource is empty
	Password string
	Resource string // wanted resource; empty lets the server choose
	// Addrs are tried in turn, as host:port, beginning with the first; behind a stream
	// that has ended, with the next one. Empty: the SRV records of the domain (RFC 6120
	// section 3.2), then port 5222 of the domain itself. A server may send the client to
	// another one of its domain (see-other-host), which is tried at once; what is
	// verified there is still the domain.
	Addrs []string
	// Zone is where this client is; servers of a cluster that have zones send it to one
	// of its own. Empty: it doesn't matter.
	Zone      string
	DirectTLS bool // TLS from the first byte (XEP-0368); else STARTTLS
	// TLS holds the roots and the like; nil uses the system's. ServerName is
	// the domain of JID when empty. Certificates are always verified.
	TLS *tls.Config
	// InsecurePlaintext logs in without TLS. Refused unless the server's
	// address is a loopback one. For measurements.
	InsecurePlaintext bool
	Logger            *slog.Logger // nil: nothing is logged

	PingAfter time.Duration // silence after which the server is pinged (XEP-0199)
	DeadAfter time.Duration // silence after which the stream is given up
	// DialTimeout is for one server: connect, TLS and login. It doubles, to a minute at most, while attempts take longer:
	// the server or this machine is busy then, and giving up only makes more of that.
	DialTimeout time.Duration
	MaxQueue    int // bytes that may wait for the socket

	// OnRetry, when set, is told of each failed attempt and the pause until the
	// next. It is called from Run's goroutine.
	OnRetry func(err error, after time.Duration)

	place  *place                                                   // in a pair
	dial   func(ctx context.Context, addr string) (net.Conn, error) // nil: by TCP
	faults faults
}

// Handler is the owner of a stream. Its methods are called from one goroutine,
// never at the same time; they must not block.
type Handler interface {
	// Up is called after each login, before the first stanza. Send presence here.
	Up(c *Conn)
	// Stanza is called for each stanza, in order. st and the bytes it refers to
	// are valid during the call only. False says that the stanza is nobody's:
	// an IQ get or set is then answered with service-unavailable (RFC 6120
	// section 8.4), anything else dropped.
	Stanza(c *Conn, st *stanza.Stanza) bool
	// Idle is called when all bytes read so far were handled, before waiting
	// for more: the moment to flush what was bundled.
	Idle(c *Conn)
	// Down is called once for each Up, when that stream has ended.
	Down(err error)
}

// Filler is a Handler that bundles by itself. Before each write the writer's
// goroutine lets it append stanzas to the batch, so that what gathers during
// one write leaves in the next, without a queue between. Conn.Flush asks for
// it. Fill must not block, and appends nothing when there is nothing to send.
type Filler interface {
	Handler
	Fill(c *Conn, b []byte) []byte
}

// withDefaults checks cfg and fills in what is zero.
func (cfg Config) withDefaults() (Config, stanza.JID, error) {
	j, err := stanza.ParseJID(cfg.JID)
	if err != nil {
		return cfg, j, fmt.Errorf("%w: JID %q: %w", ErrPolicy, cfg.JID, err)
	}
	if j.Local == "" {
		return cfg, j, fmt.Errorf("%w: JID %q has no account part; write user@domain", ErrPolicy, cfg.JID)
	}
	if cfg.Resource == "" {
		cfg.Resource = j.Resource
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&cfg.PingAfter, DefaultPingAfter)
	setDefault(&cfg.DeadAfter, DefaultDeadAfter)
	setDefault(&cfg.DialTimeout, DefaultDialTimeout)
	setDefault(&cfg.MaxQueue, DefaultMaxQueue)
	if cfg.dial == nil {
		cfg.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	return cfg, j, nil
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
