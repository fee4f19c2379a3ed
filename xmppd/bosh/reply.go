package bosh

import (
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// Terminal binding conditions (XEP-0124 section 17.2).
const (
	badRequest         = "bad-request"
	hostUnknown        = "host-unknown"
	improperAddressing = "improper-addressing"
	internalError      = "internal-server-error"
	itemNotFound       = "item-not-found"
	otherRequest       = "other-request"
	policyViolation    = "policy-violation"
	remoteStreamError  = "remote-stream-error"
	systemShutdown     = "system-shutdown"
)

// reply is an answer that the peer may ask for again.
type reply struct {
	rid      int64
	body     []byte
	from, to int    // body[from:to] is the payload
	key      string // of the request, where keys are used
	at       time.Time
	written  bool // the connection has taken it
	received bool // the peer is known to have it
}

func (r *reply) payload() []byte { return r.body[r.from:r.to] }

// emptyBody is the answer without anything.
func emptyBody() []byte { return []byte("<body xmlns='" + nsBind + "'/>") }

// terminateBody ends a session, without a condition if the client has asked for it.
func terminateBody(condition string) []byte {
	out := stanza.AppendAttr([]byte("<body xmlns='"+nsBind+"'"), "type", "terminate")
	if condition != "" {
		out = stanza.AppendAttr(out, "condition", condition)
	}
	return append(out, "/>"...)
}

// compose makes the answer to the request rid of what is pending. mu must be held.
func (c *client) compose(rid int64) reply {
	r := reply{rid: rid, at: time.Now()}
	out := []byte("<body xmlns='" + nsBind + "'")
	if c.header != nil {
		out = c.appendCreated(out)
		c.header = nil
	}
	c.known = true
	if c.last {
		out = stanza.AppendAttr(out, "type", "terminate")
		if c.condition != "" {
			out = stanza.AppendAttr(out, "condition", c.condition)
		}
	}
	if c.acks && rid != c.rid {
		out = stanza.AppendAttr(out, "ack", strconv.FormatInt(c.rid, 10))
	}
	if c.report != nil {
		out = stanza.AppendAttr(out, "report", strconv.FormatInt(c.report.rid, 10))
		out = stanza.AppendAttr(out, "time", strconv.FormatInt(time.Since(c.report.at).Milliseconds(), 10))
		c.report = nil
	}
	if len(c.pend) == 0 {
		r.body = append(out, "/>"...)
		return r
	}
	out = append(out, '>')
	r.from = len(out)
	out = append(out, c.pend...)
	r.to = len(out)
	r.body = append(out, "</body>"...)
	c.pend, c.group = nil, nil
	return r
}

// appendCreated appends what only the answer that creates a session says (XEP-0124 section 7.2).
func (c *client) appendCreated(out []byte) []byte {
	cfg := &c.srv.cfg
	seconds := func(name string, d time.Duration) {
		out = stanza.AppendAttr(out, name, strconv.Itoa(int((d+time.Second-1)/time.Second)))
	}
	out = stanza.AppendAttr(out, "xmlns:xmpp", nsXBOSH)
	out = stanza.AppendAttr(out, "sid", c.sid)
	out = stanza.AppendAttr(out, "from", c.header.From)
	seconds("wait", c.waitMax)
	seconds("inactivity", cfg.Inactivity)
	seconds("polling", cfg.Polling)
	seconds("maxpause", cfg.MaxPause)
	out = stanza.AppendAttr(out, "requests", strconv.Itoa(c.requests))
	out = stanza.AppendAttr(out, "hold", strconv.Itoa(c.hold))
	out = stanza.AppendAttr(out, "ver", c.ver)
	if c.acks {
		out = stanza.AppendAttr(out, "ack", strconv.FormatInt(c.rid, 10))
	}
	out = stanza.AppendAttr(out, "xmpp:version", "1.0")
	return stanza.AppendAttr(out, "xmpp:restartlogic", "true")
}

// created is what the answer that creates a session waits for.
type created = c2s.Header
