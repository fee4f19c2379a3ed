package c2s

import "github.com/prometheus/client_golang/prometheus"

// metrics of the streams. They count whether or not somebody collects them.
type metrics struct {
	logins, queued, authFailed, unclaimed, delayed, overflows, unfinished, dead, full prometheus.Counter
	streamErrors, refused, limited, authenticated, paused                             *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, s *Server) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "xmppd", Name: name, Help: help})
	}
	m := &metrics{
		logins:     counter("logins_total", "Streams that have bound a resource."),
		authFailed: counter("auth_failures_total", "Failed attempts to authenticate."),
		unclaimed:  counter("auth_unclaimed_total", "Attempts to authenticate that ended before the client had named a user, such as by a channel binding that the server does not know."),
		delayed:    counter("logins_delayed_total", "Logins that had to wait because their account is being guessed at from many addresses."),
		queued:     counter("logins_queued_total", "Clients that have waited for their turn to log in."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "xmppd", Name: "connections_refused_total", Help: "Connections closed because there were too many: in all, of an address, of an address within a minute, or waiting to log in.",
		}, []string{"limit"}),
		authenticated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "xmppd", Name: "authentications_total", Help: "Clients that have authenticated, by mechanism.",
		}, []string{"mechanism"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "xmppd", Name: "logins_limited_total", Help: "Logins refused unseen after too many failed ones, by limit.",
		}, []string{"limit"}),
		paused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "xmppd", Name: "pauses_total", Help: "Times that a client was not read for a while because it had sent too much, by limit.",
		}, []string{"limit"}),
		unfinished: counter("unfinished_stanzas_total", "Streams ended because a stanza took too long to come."),
		dead:       counter("dead_peers_total", "Streams ended because their peer did not acknowledge anything any more."),
		full:       counter("sessions_refused_total", "Resources not bound because their account had too many."),
		overflows:  counter("overflows_total", "Sessions ended because their client did not read."),
		streamErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "xmppd", Name: "stream_errors_total", Help: "Streams ended with an error, by condition.",
		}, []string{"condition"}),
	}
	m.begin()
	if reg == nil {
		return m
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "xmppd", Name: name, Help: help}, f)
	}
	counts := s.cfg.Router.Counts()
	total := func(name, help string, f func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "xmppd", Name: name, Help: help},
			func() float64 { return float64(f()) })
	}
	reg.MustRegister(m.logins, m.queued, m.authFailed, m.unclaimed, m.refused, m.limited, m.authenticated, m.delayed, m.overflows, m.streamErrors,
		m.paused, m.unfinished, m.dead, m.full,
		gauge("sessions", "Bound resources.", func() float64 { return float64(s.cfg.Table.Count()) }),
		gauge("connections", "Open client connections.", func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(s.open)
		}),
		gauge("queued_bytes", "Bytes that wait for clients in queues of more than 64 KiB.", func() float64 { return float64(s.chunks.Queued()) }),
		total("stanzas_routed_total", "Stanzas queued for a session.", counts.Routed.Load),
		total("stanzas_busy_total", "Stanzas that went back since too much of their sender waited for a receiver that reads slowly.", counts.Busy.Load),
		total("iqs_answered_total", "Requests answered by the server.", counts.Answered.Load),
		total("stanzas_bounced_total", "Stanzas returned as errors.", counts.Bounced.Load),
		total("stanzas_dropped_total", "Undeliverable stanzas that may not be answered.", counts.Lost.Load),
	)
	return m
}

// begin makes the counters whose labels are known begin at zero, as rates of them need it.
func (m *metrics) begin() {
	for _, limit := range []string{"total", "address", "rate", "logins"} {
		m.refused.WithLabelValues(limit)
	}
	for _, limit := range []string{"address", "account", "registration"} {
		m.limited.WithLabelValues(limit)
	}
	for _, limit := range []string{"stanzas", "bytes", "account_stanzas", "account_bytes"} {
		m.paused.WithLabelValues(limit)
	}
	for _, mechanism := range Mechanisms() {
		m.authenticated.WithLabelValues(mechanism)
	}
}
