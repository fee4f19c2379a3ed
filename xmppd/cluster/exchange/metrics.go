package exchange

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type counter = atomic.Uint64

// Counters count what has passed.
type Counters struct {
	Hops, Crossings, Asked, Arrived, Returned, Doubtful, RepliesLost, Refused, Late, Superseded, Overruns counter
}

// Counts returns the exchange's counters.
func (x *Exchange) Counts() *Counters { return &x.counts }

// underWay counts what is not done yet: stanzas and presence that have come, and what waits for the directory.
func (x *Exchange) underWay() (n int) {
	for _, l := range x.lanes {
		l.mu.Lock()
		for _, waits := range l.asked {
			n += max(1, len(waits))
		}
		l.mu.Unlock()
		n += int(l.waiting.Load())
	}
	return n + int(x.casts.waiting.Load())
}

// Register makes the counters metrics.
func (x *Exchange) Register(reg prometheus.Registerer) {
	total := func(name, help string, c *counter) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "xmppd", Subsystem: "cluster", Name: name, Help: help,
		}, func() float64 { return float64(c.Load()) }))
	}
	total("stanzas_sent_total", "Messages and IQs handed to the server that acts for the receiver.", &x.counts.Hops)
	total("zone_crossings_total", "Those of them that went to a server of another zone.", &x.counts.Crossings)
	total("stanzas_received_total", "Messages and IQs of other servers, replies and copies included.", &x.counts.Arrived)
	total("questions_total", "Times that other servers were asked where an account is.", &x.counts.Asked)
	total("stanzas_returned_total", "Messages and IQs that a server did not get, or may not have got.", &x.counts.Returned)
	total("stanzas_doubtful_total", "Those of them that it may have got: their senders were told so.", &x.counts.Doubtful)
	total("replies_lost_total", "Errors whose receiver was nowhere to be found for a minute.", &x.counts.RepliesLost)
	total("stanzas_refused_total", "Messages and IQs of other servers that went back, and copies that were dropped, because too much waited for their account.", &x.counts.Refused)
	total("stanzas_late_total", "Messages and IQs of other servers that went back, because the records of their account could not be had while they waited.", &x.counts.Late)
	total("presence_superseded_total", "Presence of sessions of other servers that was not looked at, since later presence of theirs had come.", &x.counts.Superseded)
	total("presence_overruns_total", "Times that a link was ended because more presence waited than is kept.", &x.counts.Overruns)
	gauge := func(name, help string, labels prometheus.Labels, f func() int) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "xmppd", Subsystem: "cluster", Name: name, Help: help, ConstLabels: labels,
		}, func() float64 { return float64(f()) }))
	}
	gauge("waiting", "What other servers have sent and is not done, and accounts whose place is being asked for.", nil, x.underWay)
	const accounts, help = "directory_accounts", "Accounts that the directory knows here: with sessions here, of this server's share, remembered."
	gauge(accounts, help, prometheus.Labels{"kind": "own"}, func() int { own, _, _ := x.dir.Sizes(); return own })
	gauge(accounts, help, prometheus.Labels{"kind": "share"}, func() int { _, share, _ := x.dir.Sizes(); return share })
	gauge(accounts, help, prometheus.Labels{"kind": "remembered"}, func() int { _, _, r := x.dir.Sizes(); return r })
}
