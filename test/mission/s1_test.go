package mission

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkOrdinaryClients: the roster lists data nodes and applications, one JID
// each, and no data node has a socket that others could connect to.
func checkOrdinaryClients(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary})
	info := c.Info()
	cfg, err := info.Config("operator")
	if err != nil {
		t.Fatal(err)
	}
	roster := string(harness.Login(t, cfg).IQ("", "get", "<query xmlns='jabber:iq:roster'/>"))
	want := []string{info.Accounts["app"].JID}
	for _, n := range info.Nodes {
		want = append(want, bare(n.JID))
	}
	for _, jid := range want {
		if n := strings.Count(roster, "'"+jid+"'") + strings.Count(roster, `"`+jid+`"`); n != 1 {
			t.Errorf("the roster has %s %d times, not once: %s", jid, n, roster)
		}
	}
	for _, n := range info.Nodes {
		open, err := listeners(n.PID)
		if err != nil {
			t.Fatal(err)
		}
		if len(open) > 0 {
			t.Errorf("data node %s listens on %v; it must only dial out", n.ID, open)
		}
	}
	// The look itself must be able to find something: the server does listen.
	if open, err := listeners(info.Servers[0].PID); err != nil || len(open) == 0 {
		t.Errorf("found no listener of the XMPP server (%v); this check sees nothing", err)
	}
}

func bare(jid string) string {
	b, _, _ := strings.Cut(jid, "/")
	return b
}
