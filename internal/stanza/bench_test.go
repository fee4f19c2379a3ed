package stanza

import (
	"strings"
	"testing"
)

func benchmarkScanner(b *testing.B, in string) {
	buf := []byte(in)
	s := NewScanner(Limits{})
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if st, _, err := s.Next(buf); st == nil || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScannerChat400(b *testing.B) {
	benchmarkScanner(b, "<message to='juliet@example.org/balcony' type='chat' id='m1'><body>"+strings.Repeat("wherefore ", 31)+"</body></message>")
}

func BenchmarkScannerRaft64K(b *testing.B) {
	benchmarkScanner(b, "<message to='dn2@example.org/store' type='normal'><raft xmlns='urn:rosterdb:raft:1' from='3'>"+strings.Repeat("QUJD", 16<<10)+"</raft></message>")
}

func BenchmarkScannerMarkup(b *testing.B) {
	benchmarkScanner(b, "<iq type='result' id='r1'><query xmlns='jabber:iq:roster'>"+
		strings.Repeat("<item jid='romeo@example.net' name='Romeo' subscription='both'><group>Friends</group></item>", 20)+"</query></iq>")
}

func BenchmarkParserMarkup(b *testing.B) {
	raw := []byte("<query xmlns='jabber:iq:roster'>" + strings.Repeat("<item jid='romeo@example.net' name='Romeo' subscription='both'><group>Friends</group></item>", 20) + "</query>")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		p := Parse(raw)
		for p.Next() != EOF {
			_, _ = p.Attr("jid")
		}
	}
}

func BenchmarkParseJID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseJID("juliet@example.org/balcony")
	}
}
