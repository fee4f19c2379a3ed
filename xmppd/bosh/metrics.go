package bosh

import "github.com/prometheus/client_golang/prometheus"

// metrics count whether or not somebody collects them.
type metrics struct {
	sessions                               prometheus.Gauge
	requests, repeated, broken, superseded prometheus.Counter
	terminated                             *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "xmppd", Subsystem: "bosh", Name: name, Help: help})
	}
	m := &metrics{
		sessions:   prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "xmppd", Subsystem: "bosh", Name: "sessions", Help: "BOSH sessions, those that are not logged in yet included."}),
		requests:   counter("requests_total", "Requests received."),
		repeated:   counter("retransmissions_total", "Requests that had come before."),
		broken:     counter("broken_total", "Connections that broke while a request was held."),
		superseded: counter("presences_superseded_total", "Presence stanzas left out because a later one of their sender waited, too."),
		terminated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "xmppd", Subsystem: "bosh", Name: "terminated_total", Help: "Sessions and requests ended with a condition, by condition.",
		}, []string{"condition"}),
	}
	if reg != nil {
		reg.MustRegister(m.sessions, m.requests, m.repeated, m.broken, m.superseded, m.terminated)
	}
	return m
}
