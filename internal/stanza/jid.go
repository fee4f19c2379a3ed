package stanza

import (
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
	j, err := jid.Parse(s)
	if err != nil {
		return JID{}, err
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
	ok := rest != "" && rest[0] != '.' && rest[len(rest)-1] != '.' && lower(rest)
	return j, ok && len(j.Local) < 1024 && len(rest) < 256 && len(j.Resource) < 1024
}

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
