package hostile

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// record is a TLS record of the handshake with the bytes given.
func record(payload string) string {
	n := len(payload)
	return "\x16\x03\x01" + string([]byte{byte(n >> 8), byte(n)}) + payload
}

// TestHostileTLS: what is no handshake ends the connection, with no more than an alert, and TLS 1.1
// and unknown protocols are refused (RFC 7590, XEP-0368).
func TestHostileTLS(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.NegotiationSeconds = 5 })
	by := chat(t, s)
	hello := "\x01\xff\xff\xff" + strings.Repeat("\x00", 16_000) // claims 16 MiB
	for _, a := range []struct{ name, send string }{
		{"XML instead of TLS", xmppraw.Header},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n"},
		{"garbage", strings.Repeat("\xde\xad\xbe\xef", 1000)},
		{"empty record", record("")},
		{"record that is too long", "\x16\x03\x01\xff\xff" + strings.Repeat("a", 70_000)},
		{"hello that claims 16 MiB", strings.Repeat(record(hello), 8)},
		{"alert", "\x15\x03\x01\x00\x02\x02\x28"},
		{"application data first", "\x17\x03\x03\x00\x05aaaaa"},
		{"empty records without end", strings.Repeat("\x16\x03\x01\x00\x00", 20_000)},
		{"half a record", "\x16\x03\x01\x10\x00abc"},
		{"endless white space", strings.Repeat("\n", 100_000)},
		{"nothing", ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			for _, way := range []string{"direct", "STARTTLS"} {
				plain, direct, _ := s.Addrs()
				addr := direct
				if way == "STARTTLS" {
					addr = plain
				}
				c := xmppraw.Connect(t, addr)
				if way == "STARTTLS" {
					c.Open()
					c.Send(startTLS)
					c.Want("<proceed xmlns='" + xmppraw.NSTLS + "'/>")
				}
				_ = c.TrySend(a.send)
				if got := c.Rest(); len(got) > 7 || len(got) > 0 && got[0] != 0x15 {
					t.Errorf("%s: answered %q, want an alert or nothing", way, got)
				}
			}
			by.goOn(t, 1)
		})
	}
}

// TestOldTLS: nothing below TLS 1.2 (RFC 7590 section 3, RFC 9325).
func TestOldTLS(t *testing.T) {
	s := xmppraw.Start(t)
	_, direct, _ := s.Addrs()
	for v, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: v, MaxVersion: v} //nolint:gosec // on purpose
		conn, err := tls.Dial("tcp", direct, cfg)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != ok {
			t.Errorf("TLS version %#x: %v, want ok=%v", v, err, ok)
		}
	}
}

// TestOtherProtocol: a client of another protocol is refused by ALPN; one that says nothing is let in
// (XEP-0368 section 5).
func TestOtherProtocol(t *testing.T) {
	s := xmppraw.Start(t)
	_, direct, _ := s.Addrs()
	for proto, ok := range map[string]bool{"xmpp-client": true, "h2": false, "xmpp-server": false, "": true} {
		cfg := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // self-signed
		if proto != "" {
			cfg.NextProtos = []string{proto}
		}
		conn, err := tls.Dial("tcp", direct, cfg)
		if err == nil {
			if got := conn.ConnectionState().NegotiatedProtocol; got != proto {
				t.Errorf("%q negotiated %q", proto, got)
			}
			_ = conn.Close()
		}
		if (err == nil) != ok {
			t.Errorf("protocol %q: %v, want ok=%v", proto, err, ok)
		}
	}
}

// TestRenegotiation: TLS 1.2 without renegotiation. The request is a ClientHello in place of
// application data; crypto/tls can't send a sealed one, so it comes in the clear, as an attacker on the
// way would inject it: the connection ends, and no second handshake begins.
func TestRenegotiation(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	_, direct, _ := s.Addrs()
	c := xmppraw.Connect(t, direct)
	raw := c.Conn
	c.StartTLS(func(cfg *tls.Config) { cfg.MaxVersion = tls.VersionTLS12 })
	c.Open()
	if _, err := raw.Write([]byte(record("\x01\x00\x00\x04\x03\x03\x00\x00"))); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(raw); err == nil && bytes.Contains(got.Bytes(), []byte("\x16\x03")) {
		t.Error("a second handshake was begun")
	}
	by.goOn(t, 1)
}
