package appclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"
)

// Config says who logs in where.
type Config struct {
	JID      string   // bare JID of the application's account
	Password string   //
	Addrs    []string // XMPP servers as host:port; empty: SRV records of the JID's domain

	// RootCAs verify the server's certificate; nil uses the system's.
	RootCAs *x509.CertPool
	// TLS, when set, is used instead of RootCAs, for client certificates and the like.
	TLS               *tls.Config
	DirectTLS         bool // TLS from the first byte; else STARTTLS
	InsecurePlaintext bool // no TLS; loopback only

	Resource string       // empty: a random one, so that many clients share an account
	Logger   *slog.Logger // nil: nothing is logged

	// TryTimeout is how long one try of an operation waits for its answer
	// before the next candidate is asked; 0: 1 s.
	TryTimeout time.Duration
	// MaxStanza is the server's limit on a stanza in bytes; larger requests are
	// sent in parts. 0: 256 KiB.
	MaxStanza int
}

// FromDev reads the JSON that `ringctl dev up -o json` printed, and returns the
// configuration of its application account.
func FromDev(file string) (Config, error) { return Config{}, ErrUnavailable }

// Client is a connection to a cluster. Safe for concurrent use.
type Client struct{}

// Dial logs in, finds the data nodes, fetches the ring and returns when the
// store can be used. The error of a context that ended says what was missing.
func Dial(ctx context.Context, cfg Config) (*Client, error) { return nil, ErrUnavailable }

// Close ends the client and waits for its goroutines. Operations under way end
// with ErrUnavailable or ErrUnknownOutcome.
func (c *Client) Close() error { return nil }

// Root returns the root object of that name. It is not looked up.
func (c *Client) Root(name string) Root { return Root{c: c, name: name} }

// Resolve reads the object that ref points to. A dangling reference is
// ErrNotFound. Errors: as of Root.Get.
func (c *Client) Resolve(ctx context.Context, ref Ref) (*Object, error) {
	return c.Root(ref.Root).Get(ctx, ref.Path)
}

// Placement is where a root lives.
type Placement struct {
	Epoch     uint64
	Partition uint32
	Leader    string   // full JID that this client asks first
	Replicas  []string // full JIDs, the preferred leader first
}

// Where computes a root's placement from the ring the client knows.
func (c *Client) Where(root string) Placement { return Placement{} }

// Stats counts what the client did since Dial.
type Stats struct {
	Epoch      uint64
	Nodes      int    // data nodes available now
	Retries    uint64 // tries beyond the first
	Redirects  uint64
	Stanzas    uint64 // sent with operations
	Operations uint64
	Logins     uint64
}

// Stats returns the counters.
func (c *Client) Stats() Stats { return Stats{} }
