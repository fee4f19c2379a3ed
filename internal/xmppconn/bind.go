package xmppconn

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"mellium.im/xmpp"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

const (
	nsBind = "urn:ietf:params:xml:ns:xmpp-bind"
	bindID = "bind"
)

// bindAnswer is the server's answer to a bind request (RFC 6120 section 7.6).
type bindAnswer struct {
	XMLName xml.Name `xml:"iq"`
	ID      string   `xml:"id,attr"`
	Type    string   `xml:"type,attr"`
	JID     string   `xml:"urn:ietf:params:xml:ns:xmpp-bind bind>jid"`
	Error   struct {
		Any []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	} `xml:"error"`
}

// bindFeature binds a resource and stores the full JID in *bound. mellium's own
// feature sends the JID so far instead of the resource that is wanted.
func bindFeature(resource string, bound *string) xmpp.StreamFeature {
	return xmpp.StreamFeature{
		Name:       xml.Name{Space: nsBind, Local: "bind"},
		Necessary:  xmpp.Authn,
		Prohibited: xmpp.Ready,
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			var any struct{}
			return true, nil, d.DecodeElement(&any, start)
		},
		Negotiate: func(_ context.Context, s *xmpp.Session, _ any) (xmpp.SessionState, io.ReadWriter, error) {
			full, err := bind(s, resource)
			if err != nil {
				return 0, nil, err
			}
			*bound = full
			return xmpp.Ready, nil, nil
		},
	}
}

func bind(s *xmpp.Session, resource string) (full string, err error) {
	req := []byte(`<iq type='set' id='` + bindID + `'><bind xmlns='` + nsBind + `'>`)
	if resource != "" {
		req = append(req, `<resource>`...)
		req = stanza.AppendEscaped(req, resource)
		req = append(req, `</resource>`...)
	}
	req = append(req, `</bind></iq>`...)
	if _, err := s.Conn().Write(req); err != nil {
		return "", fmt.Errorf("bind resource: %w", err)
	}
	r := s.TokenReader()
	defer r.Close() //nolint:errcheck // only releases the session's reader
	var a bindAnswer
	if err := xml.NewTokenDecoder(r).Decode(&a); err != nil {
		return "", fmt.Errorf("bind resource: %w", err)
	}
	if a.Type != "result" || a.ID != bindID {
		what := "answer of type " + a.Type
		for _, e := range a.Error.Any {
			what += ", " + e.XMLName.Local + " " + e.Text
		}
		return "", fmt.Errorf("bind resource %q: refused: %s", resource, what)
	}
	if j, err := stanza.ParseJID(a.JID); err != nil || j.Resource == "" {
		return "", errors.New("bind resource: the server returned no full JID")
	}
	return a.JID, nil
}
