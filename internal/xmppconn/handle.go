package xmppconn

import (
	"errors"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

const (
	nsPing = "urn:xmpp:ping" // XEP-0199
	pingID = "keepalive"
	ping   = `<iq type='get' id='` + pingID + `'><ping xmlns='` + nsPing + `'/></iq>`
)

var errStreamEnd = errors.New("the server closed the stream")

// handle answers what the stream itself owes and gives the rest to h.
func (c *Conn) handle(h Handler, st *stanza.Stanza) error {
	switch st.Kind {
	case stanza.StreamEnd:
		return errStreamEnd
	case stanza.Nonza:
		if local(st.Get(st.Name)) == "error" {
			return parseStreamError(st)
		}
		h.Stanza(c, st)
		return nil
	case stanza.IQ:
		return c.handleIQ(h, st)
	default:
		h.Stanza(c, st)
		return nil
	}
}

func (c *Conn) handleIQ(h Handler, st *stanza.Stanza) error {
	switch typ := string(st.Get(st.Type.Value)); typ {
	case "get", "set":
		if typ == "get" && string(st.Get(st.ChildNS)) == nsPing {
			return c.answer(stanza.AppendIQResult(nil, st, nil))
		}
		if !h.Stanza(c, st) {
			return c.answer(stanza.AppendError(nil, st, "", "cancel", "service-unavailable", ""))
		}
	default:
		if string(st.Get(st.ID.Value)) != pingID {
			h.Stanza(c, st)
		}
	}
	return nil
}

// answer drops what a full queue will not take: the asker repeats.
func (c *Conn) answer(b []byte) error {
	if err := c.Send(b); err != nil && !errors.Is(err, ErrOverflow) {
		return err
	}
	return nil
}

// local returns a name without its prefix.
func local(name []byte) string {
	for i, b := range name {
		if b == ':' {
			return string(name[i+1:])
		}
	}
	return string(name)
}
