package httpauth

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count over the sources that follow one another as the configuration is read again.
type Metrics struct {
	requests *prometheus.CounterVec
	current  atomic.Pointer[Source]
}

// Outcomes of questions.
const (
	answered  = "answered"
	failed    = "failed"
	abandoned = "abandoned" // whoever asked has gone
	notAsked  = "not_asked" // the source is given up for now, or has enough questions
)

// NewMetrics registers the metrics with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "xmppd", Subsystem: "auth_source", Name: "requests_total", Help: "Questions to the source of logins over HTTP, by outcome.",
	}, []string{"outcome"})}
	for _, outcome := range []string{answered, failed, abandoned, notAsked} {
		m.requests.WithLabelValues(outcome)
	}
	reg.MustRegister(m.requests, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "xmppd", Subsystem: "auth_source", Name: "given_up", Help: "1 while the source of logins is only tried from time to time, since it has failed; else 0.",
	}, func() float64 {
		if s := m.current.Load(); s != nil && s.breaker.open() {
			return 1
		}
		return 0
	}))
	return m
}
