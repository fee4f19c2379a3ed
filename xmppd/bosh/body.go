package bosh

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

const (
	nsBind  = "http://jabber.org/protocol/httpbind"
	nsXBOSH = "urn:xmpp:xbosh"
	maxRID  = 1<<53 - 1 // XEP-0124 section 14.1
)

// request is a <body/> of a client.
type request struct {
	rid, ack    int64 // ack is -1 if missing
	sid         string
	key, newKey string
	terminate   bool
	restart     bool
	pause       int // seconds; -1 if missing
	payload     []byte

	// Of the one that creates a session; numbers are -1 where missing.
	to, from, version, ver, content string
	wait, hold                      int
}

// empty reports that the request says nothing.
func (r *request) empty() bool {
	return len(r.payload) == 0 && !r.terminate && !r.restart && r.pause < 0
}

var (
	errBody = errors.New("not a body element of BOSH")
	errRID  = errors.New("rid must be a number from 1 to 2^53-1")
)

// limitsOf are what a body as a whole must keep to, given the limits of a stanza in it.
func limitsOf(l stanza.Limits, maxBody int) stanza.Limits {
	l = l.WithDefaults()
	l.MaxDepth++
	l.MaxStanza = maxBody
	return l
}

// parseBody reads a request. The payload aliases raw.
func parseBody(raw []byte, scan *stanza.Scanner) (*request, error) {
	raw = bytes.TrimSpace(raw)
	if bytes.HasPrefix(raw, []byte("<?xml")) { // restricted inside a stream, harmless before a document
		end := bytes.Index(raw, []byte("?>"))
		if end < 0 {
			return nil, errBody
		}
		raw = bytes.TrimSpace(raw[end+2:])
	}
	st, n, err := scan.Next(raw)
	if err != nil {
		return nil, err
	}
	if st == nil || n != len(raw) || st.Kind == stanza.StreamEnd {
		return nil, errBody
	}
	p := stanza.Parse(st.Raw)
	p.Next()
	if string(p.Name()) != "body" || string(p.NS()) != nsBind {
		return nil, errBody
	}
	r := &request{ack: -1, pause: -1, wait: -1, hold: -1}
	if err := r.attributes(&p); err != nil {
		return nil, err
	}
	if r.rid < 1 || r.rid > maxRID {
		return nil, errRID
	}
	r.payload = p.Inner()
	return r, nil
}

func (r *request) attributes(p *stanza.Parser) (err error) {
	xbosh := ""
	for name, value, ok := p.NextAttr(); ok; name, value, ok = p.NextAttr() {
		if prefix, ok := bytes.CutPrefix(name, []byte("xmlns:")); ok && string(value) == nsXBOSH {
			xbosh = string(prefix) + ":"
		}
	}
	text := func(name string) string {
		v, _ := p.Attr(name)
		return string(v)
	}
	number := func(name string, most int64) int64 {
		v, ok := p.Attr(name)
		if !ok {
			return -1
		}
		n, perr := strconv.ParseInt(string(v), 10, 64)
		if perr != nil || n < 0 {
			err = errors.New(name + " is no number")
		}
		return min(n, most)
	}
	const seconds = 1 << 20
	r.rid, r.ack = number("rid", maxRID+1), number("ack", maxRID)
	r.pause, r.wait, r.hold = int(number("pause", seconds)), int(number("wait", seconds)), int(number("hold", seconds))
	r.sid, r.key, r.newKey = text("sid"), text("key"), text("newkey")
	r.terminate = text("type") == "terminate"
	r.to, r.from, r.ver, r.content = text("to"), text("from"), text("ver"), text("content")
	if xbosh != "" {
		v := text(xbosh + "restart")
		r.restart = v == "true" || v == "1"
		r.version = text(xbosh + "version")
	}
	return err
}

// olderVersion returns the lower one of two versions "major.minor" (XEP-0124 section 7.1); own if
// the other is none.
func olderVersion(own, other string) string {
	a, ok := versionOf(own)
	b, ok2 := versionOf(other)
	if !ok || !ok2 || b[0] > a[0] || b[0] == a[0] && b[1] >= a[1] {
		return own
	}
	return other
}

func versionOf(s string) (v [2]int, ok bool) {
	major, minor, found := strings.Cut(s, ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return [2]int{a, b}, found && err == nil && err2 == nil && a >= 0 && b >= 0
}
