package appclient

import (
	"errors"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// overloadedPause is when to come again without a hint.
const overloadedPause = 250 // ms

// overloaded takes a request that was refused as a whole since too much of this client or its account waits: by its
// node, which says when to come again and has not looked at it, or by a server on the way.
func (e *engine) overloaded(r *request, why *xmppconn.StanzaError) {
	after, byNode := wire.ParseRetry(why.App)
	if !byNode {
		after = overloadedPause
	}
	for _, tag := range r.tags {
		c := e.match(r.node, tag)
		if c == nil {
			continue
		}
		current := e.isCurrent(c, tag)
		e.answeredTry(c, tag)
		e.failed(c, r.node, op.Overloaded, "", why.Text, after)
		c.maybe = c.maybe || !byNode
		switch {
		case c.kind == readCall && c.read.Kind == op.Changes && c.tries >= watchTries:
			e.finish(c, &OverloadedError{RetryAfter: c.hint, cause: errors.New(c.why)})
		case current:
			e.again(c, r.node, false)
		}
	}
}
