package stanza

import (
	"errors"
	"fmt"
	"strings"

	"mellium.im/xmpp/jid"
)

// JID is an address of RFC 7622 in its enforced form. It is comparable.
type JID struct{ Local, Domain, Resource string }

// ParseJID splits and enforces an address. Plain lower-case ASCII takes a fast
// path; everything else goes through mellium's PRECIS profiles.
func ParseJID(s string) (JID, error) {
	if j, ok := parseASCII(s); ok {
		return j, nil
	}
	j, err := enforce(s)
	for range stable {
		if err != nil {
			break
		}
		before := j.String()
		if again, ok := parseASCII(before); ok && again == j {
			return j, nil
		}
		// The rules of RFC 8264 and of IDNA, applied once, can leave what they change or refuse when
		// applied again: a Hebrew letter that comes of a symbol and makes the label's direction wrong,
		// an ideographic full stop at the end.
		var again JID
		if again, err = enforce(before); err == nil && again == j {
			return j, nil
		}
		j = again
	}
	if err == nil {
		err = errUnstable
	}
	return JID{}, fmt.Errorf("address %.100q: %w", s, err)
}

// stable is how often an address may change under the rules before it is refused (RFC 8264 section 7).
const stable = 3

var errUnstable = errors.New("it has no form that stays")

func enforce(s string) (JID, error) {
	j, err := jid.Parse(s)
	if err != nil {
		return JID{}, err //nolint:wrapcheck // the caller says for which address
	}
	return JID{j.Localpart(), j.Domainpart(), j.Resourcepart()}, nil
}

func parseASCII(s string) (JID, bool) {
	var j JID
	rest := s
	if i := strings.IndexByte(s, '/'); i >= 0 {
		j.Resource, rest = s[i+1:], s[:i]
		if j.Resource == "" {
			return j, false
		}
		for k := 0; k < len(j.Resource); k++ {
			if c := j.Resource[k]; c <= ' ' || c >= 0x7f {
				return j, false
			}
		}
	}
	if i := strings.IndexByte(rest, '@'); i >= 0 {
		if j.Local, rest = rest[:i], rest[i+1:]; j.Local == "" || !lower(j.Local) {
			return j, false
		}
	}
	j.Domain = rest
	return j, plainDomain(rest) && len(j.Local) < 1024 && len(j.Resource) < 1024
}

// plainDomain tells a host name that IDNA would leave as it is.
func plainDomain(s string) bool {
	const maxDomain, maxLabel = 253, 63
	label := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.' || c == '-':
			if label == 0 || i+1 == len(s) || s[i+1] == '.' || s[i+1] == '-' {
				return false // empty or "xn--" labels, hyphens at an end: IDNA decides
			}
			if c == '.' {
				label = 0
				continue
			}
		case !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9'):
			return false
		}
		if label++; label > maxLabel {
			return false
		}
	}
	return s != "" && len(s) <= maxDomain
}

// lower tells a localpart that PRECIS would leave as it is.
func lower(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return true
}

// Bare returns the address without its resource.
func (j JID) Bare() JID { return JID{j.Local, j.Domain, ""} }

// IsBare tells an address without a resource.
func (j JID) IsBare() bool { return j.Resource == "" }

// IsZero tells the absent address.
func (j JID) IsZero() bool { return j == JID{} }

// String joins the parts.
func (j JID) String() string {
	var b strings.Builder
	b.Grow(len(j.Local) + len(j.Domain) + len(j.Resource) + 2)
	if j.Local != "" {
		b.WriteString(j.Local)
		b.WriteByte('@')
	}
	b.WriteString(j.Domain)
	if j.Resource != "" {
		b.WriteByte('/')
		b.WriteString(j.Resource)
	}
	return b.String()
}
