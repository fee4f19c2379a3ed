package cluster

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
)

// Reasons of this package for which something on the port is refused; those of links are link.Reasons.
const (
	reasonFlood  = "flood"  // too many connections at once
	reasonSilent = "silent" // a connection that says nothing
	reasonGossip = "gossip" // another key, another cluster, or garbage
	reasonSize   = "size"   // gossip that is too long
)

// refusals counts what is refused on the port. All reasons are there from the beginning, so that a rate of each can be had.
func refusals(to prometheus.Registerer) (count func(reason string)) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xmppd_cluster_refused_total", Help: "Connections, gossip and servers that were refused on the cluster's port.",
	}, []string{"reason"})
	for _, r := range append(link.Reasons(), reasonFlood, reasonSilent, reasonGossip, reasonSize) {
		vec.WithLabelValues(r)
	}
	if to != nil {
		to.MustRegister(vec)
	}
	return func(reason string) { vec.WithLabelValues(reason).Inc() }
}
