package xmppd

import (
	"errors"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/archive"
	"github.com/rosterdb/rosterdb/xmppd/modules/blocking"
	"github.com/rosterdb/rosterdb/xmppd/modules/offline"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// KeepersConfig sets up the extensions that keep something for users.
type KeepersConfig struct {
	Blocking blocking.Config `toml:"blocking"`
	Offline  offline.Config  `toml:"offline"`
	Archive  archive.Config  `toml:"archive"`
}

func (c *KeepersConfig) check() error {
	for _, n := range []int{c.Blocking.Items, c.Offline.Messages, c.Offline.Bytes, c.Offline.Days} {
		if n < 0 {
			return errors.New("a limit of a module can't be negative")
		}
	}
	return c.Archive.Check()
}

// keepers are the extensions that keep something for users, in the order of their hooks.
func (s *Server) keepers(r *router.Router, ims *im.Service, table *session.Table) []module.Module {
	cfg := &s.cfg.Modules.KeepersConfig
	return []module.Module{
		blocking.New(blocking.Options{Config: cfg.Blocking, Store: s.records, Table: table, Presence: ims, Log: s.log, Registerer: s.registry}),
		archive.New(archive.Options{
			Config: cfg.Archive, Store: s.records, Table: table, Exists: account.Exists,
			InRoster: ims.InRoster, Grouped: ims.Grouped, Log: s.log, Registerer: s.registry,
		}),
		offline.New(offline.Options{
			Config: cfg.Offline, Store: s.records, Table: table, Domain: s.cfg.Domain,
			Exists: account.Exists, Blocked: r.Blocked, Log: s.log, Registerer: s.registry,
		}),
	}
}
