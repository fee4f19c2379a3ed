package harness

import (
	"fmt"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// Answers takes what data nodes say in messages: results, whole or in parts, and receipts. It is of the goroutine that hands a
// connection's stanzas over.
type Answers struct {
	Parts    *wire.Assembler // of results
	Results  func(*wire.Response)
	Received func(id string) // takes the receipt of a request; nil: nobody wants it
	// Failed takes what a node must not say. Broken takes parts that do not fit, as those of a stream that has ended do not; nil:
	// that is no harm.
	Failed, Broken func(error)
}

// Take takes a message.
func (a *Answers) Take(st *stanza.Stanza) {
	p := stanza.Parse(st.Raw)
	p.Next()
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		switch string(p.Name()) {
		case "results":
			a.results(p.Element())
		case "part":
			el, done, err := a.Parts.Add(st.AttrString(st.From), p.Element())
			switch {
			case err == nil && done:
				a.results(el)
			case err != nil && a.Broken != nil:
				a.Broken(fmt.Errorf("part of results: %w", err))
			}
		case "received":
			if id, _ := p.Attr("id"); a.Received != nil {
				a.Received(string(id))
			}
		default:
			p.Skip()
		}
	}
}

func (a *Answers) results(el []byte) {
	res, err := wire.ParseResponse(el)
	if err != nil {
		a.Failed(fmt.Errorf("results: %w", err))
		return
	}
	a.Results(res)
}
