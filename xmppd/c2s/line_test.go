package c2s

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// crowd is what becomes of clients that begin to log in at one moment.
type crowd struct {
	waited  []time.Duration // of those that came to their turn, in order
	refused int             // at once
	late    int             // refused, or served, behind their patience
	counted [2]float64      // by the metrics: that waited, that were refused
}

// crowded has so many clients come to a server that lets rate a second log in. Those that are still waiting after a
// time hear that the server ends.
func crowded(t *testing.T, clients, rate int, haste, end time.Duration, f Faults) (c crowd) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		table, log, reg := session.NewTable(), slog.New(slog.DiscardHandler), prometheus.NewRegistry()
		s := New(Config{
			Domain: "d", Table: table, Router: router.New("d", table, log, router.Faults{}), Log: log, Registerer: reg,
			Settings: Settings{LoginRate: rate, Negotiation: haste}, Faults: f,
		})
		time.Sleep(time.Second) // nobody has come for a while
		begin := time.Now()
		var mu sync.Mutex
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				n := &negotiation{srv: s, set: s.settings.Load()}
				err := n.await()
				mu.Lock()
				defer mu.Unlock()
				switch waited := time.Since(begin); {
				case waited > patience:
					c.late++
				case err == nil:
					c.waited = append(c.waited, waited)
				case errors.Is(err, errBusy) && waited == 0:
					c.refused++
				}
			})
		}
		time.Sleep(end)
		s.endLogins()
		all.Wait()
		c.counted = [2]float64{sum(t, reg, "xmppd_logins_queued_total"), sum(t, reg, "xmppd_connections_refused_total")}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	slices.Sort(c.waited)
	return c
}

// sum is that of a counter.
func sum(t *testing.T, reg *prometheus.Registry, name string) (n float64) {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			n += m.GetCounter().GetValue()
		}
	}
	return n
}

// TestLoginsWaitInLine: of clients that come at once as many as may in a second are served at once, those behind them one
// after the other, and who would have to wait for more than four seconds is told so at once. The planted mistakes are that
// they wait however long, and that nobody waits.
func TestLoginsWaitInLine(t *testing.T) {
	const rate = 10
	c := crowded(t, 100, rate, 0, time.Minute, Faults{})
	if want := rate + int(patience.Seconds())*rate; len(c.waited) != want || c.refused != 100-want || c.late != 0 {
		t.Errorf("%d are served, %d refused, %d too late", len(c.waited), c.refused, c.late)
	}
	for i, waited := range c.waited {
		if want := time.Second / rate * time.Duration(max(0, i-rate+1)); waited != want {
			t.Errorf("client %d has waited %v, want %v", i, waited, want)
		}
	}
	if c.counted != [2]float64{4 * rate, 50} {
		t.Errorf("counted as waiting and as refused: %v", c.counted)
	}
	if c := crowded(t, 100, rate, 0, time.Minute, Faults{EndlessLine: true}); c.refused != 0 || c.late != 50 {
		t.Errorf("an endless line is not noticed: %d refused, %d too late", c.refused, c.late)
	}
	if c := crowded(t, 100, rate, 0, time.Minute, Faults{NoLine: true}); c.waited[len(c.waited)-1] != 0 {
		t.Error("that nobody waits is not noticed")
	}
}

// TestLineOfHaste: where clients have less time than they may wait, they wait for half of it at most.
func TestLineOfHaste(t *testing.T) {
	if c := crowded(t, 100, 10, 2*time.Second, time.Minute, Faults{}); len(c.waited) != 20 || c.refused != 80 {
		t.Errorf("%d are served, %d refused", len(c.waited), c.refused)
	}
}

// TestLineEndsWithServer: who waits when the server ends does not go on waiting.
func TestLineEndsWithServer(t *testing.T) {
	const end = 500 * time.Millisecond
	c := crowded(t, 40, 10, 0, end, Faults{})
	if len(c.waited) != 40 || c.waited[39] != end {
		t.Errorf("%d have come out of the line, the last one after %v", len(c.waited), c.waited[len(c.waited)-1])
	}
}
