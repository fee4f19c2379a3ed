package sm

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// TestReplacedWhileEnabling: nothing is kept of a session that another one has replaced just before
// its client asked for resumption.
func TestReplacedWhileEnabling(t *testing.T) {
	m := New(Config{}, prometheus.NewRegistry())
	s := session.New(stanza.JID{Local: "a", Domain: "d", Resource: "r"})
	s.Out.Init(new(session.Pool), new(sink), 1<<20, func(func()) bool { return false })
	el, err := stanza.One([]byte("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"))
	if err != nil {
		t.Fatal(err)
	}
	var b session.Batch
	m.ended(t.Context(), s)
	if err := m.element(t.Context(), s, el, &b); err != nil {
		t.Fatal(err)
	}
	s.Out.Fail(session.ErrClosed)
	s.Out.Close()
	m.returned(t.Context(), s, &b)
	if len(m.byID) != 0 {
		t.Errorf("%d sessions that are gone can be resumed", len(m.byID))
	}
}
