package xmppd

import (
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/contact"
	"github.com/rosterdb/rosterdb/xmppd/modules/last"
	"github.com/rosterdb/rosterdb/xmppd/modules/private"
	xtime "github.com/rosterdb/rosterdb/xmppd/modules/time"
	"github.com/rosterdb/rosterdb/xmppd/modules/vcard"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// FactsConfig sets up the extensions that keep and tell facts about accounts and the server.
type FactsConfig struct {
	Contact contact.Config `toml:"contact"`
	Private private.Config `toml:"private"`
	VCard   vcard.Config   `toml:"vcard"`
}

func (c *FactsConfig) check() error {
	if err := c.Contact.Check(); err != nil {
		return fmt.Errorf("modules.contact.%w", err)
	}
	for key, n := range map[string]int{"private.elements": c.Private.Elements, "private.bytes": c.Private.Bytes, "vcard.bytes": c.VCard.Bytes} {
		if n < 0 {
			return fmt.Errorf("modules.%s can't be negative", key)
		}
	}
	return nil
}

// facts are the extensions that keep and tell facts about accounts and the server.
func (s *Server) facts(ims *im.Service, table *session.Table) []module.Module {
	cfg := &s.cfg.Modules.FactsConfig
	return []module.Module{
		xtime.Module{},
		contact.Module{Config: cfg.Contact},
		&private.Module{Config: cfg.Private, Store: s.records},
		&vcard.Module{Config: cfg.VCard, Store: s.records},
		&last.Module{Store: s.records, Table: table, MaySee: ims.MaySee, Exists: account.Exists, Log: s.log, Started: time.Now()},
	}
}
