package xmppconn

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"github.com/rosterdb/rosterdb/internal/rawio"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// byteConn is a connection with a buffer in front that mellium's decoder reads
// byte by byte (it is an io.ByteReader). Without it the decoder would read
// ahead and keep what belongs to our scanner.
type byteConn struct {
	net.Conn
	r *bufio.Reader
}

func newByteConn(c net.Conn) *byteConn {
	return &byteConn{Conn: c, r: bufio.NewReaderSize(c, 16<<10)}
}

func (c *byteConn) Read(p []byte) (int, error) { return c.r.Read(p) }
func (c *byteConn) ReadByte() (byte, error)    { return c.r.ReadByte() }

// ConnectionState lets SASL bind to the TLS channel. The zero value says that
// there is no TLS.
func (c *byteConn) ConnectionState() tls.ConnectionState {
	if t, ok := c.Conn.(*tls.Conn); ok {
		return t.ConnectionState()
	}
	return tls.ConnectionState{}
}

// Addresses returns where a login with cfg connects, as host:port: cfg.Addrs, else what DNS has of the
// domain. Errors: ErrPolicy, of a JID that is none.
func Addresses(ctx context.Context, cfg Config) ([]string, error) {
	checked, account, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return addresses(ctx, &checked, account.Domain), nil
}

// addresses returns where to connect: cfg.Addrs, else the domain's SRV records
// (RFC 6120 section 3.2.1, XEP-0368), else the domain's port 5222 or 5223.
func addresses(ctx context.Context, cfg *Config, domain string) []string {
	if len(cfg.Addrs) > 0 {
		return cfg.Addrs
	}
	service, port := "xmpp-client", "5222"
	if cfg.DirectTLS {
		service, port = "xmpps-client", "5223"
	}
	var out []string
	if _, records, err := net.DefaultResolver.LookupSRV(ctx, service, "tcp", domain); err == nil {
		for _, r := range records {
			out = append(out, net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))))
		}
	}
	if len(out) == 0 {
		out = []string{net.JoinHostPort(domain, port)}
	}
	return out
}

// login connects to addr, negotiates the stream and binds the resource. Errors: *elsewhere
// when another server is to be asked.
func login(ctx context.Context, cfg *Config, account stanza.JID, addr string, t *trail) (_ *byteConn, full string, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.time)
	defer cancel()
	raw, err := cfg.dial(ctx, addr)
	if err != nil {
		return nil, "", slow(ctx, t, fmt.Errorf("connect: %w", err))
	}
	defer func() {
		if err != nil {
			raw.Close() //nolint:errcheck // the first error is the one to tell
		}
	}()
	remote := raw.RemoteAddr().String()
	t.seen = append(t.seen, addr, remote)
	if !cfg.place.dialled(remote, t.hops > 0, &cfg.faults) {
		return nil, "", errSame
	}
	if cfg.InsecurePlaintext && !isLoopback(raw.RemoteAddr()) {
		return nil, "", fmt.Errorf("%w: no plaintext login to %s, which is not a loopback address; leave out the plaintext option", ErrPolicy, addr)
	}
	// mellium's own way of minding ctx may still set deadlines after it has
	// returned; closing the connection is final.
	stop := context.AfterFunc(ctx, func() { raw.Close() }) //nolint:errcheck // nobody to tell
	conn, full, err := negotiate(ctx, cfg, account, raw, t)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, ErrAuth) && !errors.Is(err, ErrPolicy) && ctx.Err() != nil {
		// What failed then was the connection that was closed here.
		err = fmt.Errorf("what listens there takes connections and does not answer as an XMPP server: %w", context.Cause(ctx))
		err = slow(ctx, t, err)
	}
	return conn, full, err
}

// errSlow marks attempts that were given up.
var errSlow = errors.New("no login")

// slow is err, marked if the attempt has taken as long as it may.
func slow(ctx context.Context, t *trail, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w within %v: %w", errSlow, t.time.Round(time.Millisecond), err)
}

func negotiate(ctx context.Context, cfg *Config, account stanza.JID, raw net.Conn, t *trail) (*byteConn, string, error) {
	origin, err := jid.New(account.Local, account.Domain, "")
	if err != nil {
		return nil, "", fmt.Errorf("%w: JID %s: %w", ErrPolicy, account, err)
	}
	var bound string
	features := []xmpp.StreamFeature{saslFeature(cfg), bindFeature(cfg.Resource, &bound), redirectFeature(cfg, t)}
	state := xmpp.Secure
	raw = rawio.Wrap(raw)
	conn := newByteConn(raw)
	proved := cfg.InsecurePlaintext || cfg.DirectTLS // that the server is the domain's
	switch {
	case cfg.InsecurePlaintext:
	case cfg.DirectTLS:
		if conn, err = handshake(ctx, tls.Client(raw, tlsConfig(cfg, account.Domain, t))); err != nil {
			return nil, "", err
		}
	default:
		state = 0
		features = append(features, startTLS(tlsConfig(cfg, account.Domain, t), &proved))
	}
	negotiator := xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
		return xmpp.StreamConfig{Features: features}
	})
	s, err := xmpp.NewSession(context.WithoutCancel(ctx), origin.Domain(), origin, conn, state, negotiator)
	if err != nil {
		return nil, "", fmt.Errorf("negotiate stream: %w", redirected(err, cfg, proved))
	}
	if bound == "" {
		return nil, "", errors.New("negotiate stream: the server offered no resource binding")
	}
	final, ok := s.Conn().(*byteConn)
	if !ok {
		return nil, "", fmt.Errorf("negotiate stream: unexpected connection %T", s.Conn())
	}
	return final, bound, nil
}

// tlsConfig is the same for all servers: also behind a redirect it is the domain's name
// that a server has to prove (RFC 6120 section 4.9.3.19).
func tlsConfig(cfg *Config, domain string, way *trail) *tls.Config {
	t := &tls.Config{}
	if cfg.TLS != nil {
		t = cfg.TLS.Clone()
	}
	if t.ServerName == "" {
		t.ServerName = domain
	}
	if t.MinVersion == 0 {
		t.MinVersion = tls.VersionTLS12
	}
	t.InsecureSkipVerify = cfg.faults.unverified && way.hops > 0
	t.DynamicRecordSizingDisabled = true // batches, not pages: small records only cost system calls
	return t
}

// startTLS is mellium's feature with the handshake done at once and a byteConn
// returned; done is set behind it.
func startTLS(t *tls.Config, done *bool) xmpp.StreamFeature {
	f := xmpp.StartTLS(t)
	inner := f.Negotiate
	f.Negotiate = func(ctx context.Context, s *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
		mask, rw, err := inner(ctx, s, data)
		if err != nil {
			return mask, rw, err
		}
		c, ok := rw.(*tls.Conn)
		if !ok {
			return 0, nil, fmt.Errorf("unexpected TLS connection %T", rw)
		}
		conn, err := handshake(ctx, c)
		if err != nil {
			return 0, nil, err
		}
		*done = true
		return mask, conn, nil
	}
	return f
}

func handshake(ctx context.Context, c *tls.Conn) (*byteConn, error) {
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, explainTLS(err)
	}
	return newByteConn(c), nil
}

// saslFeature is mellium's, with failures marked as ErrAuth unless the server
// says that they are temporary (RFC 6120 section 6.5).
func saslFeature(cfg *Config) xmpp.StreamFeature {
	f := xmpp.SASL("", cfg.Password,
		sasl.ScramSha256Plus, sasl.ScramSha256, sasl.ScramSha1Plus, sasl.ScramSha1, sasl.Plain)
	inner := f.Negotiate
	f.Negotiate = func(ctx context.Context, s *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
		mask, rw, err := inner(ctx, s, data)
		if err != nil {
			err = explainSASL(err)
		}
		return mask, rw, err
	}
	return f
}

func isLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// failureCondition returns the condition of a SASL <failure/>, which mellium
// keeps in an internal type, or "".
func failureCondition(err error) string {
	var failure interface{ TokenReader() xml.TokenReader }
	if !errors.As(err, &failure) {
		return ""
	}
	r := failure.TokenReader()
	for depth := 0; ; {
		tok, err := r.Token()
		if start, ok := tok.(xml.StartElement); ok {
			if depth++; depth == 2 {
				return start.Name.Local
			}
		}
		if err != nil || tok == nil {
			return ""
		}
	}
}

// pause is the back-off before attempt n (from 0), with full jitter: anything up to a
// bound that is 100 ms for the first, doubles, and is 5 s at most. random is in [0, 1).
func pause(n int, random float64) time.Duration {
	const first, most = 100 * time.Millisecond, 5 * time.Second
	d := most
	if n < 6 {
		d = min(first<<n, most)
	}
	return time.Duration(float64(d) * random)
}

// longestTry is what DialTimeout grows to.
const longestTry = time.Minute

// tryTime is how long an attempt may take when so many before, one after the other, were given up. Of a crowd that gives up
// together the next attempts do not: up to a quarter is taken off at random, which is in [0, 1).
func tryTime(first time.Duration, given int, random float64) time.Duration {
	most := max(first, longestTry)
	d := first
	for range given {
		if d *= 2; d >= most {
			d = most
			break
		}
	}
	if given > 0 {
		d -= time.Duration(float64(d) / 4 * random)
	}
	return max(d, first)
}
