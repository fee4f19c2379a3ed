package sm

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// sink is a transport that keeps what it gets.
type sink struct{ got []byte }

func (s *sink) TryWrite(p []byte) (int, bool, error) {
	s.got = append(s.got, p...)
	return len(p), false, nil
}
func (*sink) Finish() (int, error) { return 0, nil }
func (*sink) Abort()               {}

// FuzzElements feeds the elements of a client before and after a resource is bound: each is answered
// by whole elements or ends the stream by a stream error, and no name is taken that wasn't given.
func FuzzElements(f *testing.F) {
	for _, s := range []string{
		"<enable xmlns='urn:xmpp:sm:3'/>", "<enable xmlns='urn:xmpp:sm:3' resume='1' max='10'/><r xmlns='urn:xmpp:sm:3'/>",
		"<enable xmlns='urn:xmpp:sm:3' resume='true' max='-1'/><a xmlns='urn:xmpp:sm:3' h='0'/><a xmlns='urn:xmpp:sm:3' h='1'/>",
		"<enable xmlns='urn:xmpp:sm:3' max='99999999999999999999'/><a xmlns='urn:xmpp:sm:3' h='-1'/>",
		"<resume xmlns='urn:xmpp:sm:3' h='0' previd=''/>", "<resume xmlns='urn:xmpp:sm:3' h='4294967296' previd='&lt;x'/>",
		"<resume xmlns='urn:xmpp:sm:3' h='5'/><x xmlns='urn:xmpp:sm:3'><a/></x>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m := New(Config{}, prometheus.NewRegistry())
		s, out := session.New(stanza.JID{Local: "a", Domain: "d", Resource: "r"}), new(sink)
		s.Out.Init(new(session.Pool), out, 1<<20, func(func()) bool { return false })
		var b session.Batch
		scan := stanza.NewScanner(stanza.Limits{})
		for len(in) > 0 {
			el, n, err := scan.Next(in)
			if err != nil || n == 0 {
				break
			}
			in = in[n:]
			if el == nil || el.Kind != stanza.Nonza {
				continue
			}
			var se *module.StreamError
			if got, reply, err := m.Resume(t.Context(), s.JID.Bare(), el); got != nil || err != nil || !strings.HasPrefix(string(reply), "<failed ") {
				t.Fatalf("resumption of nothing: %v, %q, %v", got, reply, err)
			}
			if err := m.element(t.Context(), s, el, &b); err != nil && !errors.As(err, &se) {
				t.Fatal(err)
			}
			b.Flush()
		}
		check := stanza.NewScanner(stanza.Limits{})
		for rest := out.got; len(rest) > 0; {
			el, n, err := check.Next(rest)
			if err != nil || el == nil {
				t.Fatalf("answered %q: %v", out.got, err)
			}
			rest = rest[n:]
		}
	})
}
