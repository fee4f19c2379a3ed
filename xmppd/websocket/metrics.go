package websocket

import "github.com/prometheus/client_golang/prometheus"

// metrics count whether or not somebody collects them.
type metrics struct {
	sessions                 prometheus.Gauge
	messages, pings, refused prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "xmppd", Subsystem: "websocket", Name: name, Help: help})
	}
	m := &metrics{
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "xmppd", Subsystem: "websocket", Name: "sessions", Help: "Bound resources over WebSocket."}),
		messages: counter("messages_total", "WebSocket messages received."),
		pings:    counter("pings_total", "Pings sent to silent peers."),
		refused:  counter("refused_total", "Requests that were not upgraded: origin, sub-protocol or handshake."),
	}
	if reg != nil {
		reg.MustRegister(m.sessions, m.messages, m.pings, m.refused)
	}
	return m
}
