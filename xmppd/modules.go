package xmppd

import (
	"fmt"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/adhoc"
	"github.com/rosterdb/rosterdb/xmppd/modules/archive"
	"github.com/rosterdb/rosterdb/xmppd/modules/bind"
	"github.com/rosterdb/rosterdb/xmppd/modules/blocking"
	"github.com/rosterdb/rosterdb/xmppd/modules/caps"
	"github.com/rosterdb/rosterdb/xmppd/modules/contact"
	"github.com/rosterdb/rosterdb/xmppd/modules/csi"
	"github.com/rosterdb/rosterdb/xmppd/modules/disco"
	"github.com/rosterdb/rosterdb/xmppd/modules/invisible"
	"github.com/rosterdb/rosterdb/xmppd/modules/last"
	"github.com/rosterdb/rosterdb/xmppd/modules/offline"
	"github.com/rosterdb/rosterdb/xmppd/modules/ping"
	"github.com/rosterdb/rosterdb/xmppd/modules/private"
	"github.com/rosterdb/rosterdb/xmppd/modules/register"
	"github.com/rosterdb/rosterdb/xmppd/modules/sm"
	xtime "github.com/rosterdb/rosterdb/xmppd/modules/time"
	"github.com/rosterdb/rosterdb/xmppd/modules/vcard"
	"github.com/rosterdb/rosterdb/xmppd/modules/version"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// ModulesConfig switches extensions on and off, and holds the settings of those that have some.
type ModulesConfig struct {
	Enable  []string `toml:"enable"`  // names as in docs/xeps.md; empty: all
	Disable []string `toml:"disable"` // those of them that are off

	Adhoc    AdhocConfig     `toml:"adhoc"`
	Archive  archive.Config  `toml:"archive"`
	Blocking blocking.Config `toml:"blocking"`
	Contact  contact.Config  `toml:"contact"`
	CSI      csi.Config      `toml:"csi"`
	Offline  offline.Config  `toml:"offline"`
	Private  private.Config  `toml:"private"`
	SM       sm.Config       `toml:"sm"`
	VCard    vcard.Config    `toml:"vcard"`
}

func (c *ModulesConfig) check() error {
	if err := c.Contact.Check(); err != nil {
		return fmt.Errorf("modules.contact.%w", err)
	}
	return c.Archive.Check()
}

// modules lists the extensions in the order of their hooks: this is the one place that knows them.
func (s *Server) modules(r *router.Router, ims *im.Service, table *session.Table) ([]module.Module, error) {
	admins, err := s.admins()
	if err != nil {
		return nil, misconfigured(err)
	}
	info := &disco.Module{Domain: s.cfg.Domain, Extensions: r.Extensions, Domains: r.Domains}
	all := append(slices.Clone(s.embedder),
		ims,
		bind.Module{},
		ping.Module{},
		version.Module{Name: "RosterDB xmppd", Version: Version},
		&register.Module{Accounts: registrar{s.accounts, audit{s.log}}, Domain: s.cfg.Domain, Open: s.registrationOpen.Load},
		invisible.Module{Presence: ims},
		&adhoc.Module{Admin: func(j stanza.JID) bool { return slices.Contains(admins, j) }, Commands: s.commands(table), Ran: audit{s.log}.command},
	)
	all = append(all, s.streams(table)...)
	all = append(all, s.facts(ims, table)...)
	all = append(all, s.keepers(r, ims, table)...)
	return append(all, info,
		&caps.Module{URI: softwareURI, Discovery: info.ServerInfo}, // behind all that adds to discovery
	), nil
}

// streams are the extensions that are about how a client's own stream is used.
func (s *Server) streams(table *session.Table) []module.Module {
	cfg := &s.cfg.Modules
	return []module.Module{
		s.streamManagement(),
		csi.New(cfg.CSI, s.registry),
		s.carbons(table),
	}
}

// facts are the extensions that keep and tell facts about accounts and the server.
func (s *Server) facts(ims *im.Service, table *session.Table) []module.Module {
	cfg := &s.cfg.Modules
	return []module.Module{
		xtime.Module{},
		contact.Module{Config: cfg.Contact},
		&private.Module{Config: cfg.Private, Store: living{s.records}},
		&vcard.Module{Config: cfg.VCard, Store: living{s.records}},
		&last.Module{Store: s.records, Table: table, MaySee: ims.MaySee, Elsewhere: s.presentElsewhere, Exists: account.Exists, Log: s.log, Started: time.Now()},
	}
}

// keepers are the extensions that keep something for users, in the order of their hooks.
func (s *Server) keepers(r *router.Router, ims *im.Service, table *session.Table) []module.Module {
	cfg := &s.cfg.Modules
	blocks := blocking.New(blocking.Options{Config: cfg.Blocking, Store: living{s.records}, Table: table, Presence: ims, Log: s.log, Registerer: s.registry, Faults: blocking.Faults{AsTold: s.faults.im.AsTold}})
	ims.OnBlockPush(blocks.PushHere)
	return []module.Module{
		blocks,
		archive.New(archive.Options{
			Config: cfg.Archive, Store: s.records, Table: table, Exists: account.Exists,
			InRoster: ims.InRoster, Grouped: ims.Grouped, Changed: ims.StoreChanged, Log: s.log, Registerer: s.registry,
		}),
		s.offline(r, table),
	}
}

// softwareURI names the software to other software.
const softwareURI = "https://github.com/rosterdb/rosterdb"

// choose returns the extensions that are switched on.
func (c *ModulesConfig) choose(all []module.Module) (on []module.Module, err error) {
	const core = "roster" // is no extension, though it is answered like one
	known := map[string]bool{}
	for _, m := range all {
		name := m.Info().Name
		known[name] = name != core
		if name == core || (len(c.Enable) == 0 || slices.Contains(c.Enable, name)) && !slices.Contains(c.Disable, name) {
			on = append(on, m)
		}
	}
	for _, name := range slices.Concat(c.Enable, c.Disable) {
		if !known[name] {
			return nil, fmt.Errorf("modules: there is no module %q that can be switched on or off; docs/xeps.md lists them", name)
		}
	}
	return on, nil
}

// addModules adds the extensions that are switched on.
func (s *Server) addModules(r *router.Router, ims *im.Service, table *session.Table) (preAuth c2s.PreAuth, resumption c2s.Resumption, err error) {
	all, err := s.modules(r, ims, table)
	if err != nil {
		return nil, nil, err
	}
	on, err := s.cfg.Modules.choose(all)
	if err != nil {
		return nil, nil, misconfigured(err)
	}
	s.modulesOn = on
	for _, m := range on {
		if p, ok := m.(c2s.PreAuth); ok {
			preAuth = p
		}
		if p, ok := m.(c2s.Resumption); ok {
			resumption = p
		}
		if d, ok := m.(*disco.Module); ok {
			d.Modules = on
		}
		if err := r.Add(m); err != nil {
			return nil, nil, err
		}
		if w, ok := m.(module.Runner); ok {
			s.runners = append(s.runners, w)
		}
	}
	return preAuth, resumption, nil
}
