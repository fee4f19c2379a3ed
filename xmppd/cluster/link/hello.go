package link

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Version of the protocol between servers. Servers of different Major don't talk to each other; what a newer Minor
// adds is ignored by those that don't know it. docs/adr/0015 says what raises which.
const (
	Major = 1
	Minor = 0
)

// maxHello bounds a hello or its answer, in bytes.
const maxHello = 4 << 10

// hello is the first thing on a stream, from the server that dials. Unknown members are ignored, so
// that a newer Minor can add some.
type hello struct {
	Major       int    `json:"major"`
	Minor       int    `json:"minor"`
	Cluster     string `json:"cluster"`
	From        string `json:"from"`
	To          string `json:"to"`
	Incarnation uint64 `json:"incarnation"`
	Data        string `json:"data,omitempty"`     // UUID of the cluster that the server has data of
	Stream      uint64 `json:"stream"`             // names this stream
	Asks        uint64 `json:"asks,omitempty"`     // an earlier stream: how much of it has come?
	AsksOf      uint64 `json:"asks_of,omitempty"`  // the incarnation that had it
	Refused     string `json:"refused,omitempty"`  // only in an answer: why there is no stream
	Text        string `json:"text,omitempty"`     // of Refused, for people
	Received    uint64 `json:"received,omitempty"` // only in an answer: frames of the stream asked for
	Known       bool   `json:"known,omitempty"`    // Received is known
	Time        int64  `json:"time,omitempty"`     // on the sender's clock, in milliseconds since 1970
}

// Reasons for which a stream is refused.
const (
	refusedVersion = "version" // another Major
	refusedCluster = "cluster" // another cluster
	refusedData    = "data"    // data of another cluster
	refusedName    = "name"    // meant for another server, or from oneself
	refusedUnknown = "unknown" // not a member that this server has heard of, yet
	refusedBusy    = "busy"    // the pair before has not ended yet
)

// RefusedError is a peer's refusal.
type RefusedError struct{ Reason, Text string }

func (e *RefusedError) Error() string { return "the peer refuses: " + e.Text }

// refuse is the answer to a hello that can't be taken; nil if it can.
func (c *Config) refuse(h *hello) *RefusedError {
	switch {
	case h.Major > Major:
		return &RefusedError{refusedVersion, fmt.Sprintf("server %s speaks version %d of the cluster's protocol, server %s only %d: upgrade %s first", h.From, h.Major, c.Name, Major, c.Name)}
	case h.Major < Major:
		return &RefusedError{refusedVersion, fmt.Sprintf("server %s speaks version %d of the cluster's protocol, server %s version %d: upgrade %s", h.From, h.Major, c.Name, Major, h.From)}
	case h.Cluster != c.Cluster:
		return &RefusedError{refusedCluster, fmt.Sprintf("server %s belongs to the cluster %q, server %s to %q", h.From, h.Cluster, c.Name, c.Cluster)}
	case !c.sameData(h.Data):
		return &RefusedError{refusedData, fmt.Sprintf("server %s has the data of another cluster (%.36q) than server %s (%q): one of them was founded apart from the other; stop the one that was not meant to be, move its data directory away and start it again with cluster.join", h.From, h.Data, c.Name, c.Data())}
	case h.To != c.Name:
		return &RefusedError{refusedName, fmt.Sprintf("server %s wanted to reach %q; this is %s: look at the address that %[2]s advertises", h.From, h.To, c.Name)}
	case h.From == c.Name:
		return &RefusedError{refusedName, fmt.Sprintf("two servers are called %s: give each a name of its own", c.Name)}
	}
	return nil
}

// sameData tells whether a server's data and this one's may be of one cluster.
func (c *Config) sameData(theirs string) bool {
	own := c.Data()
	return own == "" || theirs == "" || own == theirs || c.Faults.AnyData
}

// writeHello writes a hello or an answer behind its length.
func writeHello(w io.Writer, h *hello) error {
	if h.Time == 0 {
		h.Time = time.Now().UnixMilli()
	}
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(text))) //nolint:gosec // names are short
	if _, err := w.Write(append(b, text...)); err != nil {
		return fmt.Errorf("write hello: %w", err)
	}
	return nil
}

// readHello reads a hello or an answer, and nothing behind it.
func readHello(r io.Reader) (*hello, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxHello {
		return nil, errors.New("read hello: this is no server of a cluster")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	h := new(hello)
	if err := json.Unmarshal(text, h); err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	return h, nil
}
