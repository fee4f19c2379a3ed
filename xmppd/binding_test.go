package xmppd_test

import (
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// dialTLS connects to the listener for direct TLS.
func dialTLS(t *testing.T, addr string, cfg *tls.Config) *client {
	t.Helper()
	cfg.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &client{xmppraw.New(t, conn)}
}

// scramLogin plays a client's half of SCRAM and reports how the server called it.
func (c *client) scramLogin(mechanism string, conv *scram.ClientConversation) string {
	c.T.Helper()
	msg, err := conv.Step("")
	if err != nil {
		c.T.Fatal(err)
	}
	enc := base64.StdEncoding
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" + enc.EncodeToString([]byte(msg)) + "</auth>")
	for {
		got := c.Want("</challenge>", "</success>", "</failure>")
		if strings.Contains(got, "<failure") {
			return got
		}
		_, data, _ := strings.Cut(got, "-sasl'>")
		reply, err := enc.DecodeString(strings.SplitN(data, "<", 2)[0])
		if err != nil {
			c.T.Fatalf("%q: %v", got, err)
		}
		if msg, err = conv.Step(string(reply)); err != nil {
			return err.Error()
		}
		if strings.Contains(got, "</success>") {
			if !conv.Valid() {
				c.T.Fatal("the client does not believe the server")
			}
			return "success"
		}
		c.Send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + enc.EncodeToString([]byte(msg)) + "</response>")
	}
}

// TestChannelBinding binds logins to real TLS connections, as another project's code computes it.
func TestChannelBinding(t *testing.T) {
	s := startServer(t, options{})
	_, addr, _ := s.Addrs()
	other := dialTLS(t, addr, &tls.Config{}).Conn.(*tls.Conn).ConnectionState()
	stolen, err := scram.NewTLSExporterBinding(&other)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		begin := func(t *testing.T) (*client, *tls.ConnectionState, *scram.Client) {
			c := dialTLS(t, addr, &tls.Config{MinVersion: version, MaxVersion: version})
			features := c.Open()
			for _, want := range []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "urn:xmpp:sasl-cb:0", "type='tls-exporter'", "type='tls-server-end-point'"} {
				if !strings.Contains(features, want) {
					t.Fatalf("no %s in %q", want, features)
				}
			}
			state := c.Conn.(*tls.Conn).ConnectionState()
			user, err := scram.SHA256.NewClient("alice", password, "")
			if err != nil {
				t.Fatal(err)
			}
			return c, &state, user
		}
		for name, bind := range map[string]func(*tls.ConnectionState) (scram.ChannelBinding, error){
			"exporter":  scram.NewTLSExporterBinding,
			"end point": scram.NewTLSServerEndpointBinding,
			"unique": func(s *tls.ConnectionState) (scram.ChannelBinding, error) {
				return scram.NewTLSUniqueBinding(s.TLSUnique), nil
			},
		} {
			t.Run(tls.VersionName(version)+"/"+name, func(t *testing.T) {
				c, state, user := begin(t)
				binding, err := bind(state)
				if err != nil {
					t.Fatal(err)
				}
				want := "success"
				if name == "unique" && version == tls.VersionTLS13 {
					want = "<failure" // TLS 1.3 has none
				}
				if got := c.scramLogin("SCRAM-SHA-256-PLUS", user.NewConversationWithChannelBinding(binding)); !strings.Contains(got, want) {
					t.Error(got)
				}
			})
		}
		t.Run(tls.VersionName(version)+"/refused", func(t *testing.T) {
			c, _, user := begin(t)
			if got := c.scramLogin("SCRAM-SHA-256-PLUS", user.NewConversationWithChannelBinding(stolen)); !strings.Contains(got, "<not-authorized/>") {
				t.Errorf("bound to another channel: %q", got)
			}
			if got := c.scramLogin("SCRAM-SHA-256", user.NewConversationAdvertisingChannelBinding()); !strings.Contains(got, "does support channel binding") {
				t.Errorf("downgraded: %q", got)
			}
			if got := c.scramLogin("SCRAM-SHA-256", user.NewConversation()); got != "success" {
				t.Errorf("not bound: %q", got)
			}
		})
	}
}

// TestALPN: XEP-0368 names the protocol; a client that wants another one is not ours.
func TestALPN(t *testing.T) {
	s := startServer(t, options{})
	_, addr, _ := s.Addrs()
	for _, protos := range [][]string{nil, {"xmpp-client"}, {"h2", "xmpp-client"}} {
		c := dialTLS(t, addr, &tls.Config{NextProtos: protos})
		c.Open()
		if got := c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; protos != nil && got != "xmpp-client" {
			t.Errorf("%v: negotiated %q", protos, got)
		}
	}
	for name, cfg := range map[string]*tls.Config{
		"protocol": {InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}},
		"TLS 1.1":  {InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, //nolint:gosec // that it is refused
		"CBC": {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		}},
	} {
		if conn, err := tls.Dial("tcp", addr, cfg); err == nil {
			_ = conn.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSNI: the name in the handshake may be the host's, which need not be the domain.
func TestSNI(t *testing.T) {
	s := startServer(t, options{})
	_, addr, _ := s.Addrs()
	for _, name := range []string{"", domain, "xmpp." + domain, "other.example"} {
		dialTLS(t, addr, &tls.Config{ServerName: name}).Open()
	}
}

func TestTLSResumption(t *testing.T) {
	s := startServer(t, options{})
	_, addr, _ := s.Addrs()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := &tls.Config{ServerName: domain, MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
		for _, resumed := range []bool{false, true} {
			c := dialTLS(t, addr, cfg)
			c.Open() // with TLS 1.3 the ticket has come by then
			state := c.Conn.(*tls.Conn).ConnectionState()
			if state.DidResume != resumed {
				t.Errorf("%s: resumed %v, want %v", tls.VersionName(version), state.DidResume, resumed)
			}
			binding, err := scram.NewTLSExporterBinding(&state)
			if err != nil {
				t.Fatal(err)
			}
			user, err := scram.SHA1.NewClient("bob", password, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := c.scramLogin("SCRAM-SHA-1-PLUS", user.NewConversationWithChannelBinding(binding)); got != "success" {
				t.Error(got)
			}
		}
	}
}
