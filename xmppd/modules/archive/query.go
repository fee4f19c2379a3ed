package archive

import (
	"math"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// form is what a query can be filtered by (XEP-0313 section 4.1.6).
const form = "<query xmlns='" + NS + "'><x xmlns='" + nsForm + "' type='form'>" +
	"<field type='hidden' var='FORM_TYPE'><value>" + NS + "</value></field>" +
	"<field type='jid-single' var='with'/><field type='text-single' var='start'/><field type='text-single' var='end'/>" +
	"<field type='text-single' var='before-id'/><field type='text-single' var='after-id'/>" +
	"<field type='list-multi' var='ids'><validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/></validate></field>" +
	"</x></query>"

const defaultPage = 50 // messages of a query that doesn't say

// query is a request.
type query struct {
	queryID string
	with    stanza.JID // zero: everybody
	// The messages that match have ids from lo to hi, the latter not included.
	lo, hi uint64
	ids    []uint64 // with byIDs, these alone
	byIDs  bool
	must   []uint64 // ids that have to be there

	max           int
	after, before uint64 // of the result set; 0: none
	backward      bool   // the last messages that match, not the first
	index         int    // of the first message that is wanted; -1: none
	flip          bool
}

func notFound() error { return module.NotFound("there is no message with this id in the archive") }

// parseQuery reads a request. page is the most messages that it may ask for.
func parseQuery(payload []byte, page int) (*query, error) {
	q := &query{hi: math.MaxUint64, max: min(defaultPage, page), index: -1}
	p := stanza.Parse(payload)
	p.Next()
	id, _ := p.Attr("queryid")
	q.queryID = string(id)
	if node, ok := p.Attr("node"); ok && len(node) > 0 {
		return nil, module.NotFound("the archive has no nodes")
	}
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start || p.Depth() != 2 {
			continue
		}
		var err error
		switch name := string(p.Name()); {
		case name == "x" && string(p.NS()) == nsForm:
			err = q.filter(&p)
		case name == "set" && string(p.NS()) == nsRSM:
			err = q.resultSet(&p, page)
		case name == "flip-page":
			q.flip = true
		}
		if err != nil {
			return nil, err
		}
	}
	return q, nil
}

// filter reads the form, of which x has just started.
func (q *query) filter(p *stanza.Parser) error {
	var field string
	for ev := p.Next(); ev != stanza.EOF && p.Depth() >= 2; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		switch name := string(p.Name()); {
		case p.Depth() == 3 && name == "field":
			v, _ := p.Attr("var")
			field = string(v)
		case p.Depth() == 4 && name == "value":
			if err := q.field(field, string(p.Content())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *query) field(name, value string) (err error) {
	var id uint64
	switch name {
	case "before-id", "after-id", "ids":
		var ok bool
		if id, ok = parseID(value); !ok {
			return notFound()
		}
		q.must = append(q.must, id)
		if len(q.must) > 1000 {
			return module.BadRequest("too many ids")
		}
	}
	switch name {
	case "FORM_TYPE":
		if value != NS {
			return module.BadRequest("the form is of another type")
		}
	case "with":
		if q.with, err = stanza.ParseJID(value); err != nil {
			return &module.Error{Type: "modify", Condition: "jid-malformed", Text: "with is not a JID"}
		}
	case "start", "end":
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return module.BadRequest(name + " is not a time (XEP-0082)")
		}
		if name == "start" {
			q.lo = max(q.lo, micro(t.Add(time.Microsecond-1)))
		} else {
			q.hi = min(q.hi, micro(t)+1)
		}
	case "before-id":
		q.hi = min(q.hi, id)
	case "after-id":
		q.lo = max(q.lo, id+1)
	case "ids":
		q.ids, q.byIDs = append(q.ids, id), true
	default:
		return &module.Error{Type: "cancel", Condition: "feature-not-implemented", Text: "unknown field " + name}
	}
	return nil
}

// resultSet reads which part of the result is wanted (XEP-0059).
func (q *query) resultSet(p *stanza.Parser, page int) error {
	for ev := p.Next(); ev != stanza.EOF && p.Depth() >= 2; ev = p.Next() {
		if ev != stanza.Start || p.Depth() != 3 {
			continue
		}
		name, value := string(p.Name()), string(p.Content())
		switch name {
		case "max", "index":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return module.BadRequest(name + " is not a number")
			}
			if name == "max" {
				q.max = min(n, page)
			} else {
				q.index = n
			}
		case "before", "after":
			q.backward = q.backward || name == "before"
			if value == "" {
				continue
			}
			id, ok := parseID(value)
			if !ok {
				return notFound()
			}
			q.must = append(q.must, id)
			if name == "before" {
				q.before = id
			} else {
				q.after = id
			}
		}
	}
	return nil
}
