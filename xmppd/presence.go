package xmppd

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/im"
)

// PresenceConfig is what presence the server allows. Accounts with a shared group are trusted: only
// Directed binds them.
type PresenceConfig struct {
	PerMinute int  `toml:"per_minute"` // broadcasts of a session; 0: as many as it likes
	Bytes     int  `toml:"bytes"`      // of one presence stanza; 0: 16384
	Directed  bool `toml:"directed"`   // directed presence (RFC 6121 section 4.6) is allowed
}

func (c PresenceConfig) policy() im.Policy {
	return im.Policy{PerMinute: c.PerMinute, Bytes: c.Bytes, NoDirected: !c.Directed}
}

// registerPresence makes the counters of package im metrics.
func registerPresence(reg prometheus.Registerer, c *im.Counters) {
	total := func(name, help, policy string, f func() uint64) {
		var labels prometheus.Labels
		if policy != "" {
			labels = prometheus.Labels{"policy": policy}
		}
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "xmppd", Name: name, Help: help, ConstLabels: labels,
		}, func() float64 { return float64(f()) }))
	}
	total("presence_broadcasts_total", "Presence sent to all subscribers of an account.", "", c.Broadcasts.Load)
	total("presence_late_total", "Presence broadcasts put off by presence.per_minute; the last of a row is sent.", "", c.Late.Load)
	const refused, help = "presence_refused_total", "Presence refused, by policy."
	total(refused, help, "size", c.TooLarge.Load)
	total(refused, help, "directed", c.DirectedRefused.Load)
	total(refused, help, "requests", c.RequestsRefused.Load)
	total("roster_refused_total", "Roster items and subscriptions refused because a roster was full.", "", c.RosterFull.Load)
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "xmppd", Name: "invisible_sessions", Help: "Sessions that are invisible (XEP-0186).",
	}, func() float64 { return float64(c.Hidden.Load()) }))
}
