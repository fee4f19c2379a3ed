package xmppconntest

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/xdg-go/scram"

	"github.com/rosterdb/rosterdb/internal/certs"
)

var errRefused = errors.New("refused")

// buffered reads byte by byte for encoding/xml, which then reads no further
// than the element it returns.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }
func (b *buffered) ReadByte() (byte, error)    { return b.r.ReadByte() }

func newBuffered(c net.Conn) *buffered { return &buffered{c, bufio.NewReader(c)} }

// negotiation is a stream that is not bound yet.
type negotiation struct {
	*Session
	r      *buffered
	d      *xml.Decoder
	secure bool
	user   string
}

func (c *Session) negotiate() (net.Conn, error) {
	n := &negotiation{Session: c}
	n.conn.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // a test's socket
	if c.server.opt.DirectTLS {
		n.startTLS()
	} else {
		n.r = newBuffered(c.conn)
	}
	if err := n.restart(); err != nil {
		return nil, err
	}
	for {
		el, err := n.next()
		if err != nil {
			return nil, err
		}
		switch el.Name.Local {
		case "starttls":
			n.write(`<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`)
			n.startTLS()
			err = n.restart()
		case "redirect":
			err = n.redirect(el)
		case "auth":
			if err = n.auth(el); err == nil {
				err = n.restart()
			}
		case "iq":
			err = n.bind(el)
			if err == nil {
				n.conn.SetDeadline(time.Time{}) //nolint:errcheck // a test's socket
				return n.r, nil
			}
		default:
			err = fmt.Errorf("%w: <%s/>", errRefused, el.Name.Local)
		}
		if err != nil {
			n.write(`</stream:stream>`)
			return nil, err
		}
	}
}

// element is whatever a client sends while it logs in.
type element struct {
	Name      xml.Name
	ID        string `xml:"id,attr"`
	Mechanism string `xml:"mechanism,attr"`
	Text      string `xml:",chardata"`
	Redirect
	Resource string `xml:"urn:ietf:params:xml:ns:xmpp-bind bind>resource"`
}

func (n *negotiation) next() (*element, error) {
	for {
		tok, err := n.d.Token()
		if err != nil {
			return nil, err
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			if _, end := tok.(xml.EndElement); end {
				return nil, errRefused
			}
			continue
		}
		el := &element{Name: start.Name}
		return el, n.d.DecodeElement(el, &start)
	}
}

func (n *negotiation) write(s string) { n.Send([]byte(s)) }

func (n *negotiation) startTLS() {
	if n.r != nil {
		n.conn = n.r
	}
	t := tls.Server(n.conn, &tls.Config{Certificates: []tls.Certificate{n.server.cert}, MinVersion: tls.VersionTLS12})
	n.mu.Lock()
	n.conn, n.secure = t, true
	n.mu.Unlock()
	n.r = newBuffered(t)
}

// restart reads a stream header and answers with ours and the features.
func (n *negotiation) restart() error {
	n.d = xml.NewDecoder(n.r)
	for {
		tok, err := n.d.Token()
		if err != nil {
			n.write(`<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'><stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`)
			return err
		}
		if start, ok := tok.(xml.StartElement); ok {
			if start.Name.Local != "stream" {
				return errRefused
			}
			break
		}
	}
	n.write(`<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='t1' from='` + n.server.opt.Domain + `'>`)
	f := `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>`
	switch {
	case n.server.opt.RedirectAll != "":
		return n.sendTo(n.server.opt.RedirectAll)
	case n.server.opt.TLS && !n.secure:
		f = `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>`
	case n.user == "":
		f = `<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>`
		for _, m := range n.mechanisms() {
			f += `<mechanism>` + m + `</mechanism>`
		}
		f += `</mechanisms>`
		if n.server.opt.Redirect != nil {
			f += `<redirect xmlns='urn:rosterdb:redirect:0' server='` + n.server.Addr() + `'/>`
		}
	}
	n.write(`<stream:features>` + f + `</stream:features>`)
	return nil
}

func (n *negotiation) redirect(el *element) error {
	if n.server.opt.Redirect == nil || n.user != "" {
		return errRefused
	}
	if to := n.server.opt.Redirect(el.Redirect); to != "" {
		return n.sendTo(to)
	}
	n.write(`<stay xmlns='urn:rosterdb:redirect:0'/>`)
	return nil
}

func (n *negotiation) sendTo(addr string) error {
	n.write(`<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>` + addr + `</see-other-host></stream:error>`)
	return errRefused
}

func (n *negotiation) mechanisms() []string {
	switch {
	case len(n.server.opt.Mechanisms) > 0:
		return n.server.opt.Mechanisms
	case n.server.opt.Accounts == nil:
		return []string{"PLAIN"}
	case n.secure:
		return []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"}
	}
	return []string{"SCRAM-SHA-256", "PLAIN"}
}

func (n *negotiation) auth(el *element) (err error) {
	defer func() {
		if err != nil {
			n.write(`<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>`)
		}
	}()
	first, err := base64.StdEncoding.DecodeString(el.Text)
	if err != nil {
		return err
	}
	if el.Mechanism == "PLAIN" {
		part := strings.Split(string(first), "\x00")
		if len(part) != 3 {
			return errRefused
		}
		if want, known := n.server.opt.Accounts[part[1]]; n.server.opt.Accounts != nil && (!known || want != part[2]) {
			return errRefused
		}
		n.user = part[1]
		n.write(`<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>`)
		return nil
	}
	return n.scram(el.Mechanism, string(first))
}

func (n *negotiation) scram(mechanism, message string) error {
	server, err := scram.SHA256.NewServer(n.credentials)
	if err != nil {
		return err
	}
	conv := server.NewConversation()
	if strings.HasSuffix(mechanism, "-PLUS") {
		t, ok := n.conn.(*tls.Conn)
		if !ok {
			return errRefused
		}
		state := t.ConnectionState()
		binding, err := scram.NewTLSExporterBinding(&state)
		if err != nil {
			return err
		}
		conv = server.NewConversationWithChannelBindingRequired(binding)
	}
	for {
		answer, err := conv.Step(message)
		if err != nil {
			return err
		}
		b64 := base64.StdEncoding.EncodeToString([]byte(answer))
		if conv.Done() {
			n.user = conv.Username()
			n.write(`<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>` + b64 + `</success>`)
			return nil
		}
		n.write(`<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>` + b64 + `</challenge>`)
		el, err := n.next()
		if err != nil {
			return err
		}
		raw, err := base64.StdEncoding.DecodeString(el.Text)
		if err != nil {
			return err
		}
		message = string(raw)
	}
}

func (n *negotiation) credentials(user string) (scram.StoredCredentials, error) {
	password, ok := n.server.opt.Accounts[user]
	if !ok {
		return scram.StoredCredentials{}, errRefused
	}
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		return scram.StoredCredentials{}, err
	}
	return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt-of-a-test", Iters: 4096})
}

func (n *negotiation) bind(el *element) error {
	if n.user == "" {
		return errRefused
	}
	resource := el.Resource
	if resource == "" {
		resource = rand.Text()[:8]
	}
	n.server.mu.Lock()
	n.JID = n.user + "@" + n.server.opt.Domain + "/" + resource
	n.server.mu.Unlock()
	n.write(`<iq type='result' id='` + el.ID + `'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>` + n.JID + `</jid></bind></iq>`)
	return nil
}

func selfSigned(domain string) (tls.Certificate, *x509.CertPool, error) {
	pair, err := certs.New(certs.Options{Name: domain, Hosts: []string{domain}, Authority: true, Lifetime: time.Hour}, nil)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return pair.TLS(), pool, nil
}
