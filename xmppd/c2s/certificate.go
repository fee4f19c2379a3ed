package c2s

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// ClientCertificates says which client certificates are believed, and whom they are of. Those with
// XMPP addresses (id-on-xmppAddr, RFC 6120 section 13.7.1.4) speak for themselves; others need an
// entry. A certificate that doesn't fit never ends a stream: EXTERNAL is just not offered.
type ClientCertificates struct {
	Authorities *x509.CertPool // nil: clients aren't asked for certificates
	Names       []CertificateName
}

// CertificateName maps certificates without an XMPP address to an account. One of Email and
// CommonName is set.
type CertificateName struct {
	Email      string // subjectAltName rfc822Name, or emailAddress of the subject
	CommonName string // of the subject
	Account    string // prepared localpart
}

func oidSubjectAltName() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }
func oidXMPPAddr() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
}

// verify reports whether the chain leads to one of the authorities now.
func (c *ClientCertificates) verify(chain []*x509.Certificate) bool {
	if c.Authorities == nil || len(chain) == 0 {
		return false
	}
	rest := x509.NewCertPool()
	for _, cert := range chain[1:] {
		rest.AddCert(cert)
	}
	// crypto/x509 knows no otherName, so a critical subjectAltName of those alone counts as not
	// understood. It is understood here.
	leaf := *chain[0]
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions), func(id asn1.ObjectIdentifier) bool {
		return id.Equal(oidSubjectAltName()) && len(xmppAddresses(&leaf)) > 0
	})
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.Authorities, Intermediates: rest, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// accounts are the localparts of domain that the certificate is of, each once.
func (c *ClientCertificates) accounts(cert *x509.Certificate, domain string) []string {
	var names []string
	addrs := xmppAddresses(cert)
	for _, addr := range addrs {
		if j, err := stanza.ParseJID(addr); err == nil && j.Domain == domain && j.Local != "" && j.Resource == "" {
			names = append(names, j.Local)
		}
	}
	if len(addrs) == 0 {
		for _, n := range c.Names {
			if n.Email != "" && slices.Contains(emails(cert), n.Email) || n.CommonName != "" && cert.Subject.CommonName == n.CommonName {
				names = append(names, n.Account)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// emails are the mail addresses of a certificate, in the older place too (RFC 5280 section 4.1.2.6).
func emails(cert *x509.Certificate) []string {
	all := slices.Clone(cert.EmailAddresses)
	for _, n := range cert.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}) {
			all = append(all, s)
		}
	}
	return all
}

// accountsOf are the accounts that a peer may log in to with its certificate.
func (c *ClientCertificates) accountsOf(ctx context.Context, chain []*x509.Certificate, domain string, auth Authenticator) ([]string, error) {
	if !c.verify(chain) {
		return nil, nil
	}
	var known []string
	for _, name := range c.accounts(chain[0], domain) {
		ok, err := auth.Exists(ctx, name)
		if err != nil {
			return nil, err
		}
		if ok {
			known = append(known, name)
		}
	}
	return known, nil
}

// xmppAddresses are the otherNames of type id-on-xmppAddr in a certificate.
func xmppAddresses(cert *x509.Certificate) []string {
	var found []string
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidSubjectAltName()) {
			continue
		}
		var names asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 {
			return nil
		}
		for rest := names.Bytes; len(rest) > 0; {
			var name asn1.RawValue
			var err error
			if rest, err = asn1.Unmarshal(rest, &name); err != nil {
				return nil
			}
			if addr, ok := xmppAddress(&name); ok {
				found = append(found, addr)
			}
		}
	}
	return found
}

// xmppAddress reads a GeneralName: otherName [0] { type-id, value [0] EXPLICIT UTF8String }.
func xmppAddress(name *asn1.RawValue) (string, bool) {
	if name.Class != asn1.ClassContextSpecific || name.Tag != 0 {
		return "", false
	}
	var id asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(name.Bytes, &id)
	if err != nil || !id.Equal(oidXMPPAddr()) {
		return "", false
	}
	var value, text asn1.RawValue
	if _, err := asn1.Unmarshal(rest, &value); err != nil || value.Class != asn1.ClassContextSpecific || value.Tag != 0 {
		return "", false
	}
	if _, err := asn1.Unmarshal(value.Bytes, &text); err != nil || text.Class != asn1.ClassUniversal || text.Tag != asn1.TagUTF8String {
		return "", false
	}
	return string(text.Bytes), true
}
