package c2s

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
)

// channel is what TLS tells a login: how to bind to it, and whom its client certificate is of. The
// zero value is a stream without TLS of our own.
type channel struct {
	bindings []binding
	accounts []string // prepared localparts of existing accounts that the client's certificate names
}

// look tells what there is of TLS below the stream.
func (n *negotiation) look(ctx context.Context) *channel {
	if n.tcp == nil || n.tcp.tls == nil {
		return &channel{}
	}
	state, set := n.tcp.tls.ConnectionState(), n.set
	var cert *tls.Certificate
	if len(set.TLS.Certificates) > 0 {
		cert = &set.TLS.Certificates[0]
	}
	accounts, err := set.Clients.accountsOf(ctx, state.PeerCertificates, n.srv.cfg.Domain, set.Auth)
	if err != nil {
		n.srv.log.Warn("can't tell whom a client certificate is of", "peer", n.peer.Addr, "error", err)
	}
	return &channel{bindings: bindings(&state, cert), accounts: accounts}
}

// binding is one type of channel binding (RFC 5056).
type binding struct {
	name string
	data []byte
}

const (
	exporterLabel = "EXPORTER-Channel-Binding" // RFC 9266 section 4.1
	exporterLen   = 32
)

// bindings are the types that a TLS connection has, the better one first.
func bindings(state *tls.ConnectionState, cert *tls.Certificate) []binding {
	var out []binding
	// Below TLS 1.3 crypto/tls refuses without the extended master secret, as RFC 9266 wants.
	if data, err := state.ExportKeyingMaterial(exporterLabel, nil, exporterLen); err == nil {
		out = append(out, binding{"tls-exporter", data})
		// With the extended master secret the older type is as good (RFC 7627), and all that some
		// clients know; TLS 1.3 has none.
		if len(state.TLSUnique) > 0 {
			out = append(out, binding{"tls-unique", state.TLSUnique})
		}
	}
	if data := endPoint(cert); data != nil {
		out = append(out, binding{"tls-server-end-point", data})
	}
	return out
}

// endPoint is the hash of the server's certificate (RFC 5929 section 4.1); nil where it isn't
// defined, because the signature has no hash function of its own (Ed25519).
func endPoint(cert *tls.Certificate) []byte {
	if cert == nil || len(cert.Certificate) == 0 {
		return nil
	}
	leaf := cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil
		}
	}
	var h crypto.Hash
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.DSAWithSHA256, x509.ECDSAWithSHA256:
		h = crypto.SHA256 // MD5 and SHA-1 are replaced by it
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = crypto.SHA512
	default:
		return nil
	}
	sum := h.New()
	sum.Write(leaf.Raw)
	return sum.Sum(nil)
}

// binding returns the bytes of a type.
func (c *channel) binding(name string) ([]byte, bool) {
	for _, b := range c.bindings {
		if b.name == name {
			return b.data, true
		}
	}
	return nil, false
}
