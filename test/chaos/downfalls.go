package chaos

import (
	"context"
	"syscall"
)

func severalServers(o *Options) bool { return o.Servers > 1 }
func withHub(o *Options) bool        { return o.Servers > 1 && o.namespaces }

// downfalls are what happens to XMPP servers, one at a time, on top of what happens to data nodes.
func downfalls() []fault {
	return []fault{
		{"server", always, func(ctx context.Context, l *lane) error {
			id := l.server()
			if err := l.stage.kill(id); err != nil {
				return err
			}
			l.wait("kill", id)
			return l.back(ctx, id)
		}},
		{"server-freeze", severalServers, func(ctx context.Context, l *lane) error {
			id := l.server()
			if err := l.stage.cluster.Signal(id, syscall.SIGSTOP); err != nil {
				return err
			}
			// As often as not for so long that the others cut it off.
			l.waitFor("freeze", id, l.hold()+l.upTo(2*l.longest))
			if err := l.stage.cluster.Signal(id, syscall.SIGCONT); err != nil {
				return err
			}
			return l.stage.waitHealthy(ctx)
		}},
		{"server-restart", always, func(ctx context.Context, l *lane) error {
			id := l.server()
			l.told("restart " + id)
			return l.back(ctx, id)
		}},
		{"server-away", withHub, func(ctx context.Context, l *lane) error {
			id := l.server()
			return l.during(ctx, "cut the clients' and data nodes' link to", id, l.stage.server(id).ns.cut)
		}},
		{"server-cut", withHub, func(ctx context.Context, l *lane) error {
			id := l.server()
			return l.during(ctx, "cut off from the other servers", id, func(on bool) error { return l.stage.hub.cut(id, on) })
		}},
		{"server-part", withHub, func(ctx context.Context, l *lane) error {
			ids := l.stage.serverIDs()
			i := l.rng.IntN(len(ids))
			a, b := ids[i], ids[(i+1)%len(ids)]
			return l.during(ctx, "part", a+" and "+b, func(on bool) error { return l.stage.hub.part(on, a, b) })
		}},
	}
}

// server is one of the XMPP servers.
func (l *lane) server() string {
	ids := l.stage.serverIDs()
	return ids[l.rng.IntN(len(ids))]
}

// during has something be so for a while, which may be as long as it takes servers to give each other up.
func (l *lane) during(ctx context.Context, what, id string, be func(bool) error) error {
	if err := be(true); err != nil {
		return err
	}
	l.waitFor(what, id, l.hold()+l.upTo(2*l.longest))
	if err := be(false); err != nil {
		return err
	}
	return l.stage.waitHealthy(ctx)
}
