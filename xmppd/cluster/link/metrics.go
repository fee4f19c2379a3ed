package link

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counts is what has passed between this server and a peer.
type counts struct {
	framesOut, bytesOut, batchesOut atomic.Uint64
	framesIn, bytesIn, handled      atomic.Uint64
	resets, returned                atomic.Uint64
}

// passed counts the frames of a channel: sent to all peers, or waiting to be, and handled.
type passed struct{ out, in atomic.Uint64 }

func (c *counts) sent(b *batch) {
	c.framesOut.Add(uint64(b.frames)) //nolint:gosec // of a batch
	c.bytesOut.Add(uint64(len(b.b)))
	c.batchesOut.Add(1)
}

func (c *counts) got(frames, bytes int) {
	c.framesIn.Add(uint64(frames)) //nolint:gosec // of a buffer
	c.bytesIn.Add(uint64(bytes))   //nolint:gosec // of a buffer
}

// Status is what is known of a peer.
type Status struct {
	Name      string
	Listed    bool // it is there, or was a moment ago; of others only the counters are left
	Connected bool
	Reason    string // why it is not; empty: it is, or nobody has found out yet
	Refused   bool   // the peer has said Reason, and does not take this server
	Queue     int    // bytes that wait to be written
	Frames    uint64 // written to it since this server began
	Bytes     uint64
	Batches   uint64 // writes
	Received  uint64 // frames
	Handled   uint64 // frames of those
	Resets    uint64 // times it was cut off
	Returned  uint64 // frames that it did not get
}

// Status lists what is known of the peers that there are, or ever were, in no order.
func (m *Mesh) Status() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Status, 0, len(m.counts))
	for name, c := range m.counts {
		st := Status{
			Name: name, Frames: c.framesOut.Load(), Bytes: c.bytesOut.Load(), Batches: c.batchesOut.Load(),
			Received: c.framesIn.Load(), Handled: c.handled.Load(), Resets: c.resets.Load(), Returned: c.returned.Load(),
		}
		if p := m.peers[name]; p != nil {
			st.Listed, st.Connected, st.Queue = true, p.up.Load(), p.q.bytes()
			if why := p.why.Load(); why != nil && !st.Connected {
				st.Reason, st.Refused = why.reason, why.refused
			}
		}
		out = append(out, st)
	}
	return out
}

// collector shows Status to Prometheus.
type collector struct{ m *Mesh }

type column struct {
	desc *prometheus.Desc
	typ  prometheus.ValueType
	of   func(*Status) float64
}

func columns() []column {
	col := func(name, help string, typ prometheus.ValueType, of func(*Status) float64) column {
		return column{prometheus.NewDesc("xmppd_cluster_link_"+name, help, []string{"server"}, nil), typ, of}
	}
	return []column{
		col("up", "Whether a server of the cluster is connected.", prometheus.GaugeValue, func(s *Status) float64 {
			if s.Connected {
				return 1
			}
			return 0
		}),
		col("queue_bytes", "Bytes that wait to be written to a server.", prometheus.GaugeValue, func(s *Status) float64 { return float64(s.Queue) }),
		col("sent_frames_total", "Frames written to a server.", prometheus.CounterValue, func(s *Status) float64 { return float64(s.Frames) }),
		col("sent_bytes_total", "Bytes written to a server.", prometheus.CounterValue, func(s *Status) float64 { return float64(s.Bytes) }),
		col("sent_batches_total", "Writes to a server: frames that have come together share one.", prometheus.CounterValue, func(s *Status) float64 { return float64(s.Batches) }),
		col("received_frames_total", "Frames of a server.", prometheus.CounterValue, func(s *Status) float64 { return float64(s.Received) }),
		col("resets_total", "Times that a server was cut off.", prometheus.CounterValue, func(s *Status) float64 { return float64(s.Resets) }),
		col("returned_frames_total", "Frames for a server that came back, since it did not get them or may not have.", prometheus.CounterValue, func(s *Status) float64 { return float64(s.Returned) }),
	}
}

func channelFrames() *prometheus.Desc {
	return prometheus.NewDesc("xmppd_cluster_frames_total", "Frames of and for other servers, by what they are about.", []string{"channel", "direction"}, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, col := range columns() {
		ch <- col.desc
	}
	ch <- channelFrames()
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	status := c.m.Status()
	for _, col := range columns() {
		for i := range status {
			if col.typ == prometheus.GaugeValue && !status[i].Listed {
				continue
			}
			ch <- prometheus.MustNewConstMetric(col.desc, col.typ, col.of(&status[i]), status[i].Name)
		}
	}
	desc := channelFrames()
	for i := range c.m.handlers {
		if name, n := c.m.handlers[i].Name, &c.m.passed[i]; name != "" {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n.out.Load()), name, "sent")
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n.in.Load()), name, "handled")
		}
	}
}
