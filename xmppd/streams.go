package xmppd

import (
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/sm"
)

// StreamsConfig sets up the extensions that are about a client's own stream.
type StreamsConfig struct {
	SM sm.Config `toml:"sm"`
}

// streams are the extensions that are about a client's own stream.
func (s *Server) streams() []module.Module {
	cfg := &s.cfg.Modules.StreamsConfig
	return []module.Module{
		sm.New(cfg.SM, s.registry),
	}
}
