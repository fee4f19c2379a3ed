package mission

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// far is how many accounts there are to find one among of which a server knows nothing: two of three do.
const far = 20

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
				N: 3, Users: append([]string{"alice", "carol"}, accounts(far)...), Cluster: fmt.Sprintf("no_redirects = %v\n", off),
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

// unshared logs a client in at the second server, of an account of which the first server has no share of the directory: it has to
// ask.
func unshared(t *testing.T, sv *harness.Servers) (user string, s *harness.Stream) {
	t.Helper()
	const share = `xmppd_cluster_directory_accounts{kind="share"}`
	for _, user := range accounts(far) {
		sv.Quiet()
		before := sv.All[0].Metric(t, share)
		s := sv.All[1].Online(t, user, "b")
		sv.Quiet()
		if sv.All[0].Metric(t, share) == before {
			return user, s
		}
		s.Send("</stream:stream>")
		s.End()
	}
	t.Fatalf("x1 has a share of each of %d accounts", far)
	return "", nil
}

func walk(t *testing.T, sv *harness.Servers, off bool) {
	const n = 50
	alice, carol := sv.All[0].Online(t, "alice", "a"), sv.All[0].Online(t, "carol", "c")
	user, bob := unshared(t, sv)
	before, frames := countHops(t, sv), sv.Frames("records")
	const many = 3000 // more than servers tell each other of their records meanwhile
	talk(alice, carol, "local", many)
	if said := sv.Frames("records") - frames; said >= many/2 {
		t.Errorf("%v frames about records while %d messages stayed within a server", said, many)
	}
	if now := countHops(t, sv); now != before {
		t.Errorf("chat within a server: %+v, then %+v", before, now)
	}

	talk(alice, bob, "first", 1)
	before = countHops(t, sv)
	for i := range n { // those that come together share a question
		talk(alice, bob, fmt.Sprint("across ", i), 1)
	}
	now := countHops(t, sv)
	if now.sent-before.sent != n || now.received-before.received != n {
		t.Errorf("%d messages across took %+v, then %+v", n, before, now)
	}
	if asked := now.questions - before.questions; !off && asked != 0 || off && asked < n {
		t.Errorf("with redirects off %v, the way of %d messages was asked for %v times", off, n, asked)
	}

	bob.Send("</stream:stream>")
	bob.End()
	bob = sv.All[2].Online(t, user, "b")
	talk(alice, bob, "moved", n)
	before = countHops(t, sv)
	talk(alice, bob, "followed", n)
	if now := countHops(t, sv); now.sent-before.sent != n {
		t.Errorf("%d messages to who has moved took %+v, then %+v", n, before, now)
	}
}
