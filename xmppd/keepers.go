package xmppd

import (
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/blocking"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// KeepersConfig sets up the extensions that keep something for users.
type KeepersConfig struct {
	Blocking blocking.Config `toml:"blocking"`
}

// keepers are the extensions that keep something for users, in the order of their hooks.
func (s *Server) keepers(ims *im.Service, table *session.Table) []module.Module {
	cfg := &s.cfg.Modules.KeepersConfig
	return []module.Module{
		blocking.New(blocking.Options{Config: cfg.Blocking, Store: s.records, Table: table, Presence: ims, Log: s.log, Registerer: s.registry}),
	}
}
