package mission

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// hops are the counters of what passes between servers, summed over all.
type hops struct{ sent, received, questions float64 }

func countHops(t *testing.T, sv *harness.Servers) (h hops) {
	t.Helper()
	sv.Quiet()
	for _, m := range sv.All {
		h.sent += m.Metric(t, "xmppd_cluster_stanzas_sent_total")
		h.received += m.Metric(t, "xmppd_cluster_stanzas_received_total")
		h.questions += m.Metric(t, "xmppd_cluster_questions_total")
	}
	return h
}

// checkRedirects: chat within a server touches no other; between two it takes one hop each, and asks for
// the way once; who moves is followed; without redirects all is delivered as well.
func checkRedirects(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off=%v", off), func(t *testing.T) {
			sv := harness.StartServers(t, binary, harness.ServersOptions{
				N: 3, Local: true, Users: []string{"alice", "bob", "carol"}, Cluster: fmt.Sprintf("no_redirects = %v\n", off),
			})
			sv.Settled()
			walk(t, sv, off)
		})
	}
}

// talk sends numbered messages to a full JID and waits for the last.
func talk(from, to *harness.Stream, topic string, n int) {
	for i := range n {
		from.Send(fmt.Sprintf("<message type='chat' to='%s'><body>%s %d.</body></message>", to.JID, topic, i))
	}
	for i := range n {
		to.Want(fmt.Sprintf("%s %d.", topic, i)) // in order: Want drops what comes before
	}
}

func walk(t *testing.T, sv *harness.Servers, off bool) {
	const n = 50
	alice, carol := sv.All[0].Online(t, "alice", "a"), sv.All[0].Online(t, "carol", "c")
	bob := sv.All[1].Online(t, "bob", "b")
	before := countHops(t, sv)
	talk(alice, carol, "local", n)
	if now := countHops(t, sv); now != before {
		t.Errorf("chat within a server: %+v, then %+v", before, now)
	}

	talk(alice, bob, "first", 1)
	before = countHops(t, sv)
	talk(alice, bob, "across", n)
	now := countHops(t, sv)
	if now.sent-before.sent != n || now.received-before.received != n {
		t.Errorf("%d messages across took %+v, then %+v", n, before, now)
	}
	if asked := now.questions - before.questions; !off && asked != 0 {
		t.Errorf("the way was asked for %v times, though it was known", asked)
	}

	bob.Send("</stream:stream>")
	bob.End()
	bob = sv.All[2].Online(t, "bob", "b")
	talk(alice, bob, "moved", n)
	before = countHops(t, sv)
	talk(alice, bob, "followed", n)
	if now := countHops(t, sv); now.sent-before.sent != n {
		t.Errorf("%d messages to who has moved took %+v, then %+v", n, before, now)
	}
}
