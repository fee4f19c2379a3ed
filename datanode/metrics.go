package datanode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// collector tells a node's figures to Prometheus, as they are at the moment. It
// implements prometheus.Collector.
type collector struct {
	n                   *Node
	operations, seconds *prometheus.Desc
	refusals, stateIs   *prometheus.Desc
	figures             []figure
	descs               map[string]*prometheus.Desc // of the figures
}

// figure is one number.
type figure struct {
	name, help string
	counter    bool
}

func figures() []figure {
	return []figure{
		{"partitions_held", "Raft groups with a replica here.", false},
		{"partitions_led", "Raft groups led from here.", false},
		{"partitions_leaderless", "Groups held without a known leader.", false},
		{"partitions_awake", "Groups held that tick; the others sleep.", false},
		{"apply_lag_entries", "Entries known to be committed and not applied here yet.", false},
		{"ring_epoch", "Epoch of the newest ring document known; 0: none.", false},
		{"connected", "1 while logged in to an XMPP server.", false},
		{"disk_used_bytes", "Bytes in the data directory.", false},
		{"disk_free_bytes", "Bytes free on its file system.", false},
		{"disk_reserve_bytes", "Bytes kept free: with less, writes are refused.", false},
		{"disk_full", "1 while writes are refused for want of room.", false},
		{"proposals_pending_bytes", "Bytes of commands proposed and not answered.", false},
		{"clients", "Full JIDs of clients seen lately.", false},
		{"operations_in_flight", "Operations taken and not answered.", false},
		{"operations_queued", "Of these, operations that wait for their account's turn.", false},
		{"watches", "Reads of changes that wait for something to happen.", false},
		{"reads_shared_total", "Reads answered with the result of another in the same round.", true},
		{"wal_syncs_total", "Batches that the write-ahead log has made durable, with an fsync each.", true},
		{"wal_written_bytes_total", "Bytes written to the write-ahead log.", true},
		{"state_written_bytes_total", "Bytes of pages written to the state file.", true},
		{"wal_segments", "Files of the write-ahead log that hold records.", false},
		{"snapshots_sending", "Snapshots of partitions under way to other members.", false},
		{"snapshots_sent_bytes_total", "Bytes of snapshots sent to other members.", true},
		{"snapshots_receiving", "Snapshots of partitions under way from other members, repairs among them.", false},
		{"scrubs_compared_total", "Partitions led here whose replicas were compared.", true},
		{"scrubs_mismatches_total", "Replicas of these that were not what the majority has.", true},
		{"scrubs_undecided_total", "Comparisons of these without a majority.", true},
		{"scrubs_reading", "Partitions whose state is being read here to be compared, or waits for it.", false},
		{"replicas_damaged_total", "Replicas here that were found damaged.", true},
		{"replicas_repaired_total", "Of these, replicas that got the state of another.", true},
		{"replicas_damaged", "Replicas here that are damaged now.", false},
		{"log_time_ahead_seconds", "How far log time is ahead of this machine's clock.", false},
	}
}

func newCollector(n *Node) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("rosterdb_"+name, help, labels, nil)
	}
	c := &collector{
		n:          n,
		operations: desc("operations_total", "Operations answered, by kind and code.", "kind", "code"),
		seconds:    desc("operation_seconds", "Time from an operation's arrival to its result.", "kind"),
		refusals:   desc("refusals_total", "What this node refused itself, by reason.", "reason"),
		stateIs:    desc("state", "1 for the state that presence tells.", "state"),
		figures:    figures(),
		descs:      make(map[string]*prometheus.Desc),
	}
	for _, f := range c.figures {
		c.descs[f.name] = desc(f.name, f.help)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	k := &c.n.counts
	for i := range k.done {
		for code := op.OK; code < codes; code++ {
			if v := k.done[i][code].Load(); v > 0 || code == op.OK {
				ch <- prometheus.MustNewConstMetric(c.operations, prometheus.CounterValue, float64(v), kind(i).String(), wire.CodeName(code))
			}
		}
		count, sum, buckets := k.took[i].read()
		ch <- prometheus.MustNewConstHistogram(c.seconds, count, sum, buckets, kind(i).String())
	}
	for r := notRefused + 1; r < reasons; r++ {
		ch <- prometheus.MustNewConstMetric(c.refusals, prometheus.CounterValue, float64(c.n.refusals.counts[r].Load()), r.String())
	}
	for _, s := range []string{wire.StateOK, wire.StateFull, wire.StateMixed, wire.StateJoining, wire.StateStranger, wire.StateStopping} {
		ch <- prometheus.MustNewConstMetric(c.stateIs, prometheus.GaugeValue, truth(c.n.state() == s), s)
	}
	now := c.now()
	for _, f := range c.figures {
		typ := prometheus.GaugeValue
		if f.counter {
			typ = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(c.descs[f.name], typ, now[f.name])
	}
}

// now gathers the figures.
func (c *collector) now() map[string]float64 {
	n := c.n
	s := n.engine.Status()
	ahead := max(0, n.logTime()-time.Now().UnixMilli())
	return map[string]float64{
		"partitions_held": float64(s.Held), "partitions_led": float64(s.Led), "partitions_leaderless": float64(s.Leaderless),
		"partitions_awake": float64(s.Awake), "apply_lag_entries": float64(s.Lag), "ring_epoch": float64(n.epoch()),
		"connected": truth(n.streams.conn() != nil), "disk_used_bytes": float64(s.DiskUsed), "disk_free_bytes": float64(n.disk.free.Load()),
		"disk_reserve_bytes": float64(n.disk.reserve.Load()), "disk_full": truth(n.disk.full()), "proposals_pending_bytes": float64(s.Pending),
		"clients": float64(n.clients.Load()), "operations_in_flight": float64(n.inFlight.Load()), "operations_queued": float64(n.fair.waitingOps.Load()),
		"watches": float64(n.watches.Load()), "reads_shared_total": float64(s.SharedReads), "wal_syncs_total": float64(s.WAL.Appends),
		"wal_written_bytes_total": float64(s.WAL.Written), "wal_segments": float64(s.WAL.Segments),
		"state_written_bytes_total": float64(s.StateWritten), "log_time_ahead_seconds": float64(ahead) / 1000,
		"snapshots_sending": float64(s.Sending), "snapshots_sent_bytes_total": float64(s.SnapshotBytes), "snapshots_receiving": float64(s.Receiving), "scrubs_compared_total": float64(s.Scrub.Compared),
		"scrubs_mismatches_total": float64(s.Scrub.Mismatches), "scrubs_undecided_total": float64(s.Scrub.Undecided), "scrubs_reading": float64(s.Scrub.Reading),
		"replicas_damaged_total": float64(s.Scrub.Damaged), "replicas_repaired_total": float64(s.Scrub.Repaired), "replicas_damaged": float64(s.Scrub.Mending),
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// listenMetrics opens the address of /metrics and /healthz, if there is one.
func (n *Node) listenMetrics() (net.Listener, error) {
	if n.cfg.ListenMetrics == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", n.cfg.ListenMetrics)
	if err != nil {
		return nil, fmt.Errorf("%w: listen for metrics: %w", ErrConfig, err)
	}
	return l, nil
}

// serveMetrics answers HTTP until ctx ends.
func (n *Node) serveMetrics(ctx context.Context, l net.Listener) {
	srv := &http.Server{Handler: n.webHandler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	n.log.Info("metrics", "listen", l.Addr().String())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		n.log.Error("metrics are not served any more", "err", err)
	}
}

// webHandler answers what is asked for by HTTP.
func (n *Node) webHandler() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(n), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", n.healthz)
	if n.cfg.Profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	return mux
}

// healthz says whether the node serves: 200, or 503 with the reason.
func (n *Node) healthz(w http.ResponseWriter, _ *http.Request) {
	h := n.health()
	code, text := http.StatusOK, n.statusText(&h)
	switch {
	case n.streams.conn() == nil:
		code, text = http.StatusServiceUnavailable, "not logged in to an XMPP server"
	case h.State != wire.StateOK && h.State != wire.StateFull:
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, h.State+": "+text) // who asked has gone
}
