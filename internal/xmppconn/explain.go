package xmppconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"

	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// tlsError is a server that could not be verified: final at the first login,
// worth another try later (certificates get renewed).
type tlsError struct {
	err    error
	advice string
}

func (e *tlsError) Error() string { return "TLS: " + e.err.Error() + "; " + e.advice }
func (e *tlsError) Unwrap() error { return e.err }
func (e *tlsError) Is(t error) bool {
	return t == ErrPolicy
}

func explainTLS(err error) error {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return &tlsError{err, "give the CA certificate that signed the server's (a development cluster prints its file as \"ca\")"}
	case errors.As(err, &host):
		return &tlsError{err, "the server needs a certificate for the domain of the JID"}
	case errors.As(err, &invalid):
		return &tlsError{err, "check the server's certificate and this machine's clock"}
	case errors.As(err, &record):
		return &tlsError{err, "this port does not begin with TLS: use the direct-TLS port, or STARTTLS"}
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("TLS handshake: the server hung up (is this a port for direct TLS?): %w", err)
	}
	return fmt.Errorf("TLS handshake: %w", err)
}

// explainSASL marks what only a person can mend as ErrAuth.
func explainSASL(err error) error {
	var netErr net.Error
	if errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("login: %w", err)
	}
	if c := failureCondition(err); c == "temporary-auth-failure" {
		return fmt.Errorf("login: %s: %w", c, err)
	} else if c != "" {
		return fmt.Errorf("%w (%s)", ErrAuth, c)
	}
	return fmt.Errorf("%w: %w", ErrAuth, err)
}

// StreamError is a stream error sent by the server (RFC 6120 section 4.9).
type StreamError struct {
	Condition string
	Text      string
	Host      string // that a see-other-host names
}

func (e *StreamError) Error() string {
	if e.Text == "" {
		return "stream error: " + e.Condition
	}
	return "stream error: " + e.Condition + ": " + e.Text
}

func parseStreamError(st *stanza.Stanza) *StreamError {
	e := &StreamError{Condition: "undefined-condition"}
	p := stanza.Parse(st.Raw)
	inText, inHost := false, false
	for {
		switch p.Next() {
		case stanza.EOF:
			return e
		case stanza.Start:
			if p.Depth() < 2 {
				continue
			}
			if inText = string(p.Name()) == "text"; !inText && string(p.NS()) == "urn:ietf:params:xml:ns:xmpp-streams" {
				e.Condition = string(p.Name())
			}
			inHost = !inText && e.Condition == "see-other-host"
		case stanza.Text:
			if inText {
				e.Text += string(p.Text())
			} else if inHost {
				e.Host += string(p.Text())
			}
		case stanza.End:
			inText, inHost = false, false
		}
	}
}

// fatal turns what trying again cannot mend into the error that ends Run.
// loggedIn says that this client had a stream before.
func fatal(err error, loggedIn bool) error {
	condition := ""
	var own *StreamError
	var theirs stream.Error
	switch {
	case errors.As(err, &own):
		condition = own.Condition
	case errors.As(err, &theirs):
		condition = theirs.Err
	}
	switch condition {
	case "conflict":
		return fmt.Errorf("%w (%w)", ErrReplaced, err)
	case "host-unknown", "unsupported-version":
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	var t *tlsError
	switch {
	case errors.Is(err, ErrAuth), errors.Is(err, ErrReplaced):
		return err
	case errors.As(err, &t) && loggedIn:
		return nil
	case errors.Is(err, ErrPolicy):
		return err
	}
	return nil
}
