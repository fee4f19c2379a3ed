package component

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	refused, failed  prometheus.Counter
	received, handed prometheus.Counter
}

func (m *metrics) register(reg prometheus.Registerer, s *Server) {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "xmppd", Subsystem: "component", Name: name, Help: help})
		if reg != nil {
			reg.MustRegister(c)
		}
		return c
	}
	m.refused = counter("connections_refused_total", "Connections closed because too many were waiting to prove their secret.")
	m.failed = counter("auth_failures_total", "Handshakes with a wrong secret or an unknown name.")
	m.received = counter("stanzas_received_total", "Stanzas that came from components.")
	m.handed = counter("stanzas_sent_total", "Stanzas queued for components.")
	if reg != nil {
		reg.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Namespace: "xmppd", Subsystem: "component", Name: "connected", Help: "Components that are attached."},
			func() float64 {
				s.mu.Lock()
				defer s.mu.Unlock()
				return float64(len(s.byDomain))
			}))
	}
}
