package datanode

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestRefusalsAreCounted: each is one metric, with its reason.
func TestRefusalsAreCounted(t *testing.T) {
	n, e, h := testNode(t)
	feed(t, h, writes(3, "root", 10))
	feed(t, h, bytes.Replace(writes(2, "root", 10), []byte("app@"), []byte("who@"), 1))
	e.owner = "other@localhost"
	feed(t, h, writes(1, "root", 10))
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(newCollector(n))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		if f.GetName() == "rosterdb_operations_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if got["write ok"] != 3 || got["write denied"] != 3 || got["get ok"] != 0 {
		t.Errorf("operations %v", got)
	}
	if got := n.refusals.counts[refusedSession].Load(); got != 1 {
		t.Errorf("%d refused for a foreign session", got)
	}
	if count, _, _ := n.counts.took[kindWrite].read(); count != 3 {
		t.Errorf("%d writes in the histogram", count)
	}
}

// TestMetricsAreDocumented: each stands in docs/operations.md.
func TestMetricsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	n, _, _ := testNode(t)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(newCollector(n))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.Contains(string(doc), "`"+f.GetName()+"`") {
			t.Errorf("metric %s is not in docs/operations.md", f.GetName())
		}
	}
	for r := notRefused + 1; r < reasons; r++ {
		if !strings.Contains(string(doc), "`"+r.String()+"`") {
			t.Errorf("reason %q is not in docs/operations.md", r)
		}
	}
}

// TestProfiles: only who asks for them serves them.
func TestProfiles(t *testing.T) {
	for _, on := range []bool{false, true} {
		n, _, _ := testNode(t)
		n.cfg.Profiles = on
		w := httptest.NewRecorder()
		n.webHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/heap?debug=1", nil))
		if served := w.Code == http.StatusOK; served != on {
			t.Errorf("profiles asked for: %v, answer %d", on, w.Code)
		}
	}
}

func TestHealthz(t *testing.T) {
	n, _, _ := testNode(t)
	w := httptest.NewRecorder()
	n.healthz(w, nil)
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusServiceUnavailable || !strings.Contains(string(body), "not logged in") {
		t.Errorf("without a stream: %d %q %v", w.Code, body, err)
	}
}
