package contacts

import (
	"slices"
	"testing"
)

func query(items string) []byte {
	return []byte(`<query xmlns='jabber:iq:roster' ver='7'>` + items + `</query>`)
}

func TestIsNode(t *testing.T) {
	const (
		dn1  = `<item jid='dn1@localhost' subscription='both' name='x'><group>Data nodes</group></item>`
		dn2  = `<item subscription='to' jid='dn2@localhost/store'><group>Others</group><group>Data nodes</group></item>`
		shop = `<item jid='shop@localhost' subscription='both'><group>Applications</group></item>`
		liar = `<item jid='liar@localhost' subscription='both' name='Data nodes'><group>Data nodes of mine</group></item>`
		from = `<item jid='from@localhost' subscription='from'><group>Data nodes</group></item>`
		none = `<item jid='none@localhost' subscription='none' ask='subscribe'/>`
		pal  = `<item jid='pal@localhost' subscription='both'/>`
		gone = `<item jid='dn1@localhost' subscription='remove'/>`
	)
	for name, c := range map[string]struct {
		takes []string
		want  []string
	}{
		"nothing":                         {nil, nil},
		"a group of data nodes":           {[]string{shop + dn1 + liar + dn2 + from + none}, []string{"dn1@localhost", "dn2@localhost"}},
		"no group of data nodes":          {[]string{shop + pal + none}, nil},
		"no group at all":                 {[]string{pal + none}, []string{"pal@localhost"}},
		"a group that comes later":        {[]string{pal, dn1}, []string{"dn1@localhost"}},
		"a contact that is gone":          {[]string{dn1 + dn2, gone}, []string{"dn2@localhost"}},
		"a contact that leaves the group": {[]string{dn1 + dn2, `<item jid='dn2@localhost' subscription='both'/>`}, []string{"dn1@localhost"}},
		"twice the same":                  {[]string{dn1 + dn1, dn1}, []string{"dn1@localhost"}},
		"the last of the group is gone":   {[]string{dn1 + shop, gone}, nil},
		"no JID":                          {[]string{`<item jid='@' subscription='both'><group>Data nodes</group></item>` + pal}, []string{"pal@localhost"}},
	} {
		t.Run(name, func(t *testing.T) {
			var r Roster
			for _, items := range c.takes {
				r.Take(query(items))
			}
			got := r.List()
			slices.Sort(got)
			if !slices.Equal(got, c.want) || r.Nodes() != len(c.want) {
				t.Errorf("data nodes %v, counted %d, want %v", got, r.Nodes(), c.want)
			}
			for _, bare := range c.want {
				if !r.IsNode(bare) {
					t.Errorf("%s is none", bare)
				}
			}
			for _, bare := range []string{"stranger@localhost", "from@localhost", "none@localhost", "liar@localhost"} {
				if r.IsNode(bare) {
					t.Errorf("%s is one", bare)
				}
			}
		})
	}
}
