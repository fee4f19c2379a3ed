package xmppd

import (
	"fmt"
	"slices"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/disco"
	"github.com/rosterdb/rosterdb/xmppd/modules/ping"
	"github.com/rosterdb/rosterdb/xmppd/modules/register"
	"github.com/rosterdb/rosterdb/xmppd/modules/version"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// modules lists the extensions in the order of their hooks: this is the one place that knows them.
func (s *Server) modules(r *router.Router, ims *im.Service) []module.Module {
	return []module.Module{
		ims,
		ping.Module{},
		version.Module{Name: "RosterDB xmppd", Version: Version},
		&register.Module{Accounts: registrar{s.accounts}, Domain: s.cfg.Domain, Open: s.registrationOpen.Load},
		&disco.Module{Domain: s.cfg.Domain, Extensions: r.Extensions},
	}
}

// addModules adds the extensions that are not switched off.
func (s *Server) addModules(r *router.Router, ims *im.Service) (preAuth c2s.PreAuth, err error) {
	disabled := slices.Clone(s.cfg.Modules.Disable)
	var on []module.Module
	for _, m := range s.modules(r, ims) {
		name := m.Info().Name
		if i := slices.Index(disabled, name); i >= 0 && name != "roster" {
			disabled = slices.Delete(disabled, i, i+1)
			continue
		}
		on = append(on, m)
		if p, ok := m.(c2s.PreAuth); ok {
			preAuth = p
		}
	}
	if len(disabled) > 0 {
		return nil, fmt.Errorf("modules.disable: there is no module %q that can be switched off; docs/xmppd.md lists them", disabled[0])
	}
	for _, m := range on {
		if d, ok := m.(*disco.Module); ok {
			d.Modules = on
		}
		if err := r.Add(m); err != nil {
			return nil, err
		}
		if w, ok := m.(module.Runner); ok {
			s.runners = append(s.runners, w)
		}
	}
	return preAuth, nil
}
