package mission

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// crossings counts the stanzas that went from one zone to another.
func crossings(t *testing.T, sv *harness.Servers) (n float64) {
	t.Helper()
	sv.Quiet()
	for _, m := range sv.All {
		n += m.Metric(t, "xmppd_cluster_zone_crossings_total")
	}
	return n
}

// checkZones: four servers in two zones. Clients are sent to servers of the zone that they say, and what they
// write within it does not leave it, though the receiver has sessions of the same priority elsewhere.
func checkZones(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{
		N: 4, Zones: []string{"east", "east", "west", "west"}, Users: []string{"alice", "bob", "carol"}, Cluster: "public_c2s = \"HOST\"\n",
	})
	zoneOf := make(map[string]string)
	for i, m := range sv.All {
		zoneOf[m.Addr(t, "clients")] = []string{"east", "east", "west", "west"}[i]
	}
	c := newCrowd(t)
	for i := range 20 {
		for _, zone := range []string{"east", "west"} {
			if at := c.join("carol", zone, sv.All[i%4]); zoneOf[at] != zone {
				t.Errorf("a client of %s that came to %s is at %s, in %q", zone, sv.All[i%4].Name, at, zoneOf[at])
			}
		}
	}
	for zone, at := range map[string][2]int{"east": {0, 1}, "west": {2, 3}} {
		chatWithin(t, sv, zone, sv.All[at[0]], sv.All[at[1]], sv.All[(at[0]+2)%4])
	}
}

// chatWithin has two clients talk whose servers are in one zone, while the receiver has another client in the
// other zone; then the sender writes to that one.
func chatWithin(t *testing.T, sv *harness.Servers, zone string, from, to, far *harness.Member) {
	const n = 30
	t.Helper()
	alice := from.Online(t, "alice", zone)
	away := far.Online(t, "bob", zone+"-away")
	bob := to.Online(t, "bob", zone)
	before, sent := crossings(t, sv), 0.0
	for i := range n {
		for _, address := range []string{bob.JID, "bob@" + harness.Domain} {
			word := fmt.Sprintf("%s %s %d.", zone, address, i)
			alice.Send("<message type='normal' to='" + address + "'><body>" + word + "</body></message>")
			bob.Want(word)
		}
	}
	if now := crossings(t, sv); now != before {
		t.Errorf("%v of %d messages within %s went to the other zone", now-before, 2*n, zone)
	}
	sent = from.Metric(t, "xmppd_cluster_stanzas_sent_total")
	for i := range n {
		alice.Send(fmt.Sprintf("<message type='normal' to='%s'><body>far %d.</body></message>", away.JID, i))
		away.Want(fmt.Sprintf("far %d.", i))
	}
	if now, hops := crossings(t, sv), from.Metric(t, "xmppd_cluster_stanzas_sent_total")-sent; now-before != n || hops != n {
		t.Errorf("%d messages to the other zone crossed %v times, in %v hops", n, now-before, hops)
	}
	for _, s := range []*harness.Stream{alice, away, bob} {
		s.Send("</stream:stream>")
		s.End()
	}
}
