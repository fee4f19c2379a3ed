package wire

import (
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// The states of a node in Health.
const (
	StateOK       = "ok"
	StateFull     = "full"     // refuses writes until there is room on its disk
	StateMixed    = "mixed"    // cannot read what other members send, which are of another version
	StateJoining  = "joining"  // waits to be made part of a cluster, or catches up
	StateStranger = "stranger" // its data directory is not the one the ring knows
	StateStopping = "stopping"
)

// Health is the payload of a data node's presence. It is a hint.
type Health struct {
	Member   uint64
	Store    string // UUID of the data directory
	Cluster  string // UUID of the cluster; empty while joining
	Epoch    uint64
	State    string
	Led      int    // partitions
	Held     int    // partitions
	Lag      uint64 // committed entries not yet applied
	DiskUsed uint64 // bytes
	DiskFree uint64 // bytes
	Load     float64
	Version  string
}

// AppendHealth appends the <health/> element.
func AppendHealth(dst []byte, h *Health) []byte {
	dst = append(dst, "<health xmlns='"+NSHealth+"'"...)
	dst = appendUint(dst, "member", h.Member)
	dst = appendOpt(dst, "store", h.Store)
	dst = appendOpt(dst, "cluster", h.Cluster)
	dst = appendUint(dst, "epoch", h.Epoch)
	dst = stanza.AppendAttr(dst, "state", h.State)
	dst = appendUint(dst, "led", uint64(max(h.Led, 0)))
	dst = appendUint(dst, "held", uint64(max(h.Held, 0)))
	dst = appendUint(dst, "lag", h.Lag)
	dst = appendUint(dst, "disk-used", h.DiskUsed)
	dst = appendUint(dst, "disk-free", h.DiskFree)
	dst = stanza.AppendAttr(dst, "load", strconv.FormatFloat(h.Load, 'f', 2, 64))
	return append(appendOpt(dst, "version", h.Version), "/>"...)
}

// maxHealth bounds a <health/> element, in bytes; data nodes send some 300. Anybody may send one, and what is
// in it is kept.
const maxHealth = 4 << 10

// ParseHealth takes in a <health/> element.
func ParseHealth(el []byte) (*Health, error) {
	p := stanza.Parse(el)
	if err := begin(&p, NSHealth, "health"); err != nil {
		return nil, err
	}
	if len(el) > maxHealth {
		return nil, badPayload("health has %d bytes; the limit is %d", len(el), maxHealth)
	}
	var f fields
	h := &Health{
		Member: f.num(&p, "member", true), Store: textAttr(&p, "store"), Cluster: textAttr(&p, "cluster"),
		Epoch: f.num(&p, "epoch", true), State: textAttr(&p, "state"),
		Led: int(f.num(&p, "led", false)), Held: int(f.num(&p, "held", false)), Lag: f.num(&p, "lag", false),
		DiskUsed: f.num(&p, "disk-used", false), DiskFree: f.num(&p, "disk-free", false), Version: textAttr(&p, "version"),
	}
	if l := textAttr(&p, "load"); l != "" {
		v, err := strconv.ParseFloat(l, 64)
		if err != nil && f.bad == "" {
			f.bad = "attribute load is no number"
		}
		h.Load = v
	}
	if f.bad != "" {
		return nil, badPayload("%s", f.bad)
	}
	return h, nil
}
