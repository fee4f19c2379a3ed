package datanode

import (
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/ring"
)

// access is who may do what, as the ring document's grants say. Without any
// grant the accounts that --app names may do everything, and nobody else
// anything; as soon as there is one, the grants alone count.
type access struct {
	granted  bool
	accounts map[string]rights // by bare JID
	domains  map[string]rights
}

// rights of an account: the prefixes of the names of roots that it may read, and
// write. A nil prefix list permits nothing.
type rights struct{ read, write []string }

func everything() rights { return rights{[]string{""}, []string{""}} }

func newAccess(doc *ring.Document) *access {
	a := &access{granted: len(doc.Access) > 0, accounts: make(map[string]rights), domains: make(map[string]rights)}
	for _, g := range doc.Access {
		table, key := a.accounts, g.Account
		if domain, ok := strings.CutPrefix(g.Account, "@"); ok {
			table, key = a.domains, domain
		}
		r := table[key]
		r.read = append(r.read, g.Prefix)
		if g.Write {
			r.write = append(r.write, g.Prefix)
		}
		table[key] = r
	}
	return a
}

// of is what an account may do; app says that --app names it.
func (a *access) of(j stanza.JID, app bool) rights {
	if !a.granted {
		if app {
			return everything()
		}
		return rights{}
	}
	own, all := a.accounts[j.Bare().String()], a.domains[j.Domain]
	return rights{append(own.read[:len(own.read):len(own.read)], all.read...), append(own.write[:len(own.write):len(own.write)], all.write...)}
}

func (r rights) none() bool { return len(r.read) == 0 }

// mayRead tells whether all roots whose names begin with prefix may be read. A
// name of a root is the prefix of itself.
func (r rights) mayRead(prefix string) bool { return covered(r.read, prefix) }

func (r rights) mayWrite(root string) bool { return covered(r.write, root) }

func covered(prefixes []string, name string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// rights are those of a client by the document that the node serves by.
func (h *handler) rights(c *client) rights {
	v := h.n.view.Load()
	if c.operator {
		return everything() // who may grant it to itself, and export everything
	}
	if v == nil {
		if c.app {
			return everything()
		}
		return rights{}
	}
	if h.n.faults.NoAccess {
		return everything()
	}
	if c.rightsOf != v.access {
		c.rightsOf, c.rights = v.access, v.access.of(c.address, c.app)
	}
	return c.rights
}
