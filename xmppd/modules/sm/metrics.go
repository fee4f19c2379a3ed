package sm

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/session"
)

// metrics count whether or not somebody collects them.
type metrics struct {
	resumed, failed, detached prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, m *Module) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "xmppd", Name: name, Help: help})
	}
	c := &metrics{
		resumed:  counter("sm_resumptions_total", "Sessions resumed on another connection."),
		failed:   counter("sm_failed_resumptions_total", "Requests to resume a session that failed."),
		detached: counter("sm_detached_total", "Sessions whose connection was lost and that waited for their client."),
	}
	if reg == nil {
		return c
	}
	gauge := func(name, help string, f func(*session.Session) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "xmppd", Name: name, Help: help}, func() float64 {
			return m.sum(f)
		})
	}
	reg.MustRegister(
		c.resumed, c.failed, c.detached,
		gauge("sm_resumable_sessions", "Sessions that can be resumed, those with a connection included.", func(*session.Session) float64 { return 1 }),
		gauge("sm_detached_sessions", "Sessions that wait for their client.", func(s *session.Session) float64 {
			if _, ok := s.Out.Detached(); ok {
				return 1
			}
			return 0
		}),
		gauge("sm_unacked_bytes", "Bytes of stanzas kept for resumable sessions until they are acknowledged.", func(s *session.Session) float64 {
			_, n := s.Out.Unacked()
			return float64(n)
		}),
	)
	return c
}

// sum adds up what f says of the sessions that can be resumed.
func (m *Module) sum(f func(*session.Session) float64) (total float64) {
	m.mu.Lock()
	list := make([]*session.Session, 0, len(m.byID))
	for _, s := range m.byID {
		list = append(list, s)
	}
	m.mu.Unlock()
	for _, s := range list {
		total += f(s)
	}
	return total
}
