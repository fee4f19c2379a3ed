package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// client makes the template one for a client, with its addresses as subjectAltName.
func (o *Options) client(t *x509.Certificate) error {
	t.KeyUsage |= x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	t.EmailAddresses = o.Emails
	if len(o.Addresses) == 0 {
		return nil
	}
	// crypto/x509 knows no otherName. RFC 6120 section 13.7.1.4: id-on-xmppAddr, a UTF8String.
	type otherName struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"utf8,explicit,tag:0"`
	}
	var names []asn1.RawValue
	for _, addr := range o.Addresses {
		der, err := asn1.MarshalWithParams(otherName{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}, addr}, "tag:0")
		if err != nil {
			return fmt.Errorf("encode address %s: %w", addr, err)
		}
		names = append(names, asn1.RawValue{FullBytes: der})
	}
	der, err := asn1.Marshal(names)
	if err != nil {
		return fmt.Errorf("encode addresses: %w", err)
	}
	// Without a subject the extension has to be critical (RFC 5280 section 4.2.1.6).
	t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: o.Name == "", Value: der}}
	return nil
}
