package replicated

import (
	"encoding/binary"
	"strings"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// The last byte of a payload says what it is. Before it stand, for what is of Raft, the
// sender's member and store, for requests and answers the number of the request.
const (
	payloadRaft = iota + 1
	payloadRequest
	payloadAnswer

	raftTrailer = 8 + 16 + 1
	callTrailer = 8 + 1
)

// jidOf is what stands for a server's name in the ring document, and nameOf the inverse.
func jidOf(name string) string { return name + "/store" }

func nameOf(m ring.Member) string { return strings.TrimSuffix(m.JID, "/store") }

// carrier is the replication.Transport of a store.
type carrier struct{ s *Store }

// MaxBatch implements replication.Transport.
func (c carrier) MaxBatch() int { return 192 << 10 }

// Flush implements replication.Transport: the links flush by themselves.
func (c carrier) Flush() {}

// Send implements replication.Transport.
func (c carrier) Send(to uint64, batch []byte) { c.send(c.s.opt.Urgent, to, batch) }

// SendBulk implements replication.Transport. What waits in a link is not looked through for what is
// outdated.
func (c carrier) SendBulk(to uint64, _ replication.Bulk, batch []byte) {
	if len(batch) > 0 {
		c.send(c.s.opt.Bulk, to, batch)
	}
}

func (c carrier) send(channel byte, to uint64, batch []byte) {
	name, ok := c.s.nameOf(to)
	self := c.s.dir.Member()
	if !ok || self == 0 {
		return
	}
	batch = append(binary.LittleEndian.AppendUint64(batch, self), c.s.storeID[:]...)
	c.s.opt.Transport.Send(name, channel, append(batch, payloadRaft))
}

// nameOf is the name of a member, unless its disk is lost and the name is another's.
func (s *Store) nameOf(id uint64) (string, bool) {
	doc := s.ring.Load()
	if doc == nil {
		return "", false
	}
	m, ok := doc.Member(id)
	if !ok || !hasName(doc, m) {
		return "", false
	}
	return nameOf(m), true
}

// take takes a payload of another server.
func (s *Store) take(from string, payload []byte) {
	n := len(payload)
	if n == 0 || s.ended() {
		return
	}
	switch kind := payload[n-1]; {
	case kind == payloadRaft && n >= raftTrailer:
		t := payload[n-raftTrailer:]
		if id := binary.LittleEndian.Uint64(t); s.isMember(from, id, uuid.UUID(t[8:24])) {
			s.node.Receive(id, payload[:n-raftTrailer])
		}
	case kind == payloadRequest && n >= callTrailer:
		s.serve(from, binary.LittleEndian.Uint64(payload[n-callTrailer:]), payload[:n-callTrailer])
	case kind == payloadAnswer && n >= callTrailer:
		s.calls.answered(from, binary.LittleEndian.Uint64(payload[n-callTrailer:]), payload[:n-callTrailer])
	}
}

// isMember tells whether a server is the member that it says it is, with its disk.
func (s *Store) isMember(name string, id uint64, store uuid.UUID) bool {
	doc := s.ring.Load()
	if doc == nil {
		return false
	}
	m, ok := doc.Member(id)
	return ok && nameOf(m) == name && m.Store == store.String()
}
