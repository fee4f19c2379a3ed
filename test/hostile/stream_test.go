package hostile

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const (
	streamTag = "<stream:stream to='" + xmppraw.Domain + "' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'"
	bindIQ    = "<iq type='set' id='b'><bind xmlns='" + xmppraw.NSBind + "'/></iq>"
	startTLS  = "<starttls xmlns='" + xmppraw.NSTLS + "'/>"
)

func auth(mechanism, data string) string {
	return "<auth xmlns='" + xmppraw.NSSASL + "' mechanism='" + mechanism + "'>" + data + "</auth>"
}

func wide(s string, bigEndian bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
		hi, lo := byte(u>>8), byte(u)
		if !bigEndian {
			hi, lo = lo, hi
		}
		b.Write([]byte{hi, lo})
	}
	return b.String()
}

// headers are first bytes that open no stream here (RFC 6120 sections 4.2, 4.7, 4.8 and 11).
func headers() []attack {
	swap := func(old, now string) string { return strings.Replace(xmppraw.Header, old, now, 1) }
	return []attack{
		{"no XML", "GET / HTTP/1.1\r\n\r\n", "not-well-formed"},
		{"TLS on the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "not-well-formed"},
		{"byte order mark", "\ufeff" + xmppraw.Header, "not-well-formed"},
		{"UTF-16", wide(xmppraw.Header, false), "unsupported-encoding"},
		{"UTF-16, big-endian", wide(xmppraw.Header, true), "unsupported-encoding"},
		{"UTF-16 without a mark", wide(xmppraw.Header, true)[2:], "unsupported-encoding"},
		{"declared as Latin-1", swap("version='1.0'?", "version='1.0' encoding='iso-8859-1'?"), "unsupported-encoding"},
		{"declared as UTF-16", swap("version='1.0'?", "version='1.0' encoding='UTF-16'?"), "unsupported-encoding"},
		{"declared as UTF-7", swap("version='1.0'?", "version='1.0' encoding='UTF-7'?"), "unsupported-encoding"},
		{"XML 1.1", swap("version='1.0'?", "version='1.1'?"), "not-well-formed"},
		{"two XML declarations", "<?xml version='1.0'?>" + xmppraw.Header, "restricted-xml"},
		{"entity in the header", streamTag + " xml:lang='&lol;'>", "restricted-xml"},
		{"invalid UTF-8 in the header", streamTag + " id='\xff'>", "unsupported-encoding"},
		{"control character in the header", streamTag + " id='\x01'>", "not-well-formed"},
		{"invalid reference in the header", streamTag + " id='&#0;'>", "not-well-formed"},
		{"endless header", "<stream:stream x='" + strings.Repeat("x", 100_000), "policy-violation"},
		{"endless name", "<" + strings.Repeat("x", 100_000), "policy-violation"},
		{"endless XML declaration", "<?xml " + strings.Repeat("x", 100_000), "policy-violation"},
		{"endless white space", strings.Repeat(" ", 100_000), "policy-violation"},
		{"attribute flood", streamTag + many(200, " a%d='1'") + ">", "policy-violation"},
		{"attribute twice", streamTag + " to='" + xmppraw.Domain + "'>", "not-well-formed"},
		{"attribute twice by namespace", streamTag + " xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'>", "not-well-formed"},
		{"undeclared prefix", streamTag + " x:a='1'>", "bad-namespace-prefix"},
		{"prefix xml redeclared", streamTag + " xmlns:xml='u'>", "not-well-formed"},
		{"prefix xmlns declared", streamTag + " xmlns:xmlns='u'>", "not-well-formed"},
		{"broken header", "<stream:stream to='a' to='b' <>", "not-well-formed"},
		{"no white space between attributes", strings.Replace(streamTag, "' ", "'", 2) + ">", "not-well-formed"},
		{"'<' in a value", streamTag + " a='<'>", "not-well-formed"},
		{"other domain", swap(xmppraw.Domain, "example.com"), "host-unknown"},
		{"no domain", swap("to='"+xmppraw.Domain+"'", ""), "host-unknown"},
		{"bad domain", swap(xmppraw.Domain, "a@@b"), "improper-addressing"},
		{"address of an account", swap(xmppraw.Domain, "alice@"+xmppraw.Domain), "host-unknown"},
		{"other stream namespace", swap("etherx.jabber.org", "example.org"), "invalid-namespace"},
		{"no stream namespace", swap(" xmlns:stream='http://etherx.jabber.org/streams'", ""), "bad-namespace-prefix"},
		{"content namespace of a server", swap("jabber:client", "jabber:server"), "invalid-namespace"},
		{"no content namespace", swap(" xmlns='jabber:client'", ""), "invalid-namespace"},
		{"no stream", swap("<stream:stream", "<stream:strm"), "bad-format"},
		{"stanza instead of a stream", "<message xmlns='jabber:client'><body/></message>", "invalid-namespace"},
		{"other prefix", strings.ReplaceAll(swap("stream:stream", "s:stream"), "xmlns:stream", "xmlns:s"), "bad-namespace-prefix"},
		{"default namespace is that of streams", "<stream xmlns='http://etherx.jabber.org/streams' to='" + xmppraw.Domain + "' version='1.0'>", "bad-namespace-prefix"},
		{"version 0.9", swap(" version='1.0'>", " version='0.9'>"), "unsupported-version"},
		{"no version", swap(" version='1.0'>", ">"), "unsupported-version"},
		{"empty stream", strings.Replace(xmppraw.Header, "'>", "'/>", 1), "bad-format"},
	}
}

// beforeLogin is sent on a stream that is open (RFC 6120 sections 5, 6 and 7.1).
func beforeLogin() []attack {
	return []attack{
		{"message", "<message to='" + victim + "'><body>spam</body></message>", "not-authorized"},
		{"presence", "<presence to='" + victim + "'/>", "not-authorized"},
		{"binding", bindIQ, "not-authorized"},
		{"roster", "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>", "not-authorized"},
		{"resumption", "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", "not-authorized"},
		{"stream management", "<enable xmlns='urn:xmpp:sm:3'/>", "not-authorized"},
		{"second stream header", xmppraw.Header, "restricted-xml"},
		{"second stream header, without a declaration", streamTag + ">", "unsupported-stanza-type"},
		{"unknown element", "<a xmlns='b'/>", "not-authorized"},
		{"malformed element", "<auth></response>", "not-well-formed"},
		{"deep nesting", strings.Repeat("<a>", 10_000), "policy-violation"},
		{"too much", "<auth xmlns='" + xmppraw.NSSASL + "' mechanism='PLAIN'>" + strings.Repeat("A", 100_000), "policy-violation"},
		{"too much in small pieces", strings.Repeat("<response xmlns='"+xmppraw.NSSASL+"'/>", 1) + strings.Repeat(" ", 100_000), "policy-violation"},
		{"stream error", "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", "end"},
		{"end of the stream", "</stream:stream>", "end"},
		{"data behind starttls", startTLS + "<message/>", "policy-violation"},
		{"login behind starttls", startTLS + xmppraw.Plain("mallory", xmppraw.Password), "policy-violation"},
		{"data behind white space behind starttls", startTLS + "\n<message/>", "policy-violation"},
		{"TLS behind starttls at once", startTLS + "\n\x16\x03\x01", "policy-violation"},
		{"registration that is closed", "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>x</username><password>y</password></query></iq></stream:stream>", "end"},
		{"three wrong passwords", strings.Repeat(xmppraw.Plain("mallory", "wrong"), 3), "policy-violation"},
		{"one login after another", strings.Repeat(auth("SCRAM-SHA-1", ""), 10), "policy-violation"},
		{"three aborts", strings.Repeat("<abort xmlns='"+xmppraw.NSSASL+"'/>", 3), "policy-violation"},
	}
}

// sasl is what SASL refuses (RFC 6120 section 6.5); another attempt is allowed.
func sasl() []attack {
	return []attack{
		{"response without auth", "<response xmlns='" + xmppraw.NSSASL + "'/>", "sasl malformed-request"},
		{"success from a client", "<success xmlns='" + xmppraw.NSSASL + "'/>", "sasl malformed-request"},
		{"challenge from a client", "<challenge xmlns='" + xmppraw.NSSASL + "'/>", "sasl malformed-request"},
		{"abort", "<abort xmlns='" + xmppraw.NSSASL + "'/>", "sasl aborted"},
		{"abort in an exchange", auth("SCRAM-SHA-1", "") + "<abort xmlns='" + xmppraw.NSSASL + "'/>", "sasl aborted"},
		{"auth in an exchange", auth("SCRAM-SHA-1", "") + auth("PLAIN", "="), "sasl malformed-request"}, // of the second one
		{"stanza in an exchange", auth("SCRAM-SHA-1", "") + "<message/>", "sasl malformed-request"},
		{"no mechanism", "<auth xmlns='" + xmppraw.NSSASL + "'/>", "sasl invalid-mechanism"},
		{"unknown mechanism", auth("X-OWN", ""), "sasl invalid-mechanism"},
		{"no base64", auth("PLAIN", "!!!"), "sasl incorrect-encoding"},
		{"base64 with a line feed", auth("PLAIN", "AG1hbGxvcnkA\ncGVuY2ls"), "sasl incorrect-encoding"},
		{"base64 with stray bits", auth("PLAIN", "AB=="), "sasl incorrect-encoding"},
		{"base64 with white space", auth("PLAIN", "AG1h bGxvcnkA"), "sasl incorrect-encoding"},
		{"base64 without padding", auth("PLAIN", "AA"), "sasl incorrect-encoding"},
		{"base64 with padding inside", auth("PLAIN", "AA==AAAA"), "sasl incorrect-encoding"},
		{"PLAIN without NULs", auth("PLAIN", "YWxpY2U="), "sasl malformed-request"},
		{"PLAIN of nothing", auth("PLAIN", "="), "sasl malformed-request"},
		{"PLAIN without a name", auth("PLAIN", "AABwZW5jaWw="), "sasl malformed-request"},
		{"name that is no localpart", auth("PLAIN", "AGFAYkBjAHBlbmNpbA=="), "sasl not-authorized"},
		{"acting for another user", auth("PLAIN", "Ym9iQGV4YW1wbGUubmV0AGFsaWNlAHBlbmNpbA=="), "sasl invalid-authzid"},
		{"SCRAM of garbage", auth("SCRAM-SHA-256", "AAAA"), "sasl malformed-request"},
		{"SCRAM that asks for an extension", auth("SCRAM-SHA-256", "biwsbT14LG49YSxyPTEyMzQ1Njc4OQ=="), "sasl malformed-request"},
	}
}

// beforeBinding is sent with a login but without a resource (RFC 6120 section 7).
func beforeBinding() []attack {
	bind := func(attrs, inner string) string {
		return "<iq " + attrs + "><bind xmlns='" + xmppraw.NSBind + "'>" + inner + "</bind></iq>"
	}
	return []attack{
		{"message", "<message to='" + victim + "'><body>spam</body></message>", "not-authorized"},
		{"presence", "<presence/>", "not-authorized"},
		{"roster", "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>", "not-authorized"},
		{"SASL again", xmppraw.Plain("mallory", xmppraw.Password), "not-authorized"},
		{"starttls", startTLS, "not-authorized"},
		{"four bindings without an id", strings.Repeat(bind("type='set'", ""), 4), "policy-violation"},
		{"resource that is no resource", strings.Repeat(bind("type='set' id='b'", "<resource>&#x7f;</resource>"), 4), "policy-violation"},
		{"endless resource", strings.Repeat(bind("type='set' id='b'", "<resource>"+strings.Repeat("r", 2000)+"</resource>"), 4), "policy-violation"},
		{"too much", bind("type='set' id='b'", "<resource>"+strings.Repeat("r", 100_000)), "policy-violation"},
	}
}

// afterBinding is what does not belong on a stream with a resource.
func afterBinding() []attack {
	return []attack{
		{"second stream header", xmppraw.Header, "restricted-xml"},
		{"second stream header, without a declaration", streamTag + ">", "unsupported-stanza-type"},
		{"SASL again", xmppraw.Plain("mallory", xmppraw.Password), "unsupported-stanza-type"},
		{"SASL response", "<response xmlns='" + xmppraw.NSSASL + "'/>", "unsupported-stanza-type"},
		{"starttls", startTLS, "unsupported-stanza-type"},
		{"unknown element", "<foo xmlns='bar'/>", "unsupported-stanza-type"},
		{"unknown stanza", "<pubsub/>", "unsupported-stanza-type"},
		{"features from a client", "<stream:features/>", "unsupported-stanza-type"},
		{"stream error", "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", "end"},
		{"end of the stream", "</stream:stream>", "end"},
		{"stanza behind the end of the stream", "</stream:stream><message to='" + victim + "'><body>spam</body></message>", "end"},
		{"spoofed from, full", "<message from='bob@" + xmppraw.Domain + "/bystander' to='" + victim + "'><body>spoof</body></message>", "invalid-from"},
		{"spoofed from, bare", "<message from='bob@" + xmppraw.Domain + "' to='" + victim + "'><body>spoof</body></message>", "invalid-from"},
		{"spoofed from, own account's other resource", "<message from='mallory@" + xmppraw.Domain + "/other' to='" + victim + "'><body>spoof</body></message>", "invalid-from"},
		{"spoofed from, the server", "<presence from='" + xmppraw.Domain + "' to='" + victim + "'/>", "invalid-from"},
		{"spoofed from, another server", "<message from='bob@example.com' to='" + victim + "'><body>spoof</body></message>", "invalid-from"},
		{"spoofed from, a roster push", "<iq from='carol@" + xmppraw.Domain + "' to='" + victim + "' type='set' id='p'><query xmlns='jabber:iq:roster'/></iq>", "invalid-from"},
		{"spoofed from, empty", "<message from='' to='" + victim + "'><body>spoof</body></message>", "invalid-from"},
		{"malformed from", "<message from='@@' to='" + victim + "'><body>spoof</body></message>", "invalid-from"},
		{"spoofed from by a reference", "<message from='b&#111;b@" + xmppraw.Domain + "' to='" + victim + "'><body>spoof</body></message>", "invalid-from"},
	}
}

// TestHostileStreams: streams out of order, each with its error, and a victim who hears nothing of it.
func TestHostileStreams(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	carol := xmppraw.Online(t, s, "carol", "victim")
	t.Run("header", func(t *testing.T) { run(t, s, connected, by, headers()) })
	t.Run("before login", func(t *testing.T) { run(t, s, opened, by, beforeLogin()) })
	t.Run("SASL", func(t *testing.T) { run(t, s, opened, by, sasl()) })
	t.Run("before binding", func(t *testing.T) { run(t, s, authenticated, by, beforeBinding()) })
	t.Run("after binding", func(t *testing.T) { run(t, s, bound, by, afterBinding()) })
	t.Run("after binding over TLS", func(t *testing.T) { run(t, s, boundTLS, by, afterBinding()) })
	if got := carol.Sync(); got != "" {
		t.Errorf("the victim got %q", got)
	}
}

// TestTooSlow: who does not get on is cut off, whatever keeps coming (RFC 6120 section 4.9.3.4).
func TestTooSlow(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.NegotiationSeconds = 4 }) // enough for the bystanders, if all is slow
	by := chat(t, s)
	for _, a := range []attack{
		{"silence", "", "connection-timeout"},
		{"half a header", "<stream:stream to='", "connection-timeout"},
		{"no login", xmppraw.Header, "connection-timeout"},
		{"half an element", xmppraw.Header + "<auth xmlns='" + xmppraw.NSSASL + "' ", "connection-timeout"},
		{"half a login", xmppraw.Header + auth("SCRAM-SHA-1", ""), "connection-timeout"},
		{"login without binding", xmppraw.Header + xmppraw.Plain("mallory", xmppraw.Password) + xmppraw.Header, "connection-timeout"},
		{"a byte now and then", "drip", "connection-timeout"},
		{"white space now and then", "drip space", "connection-timeout"},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			c := connected(t, s, "")
			if text, drips := strings.CutPrefix(a.send, "drip"); drips {
				go drip(c, xmppraw.Header+strings.Repeat(text, 1000))
			} else {
				c.Send(a.send)
			}
			by.goOn(t, 10)
			got := c.Rest()
			_ = c.Conn.Close()
			if !strings.Contains(got, "<stream:error><"+a.want+" ") || !strings.HasSuffix(got, "</stream:stream>") {
				t.Errorf("answered %q, want the stream error %s", got, a.want)
			}
		})
	}
}

// TestSlowStanza: after login, too, a stanza has to come to its end, byte by byte or not at all.
// White space between stanzas may go on for ever.
func TestSlowStanza(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.StanzaSeconds = 1 })
	by := chat(t, s)
	for _, a := range []attack{
		{"half a tag", "<mess", "policy-violation"},
		{"half a value", "<message to='", "policy-violation"},
		{"half a stanza", "<message><body>x", "policy-violation"},
		{"half a character", "<message><body>\xe2\x82", "policy-violation"},
		{"half an end", "</stream:str", "policy-violation"},
		{"a byte now and then", "drip<message to='" + victim + "'><body>" + strings.Repeat("slowly ", 1000), "policy-violation"},
		{"white space in a stanza now and then", "drip<message>" + strings.Repeat(" ", 1000), "policy-violation"},
	} {
		for name, from := range map[string]stage{"plain": bound, "TLS": boundTLS} {
			t.Run(a.name+", "+name, func(t *testing.T) {
				t.Parallel()
				c := from(t, s, fmt.Sprint("r", by.attackers.Add(1)))
				if text, drips := strings.CutPrefix(a.send, "drip"); drips {
					go drip(c, text)
				} else {
					c.Send(a.send)
				}
				by.goOn(t, 10)
				judge(t, c, a.want)
				_ = c.Conn.Close()
			})
		}
	}
	t.Run("white space between stanzas", func(t *testing.T) {
		t.Parallel()
		c := bound(t, s, "patient")
		for range 60 {
			c.Send(" ")
			by.goOn(t, 20)
		}
		c.Sync()
	})
}

// drip sends a byte at a time until the connection is closed.
func drip(c *xmppraw.Client, text string) {
	for i := range len(text) {
		if _, err := io.WriteString(c.Conn, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(30 * time.Millisecond) // the attack itself
	}
}

// TestEveryByteApart: stanzas that arrive cut anywhere are the same stanzas, and a connection that
// breaks anywhere delivers whole stanzas or none.
func TestEveryByteApart(t *testing.T) {
	s := xmppraw.Start(t)
	carol := xmppraw.Online(t, s, "carol", "victim")
	stanzas := "<message to='" + victim + "' id=\"&quot;\"><a xmlns:p='u'><p:é b='>'/></a><![CDATA[]]]]><body>&#x1F600;€</body></message><presence to='" + victim + "'/>"
	c := xmppraw.Login(t, s, "mallory", "r")
	c.Send(stanzas)
	whole := carol.Want("<presence to='" + victim + "' from='mallory@" + xmppraw.Domain + "/r'/>")
	if !strings.Contains(whole, "€</body></message>") {
		t.Fatalf("the message did not come: %q", whole)
	}
	for i := 1; i < len(stanzas); i++ {
		c.Send(stanzas[:i])
		c.Send(stanzas[i:])
		if got := carol.Want("</message>", "</stream:stream>") + carol.Want("/>"); got != whole {
			t.Fatalf("cut at byte %d: %q, want %q", i, got, whole)
		}
	}
	message := strings.Index(stanzas, "</message>") + len("</message>")
	for i := 1; i < len(stanzas); i += 1 + i%3 {
		name := fmt.Sprint("cut", i)
		c := xmppraw.Login(t, s, "mallory", name)
		c.Send("<presence/><presence to='" + victim + "'/>")
		carol.Want("/" + name + "'/>")
		c.Send(stanzas[:i])
		if err := c.Conn.Close(); err != nil {
			t.Fatal(err)
		}
		got := carol.Want("/" + name + "' type='unavailable'/>")
		if arrived := strings.Contains(got, "</message>"); arrived != (i >= message) {
			t.Errorf("the connection broke at byte %d: arrived %v, %q", i, arrived, got)
		}
	}
}
