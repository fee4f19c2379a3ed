package xmppd

import (
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/carbons"
	"github.com/rosterdb/rosterdb/xmppd/modules/csi"
	"github.com/rosterdb/rosterdb/xmppd/modules/sm"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// StreamsConfig sets up the extensions that are about how a client's own stream is used.
type StreamsConfig struct {
	SM  sm.Config  `toml:"sm"`
	CSI csi.Config `toml:"csi"`
}

// streams are the extensions that are about how a client's own stream is used.
func (s *Server) streams(table *session.Table) []module.Module {
	cfg := &s.cfg.Modules.StreamsConfig
	return []module.Module{
		sm.New(cfg.SM, s.registry),
		csi.New(cfg.CSI, s.registry),
		carbons.New(table, s.registry),
	}
}
