package mission

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkAnyServer: whoever is connected to whichever of three servers reaches everybody, and is served in full.
func checkAnyServer(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: []string{"alice", "bob", "carol"}})
	users := []string{"alice", "bob", "carol"}
	for turn := range sv.All { // each user at each server
		at := make([]*harness.Stream, len(users))
		for i, u := range users {
			at[i] = sv.All[(i+turn)%len(sv.All)].Online(t, u, fmt.Sprintf("turn%d", turn))
		}
		for i, from := range at {
			from.Send(fmt.Sprintf("<iq type='get' id='r%d' to='%s'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", turn, harness.Domain))
			from.Want(fmt.Sprintf("id='r%d'", turn))
			from.Want("</iq>")
			for j, to := range at {
				if i == j {
					continue
				}
				word := fmt.Sprintf("word %d %d %d.", turn, i, j)
				for _, address := range []string{to.JID, users[j] + "@" + harness.Domain} {
					from.Send("<message type='chat' to='" + address + "'><body>" + word + "</body></message>")
					to.Want(word)
				}
				id := fmt.Sprintf("v%d-%d-%d", turn, i, j)
				from.Send("<iq type='get' id='" + id + "' to='" + to.JID + "'><query xmlns='jabber:iq:version'/></iq>")
				to.Want("id='" + id + "'")
				to.Want("</iq>")
				to.Send("<iq type='result' id='" + id + "' to='" + from.JID + "'/>")
				from.Want("id='" + id + "'")
			}
		}
		for _, c := range at {
			c.Send("</stream:stream>")
			c.End()
		}
	}
}
