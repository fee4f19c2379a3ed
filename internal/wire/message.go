package wire

import (
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

const noStore = "<no-store xmlns='" + NSHints + "'/>"

// AppendMessage appends a message of the data plane: never stored, and with
// receipt set asking for one (XEP-0184).
func AppendMessage(dst []byte, to, id string, receipt bool, payload ...[]byte) []byte {
	dst = append(dst, "<message type='normal'"...)
	dst = appendOpt(dst, "id", id)
	dst = append(stanza.AppendAttr(dst, "to", to), '>')
	for _, p := range payload {
		dst = append(dst, p...)
	}
	if receipt {
		dst = append(dst, "<request xmlns='"+NSReceipts+"'/>"...)
	}
	return append(dst, noStore+"</message>"...)
}

// AppendAnswer appends the message that answers requests: a receipt for each
// request that is complete with it, then the results.
func AppendAnswer(dst []byte, to string, receivedIDs []string, payload []byte) []byte {
	dst = append(dst, "<message type='normal'"...)
	dst = append(stanza.AppendAttr(dst, "to", to), '>')
	dst = append(dst, payload...)
	for _, id := range receivedIDs {
		dst = stanza.AppendAttr(append(dst, "<received xmlns='"+NSReceipts+"'"...), "id", id)
		dst = append(dst, "/>"...)
	}
	return append(dst, noStore+"</message>"...)
}

// AppendIQ appends an IQ; typ is get, set or result.
func AppendIQ(dst []byte, to, id, typ string, payload []byte) []byte {
	return EndIQ(append(BeginIQ(dst, to, id, typ), payload...))
}

// BeginIQ appends an IQ up to its payload, which the caller appends, and EndIQ after it.
func BeginIQ(dst []byte, to, id, typ string) []byte {
	dst = stanza.AppendAttr(append(dst, "<iq"...), "type", typ)
	dst = stanza.AppendAttr(dst, "id", id)
	return append(appendOpt(dst, "to", to), '>')
}

// EndIQ appends the end of an IQ.
func EndIQ(dst []byte) []byte { return append(dst, "</iq>"...) }

// AppendRing appends the <ring/> element. A query has no doc and the epoch that
// the asker has; an answer has the encoded document, or none when the asker's is
// as new.
func AppendRing(dst []byte, epoch uint64, doc []byte) []byte {
	dst = append(dst, "<ring xmlns='"+NS+"' epoch='"...)
	dst = append(strconv.AppendUint(dst, epoch, 10), '\'')
	if len(doc) == 0 {
		return append(dst, "/>"...)
	}
	return append(stanza.AppendEscaped(append(dst, '>'), doc), "</ring>"...)
}

// ParseRing takes in a <ring/> element. doc is a copy, nil when there is none.
func ParseRing(el []byte) (epoch uint64, doc []byte, err error) {
	p := stanza.Parse(el)
	if err := begin(&p, NS, "ring"); err != nil {
		return 0, nil, err
	}
	var f fields
	if epoch = f.num(&p, "epoch", true); f.bad != "" {
		return 0, nil, badPayload("%s", f.bad)
	}
	text, err := textOnly(&p)
	if err != nil {
		return 0, nil, err
	}
	return epoch, append([]byte(nil), text...), nil
}

// RetryElement is what an error of a stanza that is refused for now has besides its condition: when to come again, in
// ms.
func RetryElement(after int64) string {
	return "<retry xmlns='" + NS + "' after='" + strconv.FormatInt(after, 10) + "'/>"
}

// ParseRetry reads a RetryElement: ms; not ok: it is none.
func ParseRetry(el []byte) (after int64, ok bool) {
	p := stanza.Parse(el)
	if p.Next() != stanza.Start || string(p.Name()) != "retry" || string(p.NS()) != NS {
		return 0, false
	}
	v, _ := p.Attr("after")
	after, err := strconv.ParseInt(string(v), 10, 64)
	return after, err == nil && after >= 0
}
