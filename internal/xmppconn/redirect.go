package xmppconn

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"mellium.im/xmpp"
	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// nsRedirect is the stream feature of servers that send clients to another server of
// their domain, to those that say that they can follow (docs/xmppd.md).
const nsRedirect = "urn:rosterdb:redirect:0"

// maxRedirects is how often one attempt to connect follows a server to another (RFC
// 6120 section 4.9.3.19 wants a limit between 2 and 5).
const maxRedirects = 2

// elsewhere is a server's word that another one serves the client (see-other-host).
type elsewhere struct{ addr string }

func (e *elsewhere) Error() string { return "stream error: see-other-host: " + e.addr }

// errCircle: following would go where the client was sent away from, or too far.
var errCircle = errors.New("the servers send this client from one to the other")

// errUnproven: the redirect may be anybody's word (RFC 6120 section 4.9.3.19).
var errUnproven = errors.New("redirected to another server before this one had proved its name by TLS; not followed")

// trail is where an attempt to connect has come along.
type trail struct {
	time  time.Duration // that each login may take
	seen  []string      // addresses: as they were given, and as they were dialled
	hops  int           // redirects followed
	from  string        // the server that gave the last one, as it calls itself
	by    string        // its address
	stays bool          // it was not followed: the other stream of a pair is there
}

// follow takes one more redirect, or says why not.
func (t *trail) follow(to string, faults *faults) error {
	if (t.hops >= maxRedirects || slices.Contains(t.seen, to)) && !faults.circles {
		return fmt.Errorf("%w: to %s, after %s", errCircle, to, strings.Join(t.seen, ", "))
	}
	t.hops++
	return nil
}

// faults are what this package's tests plant.
type faults struct {
	circles    bool // follow redirects for ever
	unverified bool // believe any certificate behind a redirect
	sameServer bool // both streams of a pair may be to one server
	hasty      bool // each attempt is given up as soon as the first
	fights     bool // log in again after another login has taken the place
	ownLimits  bool // bound stanzas as servers bound what clients send
}

// hostAddr is the address that a see-other-host names: a host, or an address with
// brackets if it is IPv6, and maybe a port.
func hostAddr(said string, direct bool) (string, error) {
	said = strings.TrimSpace(said)
	host, port, err := net.SplitHostPort(said)
	if err != nil {
		host, port = strings.Trim(said, "[]"), "5222"
		if direct {
			port = "5223"
		}
	}
	if n, err := strconv.Atoi(port); host == "" || err != nil || n < 1 || n > 65535 || strings.ContainsAny(host, " /@<>") {
		return "", fmt.Errorf("redirected to %q, which is no address", said)
	}
	return net.JoinHostPort(host, port), nil
}

// redirected turns a see-other-host into an elsewhere, if the server that has said it is
// the domain's.
func redirected(err error, cfg *Config, proved bool) error {
	var theirs stream.Error
	if !errors.As(err, &theirs) || theirs.Err != "see-other-host" {
		return err
	}
	if !proved {
		return errUnproven
	}
	addr, bad := hostAddr(theirs.Content, cfg.DirectTLS)
	if bad != nil {
		return bad
	}
	return &elsewhere{addr}
}

// redirectFeature tells a server that sends clients elsewhere that this one can follow,
// which zone it prefers, and whether it was sent here: it is not sent on then. The
// server answers <stay/>, or see-other-host.
func redirectFeature(cfg *Config, t *trail) xmpp.StreamFeature {
	return xmpp.StreamFeature{
		Name:       xml.Name{Space: nsRedirect, Local: "redirect"},
		Necessary:  xmpp.Secure,
		Prohibited: xmpp.Authn,
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			var offer struct {
				Server string `xml:"server,attr"`
			}
			return false, &offer.Server, d.DecodeElement(&offer, start)
		},
		Negotiate: func(_ context.Context, s *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
			if err := askRedirect(s, cfg, t); err != nil {
				if name, ok := data.(*string); ok {
					t.from = *name
				}
				// mellium v0.22.0 goes on behind an optional feature that fails, unless it has
				// returned a connection.
				return 0, s.Conn(), err
			}
			return 0, nil, nil
		},
	}
}

func askRedirect(s *xmpp.Session, cfg *Config, t *trail) error {
	req := []byte("<redirect xmlns='" + nsRedirect + "'")
	if cfg.Zone != "" {
		req = stanza.AppendAttr(req, "zone", cfg.Zone)
	}
	switch {
	case t.stays:
		req = stanza.AppendAttr(req, "hops", strconv.Itoa(max(t.hops, 1)))
	case t.hops > 0:
		req = stanza.AppendAttr(req, "hops", strconv.Itoa(t.hops))
		req = stanza.AppendAttr(req, "from", t.from)
	}
	if _, err := s.Conn().Write(append(req, "/>"...)); err != nil {
		return fmt.Errorf("ask for a server: %w", err)
	}
	r := s.TokenReader()
	defer r.Close() //nolint:errcheck // only releases the session's reader
	d := xml.NewTokenDecoder(r)
	tok, err := d.Token()
	if err != nil {
		return fmt.Errorf("ask for a server: %w", err)
	}
	start, ok := tok.(xml.StartElement)
	switch {
	case ok && start.Name == xml.Name{Space: stream.NS, Local: "error"}:
		var e stream.Error
		if err := d.DecodeElement(&e, &start); err != nil {
			return fmt.Errorf("ask for a server: %w", err)
		}
		return e
	case ok && start.Name == xml.Name{Space: nsRedirect, Local: "stay"}:
		return d.Skip() //nolint:wrapcheck // of the stream, as the callers' own reads
	}
	return errors.New("ask for a server: the server's answer is neither <stay/> nor a stream error")
}
