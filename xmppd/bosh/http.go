package bosh

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// firstWait is enough for the answer that creates a session, whose time the negotiation limits.
const firstWait = time.Minute

const defaultContent = "text/xml; charset=utf-8"

// contentType is that of the answers to a session. It is the client's choice (XEP-0124 section 7.1)
// as long as no browser takes an answer for a page.
func contentType(want string) string {
	mime, _, _ := strings.Cut(strings.ToLower(want), ";")
	switch strings.TrimSpace(mime) {
	case "text/xml", "application/xml":
		if !strings.ContainsAny(want, "\r\n") {
			return want
		}
	}
	return defaultContent
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.metrics.requests.Inc()
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxBody)))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		s.refuse(w, policyViolation)
		return
	case err != nil:
		return // the connection is broken
	}
	// Waiting for an answer is not reading: net/http would cut the connection at the deadline.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	scan, ok := s.bodies.Get().(*stanza.Scanner)
	if !ok {
		scan = stanza.NewScanner(limitsOf(s.cfg.Limits, s.cfg.MaxBody))
	}
	req, err := parseBody(raw, scan)
	if err != nil {
		s.refuse(w, badRequest)
		return
	}
	s.bodies.Put(scan)
	switch {
	case req.sid != "":
		c := s.find(req.sid)
		if c == nil {
			s.refuse(w, itemNotFound)
			return
		}
		s.await(w, r, c, c.submit(req))
	case req.to == "":
		s.refuse(w, improperAddressing)
	default:
		c, ex := s.create(req, s.cfg.Peer(r))
		s.await(w, r, c, ex)
	}
}

// await writes the answer to a request when it comes, or when the request has waited long enough.
func (s *Server) await(w http.ResponseWriter, r *http.Request, c *client, ex *exchange) {
	var a answer
	select {
	case a = <-ex.done:
	default:
		c.mu.Lock()
		wait := c.adapt.hold(c.waitMax)
		c.mu.Unlock()
		if ex.first {
			wait = max(wait, firstWait)
		}
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case a = <-ex.done:
		case <-t.C:
			c.timeout(ex)
			a = <-ex.done
		case <-r.Context().Done():
			c.broken(ex)
			ex.wrote <- false
			return
		}
	}
	if a.body == nil {
		ex.wrote <- false
		panic(http.ErrAbortHandler) // no answer at all: a copy of the request gets it
	}
	err := s.write(w, c.content, a.body)
	c.wrote(ex, err == nil)
}

func (s *Server) write(w http.ResponseWriter, content string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", content)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if _, err := w.Write(body); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// refuse answers a request that belongs to no session.
func (s *Server) refuse(w http.ResponseWriter, condition string) {
	s.metrics.terminated.WithLabelValues(condition).Inc()
	_ = s.write(w, defaultContent, terminateBody(condition))
}
