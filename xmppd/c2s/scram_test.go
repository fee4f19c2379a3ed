package c2s

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
)

// fixedAuth has one account, "user" with the password "pencil".
type fixedAuth struct{ sha256, sha1 account.Keys }

func (a fixedAuth) HasKeys() bool { return true }

func (a fixedAuth) Keys(_ context.Context, name string) (account.Keys, account.Keys, bool, error) {
	return a.sha256, a.sha1, name == "user", nil
}

func (a fixedAuth) Password(_ context.Context, name, password string) (bool, error) {
	return name == "user" && password == "pencil", nil
}

func (a fixedAuth) Exists(_ context.Context, name string) (bool, error) { return name == "user", nil }

func keysFor(t testing.TB, h scramHash, salt string) account.Keys {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		t.Fatal(err)
	}
	salted, err := pbkdf2.Key(h.new, "pencil", raw, 4096, h.new().Size())
	if err != nil {
		t.Fatal(err)
	}
	mac := func(msg string) []byte {
		m := hmac.New(h.new, salted)
		m.Write([]byte(msg))
		return m.Sum(nil)
	}
	stored := h.new()
	stored.Write(mac("Client Key"))
	return account.Keys{Salt: raw, Iterations: 4096, StoredKey: stored.Sum(nil), ServerKey: mac("Server Key")}
}

func fixed(t testing.TB) fixedAuth {
	return fixedAuth{keysFor(t, scramSHA256(), "W22ZaJ0SNY7soEsUEjb6gQ=="), keysFor(t, scramSHA1(), "QSXCR+Q6sek8bf92")}
}

// exchange begins a login of a stream with the given channel.
func exchange(t testing.TB, auth Authenticator, name string, ch *channel, f Faults) mechanism {
	t.Helper()
	l := &login{ctx: t.Context(), auth: auth, domain: "example.net", channel: ch, faults: f}
	m := l.begin(name)
	if m == nil {
		t.Fatalf("%s is not offered", name)
	}
	return m
}

// TestScramVectors plays the exchanges of RFC 5802 section 5 and RFC 7677 section 3.
func TestScramVectors(t *testing.T) {
	a := fixed(t)
	for _, tt := range []struct {
		hash                          scramHash
		keys                          account.Keys
		bare, first, final, signature string
	}{
		{
			scramSHA1(), a.sha1, "n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		},
		{
			scramSHA256(), a.sha256, "n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		},
	} {
		nonce, _, _ := strings.Cut(tt.first[2:], ",")
		m := &scramExchange{
			login: &login{exists: true, channel: &channel{}}, hash: tt.hash, begun: true, stored: tt.keys,
			binding: []byte("n,,"), clientFirstBare: []byte(tt.bare), serverFirst: []byte(tt.first), nonce: []byte(nonce),
		}
		if more, got, err := m.step([]byte(tt.final)); more || err != nil || string(got) != tt.signature {
			t.Errorf("signature %q, %v; want %q", got, err, tt.signature)
		}
	}
}

func testChannel() *channel {
	return &channel{bindings: []binding{{"tls-exporter", []byte("exported bytes")}, {"tls-server-end-point", []byte("hash")}}}
}

// TestScramInterop logs in with another project's client, bound to the channel in each way.
func TestScramInterop(t *testing.T) {
	auth := fixed(t)
	exporter := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: []byte("exported bytes")}
	endPoint := scram.ChannelBinding{Type: scram.ChannelBindingTLSServerEndpoint, Data: []byte("hash")}
	other := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: []byte("other bytes")}
	unknown := scram.ChannelBinding{Type: scram.ChannelBindingTLSUnique, Data: []byte("exported bytes")}
	for _, tt := range []struct {
		name, mechanism string
		hash            scram.HashGeneratorFcn
		begin           func(*scram.Client) *scram.ClientConversation
		channel         *channel
		faults          Faults
		ok              bool
	}{
		{"no TLS", "SCRAM-SHA-256", scram.SHA256, plainConversation, &channel{}, Faults{}, true},
		{"SHA-1", "SCRAM-SHA-1", scram.SHA1, plainConversation, testChannel(), Faults{}, true},
		{"tls-exporter", "SCRAM-SHA-256-PLUS", scram.SHA256, bindTo(exporter), testChannel(), Faults{}, true},
		{"tls-server-end-point", "SCRAM-SHA-256-PLUS", scram.SHA256, bindTo(endPoint), testChannel(), Faults{}, true},
		{"SHA-1 with tls-exporter", "SCRAM-SHA-1-PLUS", scram.SHA1, bindTo(exporter), testChannel(), Faults{}, true},
		{"another channel", "SCRAM-SHA-256-PLUS", scram.SHA256, bindTo(other), testChannel(), Faults{}, false},
		{"another channel, planted bug", "SCRAM-SHA-256-PLUS", scram.SHA256, bindTo(other), testChannel(), Faults{IgnoreBinding: true}, true},
		{"unknown type", "SCRAM-SHA-256-PLUS", scram.SHA256, bindTo(unknown), testChannel(), Faults{}, false},
		{"plus without binding", "SCRAM-SHA-256-PLUS", scram.SHA256, plainConversation, testChannel(), Faults{}, false},
		{"binding without plus", "SCRAM-SHA-256", scram.SHA256, bindTo(exporter), testChannel(), Faults{}, false},
		{"downgraded", "SCRAM-SHA-256", scram.SHA256, advertising, testChannel(), Faults{}, false},
		{"downgraded, planted bug", "SCRAM-SHA-256", scram.SHA256, advertising, testChannel(), Faults{IgnoreDowngrade: true}, true},
		{"nothing to bind to", "SCRAM-SHA-256", scram.SHA256, advertising, &channel{}, Faults{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, err := tt.hash.NewClient("user", "pencil", "")
			if err != nil {
				t.Fatal(err)
			}
			err = converse(tt.begin(client), exchange(t, auth, tt.mechanism, tt.channel, tt.faults))
			if tt.ok != (err == nil) {
				t.Errorf("login: %v", err)
			}
		})
	}
}

func plainConversation(c *scram.Client) *scram.ClientConversation { return c.NewConversation() }
func advertising(c *scram.Client) *scram.ClientConversation {
	return c.NewConversationAdvertisingChannelBinding()
}

func bindTo(b scram.ChannelBinding) func(*scram.Client) *scram.ClientConversation {
	return func(c *scram.Client) *scram.ClientConversation { return c.NewConversationWithChannelBinding(b) }
}

// converse plays both halves to the end, the client's check of the server included.
func converse(c *scram.ClientConversation, m mechanism) error {
	msg := ""
	for {
		answer, err := c.Step(msg)
		if err != nil {
			return err
		}
		if c.Done() {
			return nil
		}
		more, reply, err := m.step([]byte(answer))
		if err != nil {
			return err
		}
		msg = string(reply)
		if !more {
			if _, err := c.Step(msg); err != nil || !c.Valid() {
				return errors.Join(errors.New("the client does not believe the server"), err)
			}
			return nil
		}
	}
}

// TestScramMalformed: messages that RFC 5802's grammar doesn't have are malformed-request.
func TestScramMalformed(t *testing.T) {
	auth := fixed(t)
	for _, msg := range []string{
		"", "n", "n,", "n,,", "n,,n=user", "x,,n=user,r=12345678", "n,a,n=user,r=12345678", "n,a=,n=user,r=12345678", "p=,,n=user,r=12345678",
		"n,,r=12345678,n=user", "n,,m=x,n=user,r=12345678", "n,,n=,r=12345678", "n,,n=a=2c,r=12345678", "n,,n=user,r=1234567", "n,,n=user,r=1234567\x01",
		"n,,n=user,r=12345678\xff", "n,,n=user,x=12345678", "p=tls-exporter,,n=user,r=12345678",
	} {
		if _, _, err := exchange(t, auth, "SCRAM-SHA-256", testChannel(), Faults{}).step([]byte(msg)); !errors.Is(err, errMalformed) {
			t.Errorf("%q: %v", msg, err)
		}
	}
	for _, final := range []string{"", "c=biws", "c=biws,r=NONCE", "c=biws,r=NONCE,p=!", "c=!,r=NONCE,p=AAAA", "r=NONCE,c=biws,p=AAAA", ",p=", "c=biws,r=NONCE,p=AA=="} {
		m := exchange(t, auth, "SCRAM-SHA-256", testChannel(), Faults{})
		_, first, err := m.step([]byte("n,,n=user,r=12345678"))
		if err != nil {
			t.Fatal(err)
		}
		nonce, _, _ := strings.Cut(string(first[2:]), ",")
		_, _, err = m.step([]byte(strings.ReplaceAll(final, "NONCE", nonce)))
		if !errors.Is(err, errMalformed) && !errors.Is(err, errAuthn) {
			t.Errorf("%q: %v", final, err)
		}
	}
}

// TestAuthzid: nobody acts for somebody else.
func TestAuthzid(t *testing.T) {
	auth := fixed(t)
	for authzid, want := range map[string]error{
		"": nil, "user@example.net": nil, "USER@example.net": nil, "bob@example.net": errAuthzid, "user@example.com": errAuthzid, "user@example.net/x": errAuthzid, "@": errAuthzid,
	} {
		if _, _, err := exchange(t, auth, "PLAIN", &channel{}, Faults{}).step([]byte(authzid + "\x00user\x00pencil")); !errors.Is(err, want) {
			t.Errorf("PLAIN for %q: %v", authzid, err)
		}
		gs2 := "n,,"
		if authzid != "" {
			gs2 = "n,a=" + authzid + ","
		}
		if _, _, err := exchange(t, auth, "SCRAM-SHA-1", &channel{}, Faults{}).step([]byte(gs2 + "n=user,r=12345678")); !errors.Is(err, want) {
			t.Errorf("SCRAM for %q: %v", authzid, err)
		}
	}
	if _, _, err := exchange(t, auth, "PLAIN", &channel{}, Faults{AnyAuthzid: true}).step([]byte("bob@example.net\x00user\x00pencil")); err != nil {
		t.Error("the planted bug was not noticed")
	}
}

func TestExternal(t *testing.T) {
	one, two := &channel{accounts: []string{"user"}}, &channel{accounts: []string{"bob", "user"}}
	for _, tt := range []struct {
		channel       *channel
		authzid, want string
	}{
		{one, "", "user"},
		{one, "user@example.net", "user"},
		{one, "bob@example.net", ""},
		{one, "user@example.com", ""},
		{one, "user@example.net/r", ""},
		{two, "", ""},
		{two, "bob@example.net", "bob"},
		{two, "carol@example.net", ""},
		{two, "example.net", ""},
	} {
		l := &login{auth: fixedAuth{}, domain: "example.net", channel: tt.channel}
		_, _, err := l.begin("EXTERNAL").step([]byte(tt.authzid))
		if l.user != tt.want || (err == nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), "invalid-authzid") {
			t.Errorf("%v for %q: %q, %v", tt.channel.accounts, tt.authzid, l.user, err)
		}
	}
	if l := (&login{auth: fixedAuth{}, channel: &channel{}}); l.begin("EXTERNAL") != nil {
		t.Error("EXTERNAL without a certificate")
	}
}

func FuzzPlain(f *testing.F) {
	auth := fixed(f)
	for _, seed := range []string{"\x00user\x00pencil", "a\x00b\x00c", "\x00\x00", "\x00user\x00", "a\x00b\x00c\x00d", "\x00us\xffer\x00x", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		authzid, name, password, err := parsePlain(msg)
		if (err == nil) != (authzid+"\x00"+name+"\x00"+password == string(msg) && name != "" && password != "" && strings.Count(string(msg), "\x00") == 2) {
			t.Fatalf("%q: %q %q %q %v", msg, authzid, name, password, err)
		}
		if _, _, err := exchange(t, auth, "PLAIN", &channel{}, Faults{}).step(msg); err == nil {
			if j, jidErr := stanza.ParseJID(name + "@example.net"); jidErr != nil || j.Local != "user" || password != "pencil" {
				t.Fatalf("%q logged in", msg)
			}
		}
	})
}

// FuzzScramFirst: what is accepted is made of the parts that came out, and nothing gets past the
// first step without a challenge.
func FuzzScramFirst(f *testing.F) {
	auth := fixed(f)
	for _, seed := range []string{
		"n,,n=user,r=12345678", "y,,n=user,r=12345678", "p=tls-exporter,,n=user,r=12345678", "n,a=user@example.net,n=user,r=12345678,x=1",
		"n,,n=a=2Cb=3D,r=12345678", "p=tls-unique,a=x,n=u,r=fyko+d2lbbFgONRv9qkxdawL", ",,,", "n,,m=1,n=a,r=12345678",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		c, err := parseClientFirst(msg)
		if err == nil && (string(c.header)+string(c.bare) != string(msg) || c.name == "" || len(c.nonce) < minNonce || !strings.HasPrefix(string(c.header), c.flag+",")) {
			t.Fatalf("%q: %+v", msg, c)
		}
		for _, name := range []string{"SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"} {
			more, reply, stepErr := exchange(t, auth, name, testChannel(), Faults{}).step(msg)
			if (stepErr == nil) != more || err != nil && more || more && !strings.HasPrefix(string(reply), "r="+string(c.nonce)) {
				t.Fatalf("%s %q: %v %q %v", name, msg, more, reply, stepErr)
			}
		}
	})
}

// FuzzScramFinal: without the password no message ends in success.
func FuzzScramFinal(f *testing.F) {
	auth := fixed(f)
	for _, seed := range []string{
		"c=biws,r=NONCE,p=AAAA", "c=biws,r=NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "c=,r=,p=", "c=biws,r=NONCE", ",p=", "c=biws,r=NONCE,x=1,p=AA==",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		m := exchange(t, auth, "SCRAM-SHA-256", &channel{}, Faults{})
		_, first, err := m.step([]byte("n,,n=user,r=12345678"))
		if err != nil {
			t.Fatal(err)
		}
		nonce, _, _ := strings.Cut(string(first[2:]), ",")
		more, reply, err := m.step([]byte(strings.ReplaceAll(string(msg), "NONCE", nonce)))
		if err == nil || more || reply != nil {
			t.Fatalf("%q: %v %q", msg, more, reply)
		}
		var refused *saslError
		if !errors.As(err, &refused) {
			t.Fatalf("%q: %v is no SASL failure", msg, err)
		}
	})
}
