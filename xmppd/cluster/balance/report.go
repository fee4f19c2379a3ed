package balance

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// report is what a server tells another one of itself. What a newer version adds is ignored.
type report struct {
	Sessions int    `json:"n"`
	CPU      int    `json:"cpu,omitempty"` // per mille
	Takes    bool   `json:"takes"`
	Zone     string `json:"zone,omitempty"`
	C2S      string `json:"c2s,omitempty"`
	TLS      string `json:"tls,omitempty"`
	From     uint64 `json:"from,omitempty"` // clients that have come from the server that gets the report
}

func (r *report) addr(direct bool) string {
	if direct {
		return r.TLS
	}
	return r.C2S
}

// How often the others are told: when there is something new, and in any case.
const (
	tellNews = 250 * time.Millisecond
	tellAll  = 2 * time.Second
)

// Run tells the other servers how much there is to do here, until ctx ends.
func (b *Balancer) Run(ctx context.Context) {
	t := time.NewTicker(tellNews)
	defer t.Stop()
	for {
		b.Report(false)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// Report tells the other servers how much there is to do here, if that is news, or now.
func (b *Balancer) Report(now bool) {
	r := report{Sessions: b.cfg.Sessions(), CPU: b.cfg.CPU(), Takes: b.cfg.Takes(), Zone: b.cfg.Zone, C2S: b.cfg.C2S, TLS: b.cfg.TLS}
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := b.cfg.Now(); now || r != b.told || at.Sub(b.at) >= tellAll {
		b.told, b.at = r, at
	} else {
		return
	}
	for _, name := range b.cfg.Links.Connected() {
		b.tell(name, r)
	}
}

// tell sends a report. mu must be held, so that reports leave in the order in which they are made.
func (b *Balancer) tell(name string, r report) {
	r.From = b.arrived[name]
	frame, err := json.Marshal(r)
	if err == nil {
		err = b.cfg.Links.Send(name, frame)
	}
	if err != nil {
		b.cfg.Log.Debug("load not told to a server", "server", name, "error", err) // its link is about to end
	}
}

// Up takes note of a server that is connected, and tells it at once.
func (b *Balancer) Up(name string) {
	r := report{Sessions: b.cfg.Sessions(), CPU: b.cfg.CPU(), Takes: b.cfg.Takes(), Zone: b.cfg.Zone, C2S: b.cfg.C2S, TLS: b.cfg.TLS}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.peers[name] == nil {
		b.peers[name] = new(peer)
	}
	b.tell(name, r)
}

// Down takes note of a server that is cut off.
func (b *Balancer) Down(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.cfg.Faults.Leaving {
		delete(b.peers, name)
		delete(b.arrived, name)
	}
}

// Receive takes a report of another server.
func (b *Balancer) Receive(from string, frame []byte) {
	var r report
	if err := json.Unmarshal(frame, &r); err != nil {
		b.cfg.Log.Error("what a server tells of its load can't be read", "server", from, "error", fmt.Errorf("decode: %w", err))
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peers[from]
	if p == nil { // its end of the links is up first
		p = new(peer)
		b.peers[from] = p
	}
	p.report, p.at = r, b.cfg.Now()
}
