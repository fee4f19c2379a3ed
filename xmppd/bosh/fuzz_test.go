package bosh

import (
	"bytes"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// FuzzBody: a body is refused, or its numbers are in range and its payload is a part of it; a
// scanner can be used again after one that was taken.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		"<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='a' wait='60' hold='1' ver='1.6'/>",
		"<?xml version='1.0'?>\n<body rid='9007199254740991' sid='x' xmlns:x='urn:xmpp:xbosh' x:restart='true' xmlns='http://jabber.org/protocol/httpbind'></body>",
		"<body xmlns='http://jabber.org/protocol/httpbind' rid='2' sid='a' type='terminate'><presence xmlns='jabber:client'/> </body>",
		"<body xmlns='http://jabber.org/protocol/httpbind' rid='2' pause='-1'/>", "<body rid='1'/>", "<body xmlns='http://jabber.org/protocol/httpbind' rid='3'><body></body></body>",
		"<body xmlns='http://jabber.org/protocol/httpbind' rid='3' ack='x'>]]></body>", "", "<",
	} {
		f.Add([]byte(seed))
	}
	limits := limitsOf(stanza.Limits{}, 64<<10)
	f.Fuzz(func(t *testing.T, raw []byte) {
		scan := stanza.NewScanner(limits)
		r, err := parseBody(raw, scan)
		if err != nil {
			return
		}
		switch {
		case r.rid < 1 || r.rid > maxRID || r.ack < -1 || r.pause < -1 || r.wait < -1 || r.hold < -1:
			t.Fatalf("%q: %+v", raw, r)
		case len(r.payload) > 0 && !bytes.Contains(raw, r.payload):
			t.Fatalf("%q: payload %q", raw, r.payload)
		}
		if _, err := parseBody([]byte("<body xmlns='"+nsBind+"' rid='1'/>"), scan); err != nil {
			t.Fatalf("after %q: %v", raw, err)
		}
	})
}

func TestOlderVersion(t *testing.T) {
	for other, want := range map[string]string{"": "1.11", "1.6": "1.6", "1.11": "1.11", "1.12": "1.11", "2.0": "1.11", "0.9": "0.9", "x": "1.11", "1.-1": "1.11"} {
		if got := olderVersion("1.11", other); got != want {
			t.Errorf("%q: %s, want %s", other, got, want)
		}
	}
}

func TestContentType(t *testing.T) {
	for in, want := range map[string]string{"": defaultContent, "text/html": defaultContent, "text/xml": "text/xml", "application/xml; charset=utf-8": "application/xml; charset=utf-8", "text/xml\r\nX: y": defaultContent} {
		if got := contentType(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
