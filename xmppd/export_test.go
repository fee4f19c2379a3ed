package xmppd

import (
	"context"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// StartFaulty starts a server with planted bugs.
func StartFaulty(ctx context.Context, cfg Config, opt Options, r router.Faults, i im.Faults, c c2s.Faults) (*Server, error) {
	return start(ctx, cfg, opt, faults{router: r, im: i, c2s: c})
}
