package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestNothingUnknownInside: an element that a client sends is never taken for the part of
// it that is known here. What holds text only is refused with any element in it, the
// others with one of the store's namespace; other namespaces are passed over there.
func TestNothingUnknownInside(t *testing.T) {
	const own, foreign = "<extra tag='7' session='9'>1</extra>", "<note xmlns='urn:other'>1</note>"
	write := func(inside string) string {
		return "<write tag='3' partition='2' session='3' seq='4' floor='1' root='r'>" + inside + "</write>"
	}
	operations := map[string]struct {
		el     string // %s: what is inside
		text   bool   // it holds text only
		reason string
	}{
		"open":             {el: "<open tag='3' partition='2'>%s</open>"},
		"settle":           {el: "<settle tag='3' partition='2' session='3' seq='4'>%s</settle>"},
		"cancel":           {el: "<cancel tag='3'>%s</cancel>"},
		"get":              {el: "<get tag='3' partition='2' root='r'>%s</get>"},
		"list":             {el: "<list tag='3' partition='2' root='r'>%s</list>"},
		"scan":             {el: "<scan tag='3' partition='2'>%s</scan>"},
		"query":            {el: "<query tag='3' partition='2' index='i'>%s</query>"},
		"bound of a query": {el: "<query tag='3' partition='2' index='i'><from number='1'>%s</from></query>"},
		"changes":          {el: "<changes tag='3' partition='2' since='1'>%s</changes>"},
		"write":            {el: write("<delete path='p'/>%s"), reason: "unknown mutation <extra/>"},
		"put":              {el: write("<put path='p'>%s</put>")},
		"delete":           {el: write("<delete path='p'>%s</delete>")},
		"add":              {el: write("<add path='p' delta='1'>%s</add>")},
		"check":            {el: write("<check path='p' if='absent'>%s</check>")},
		"ref":              {el: write("<put path='p'><ref root='r' path='q'>%s</ref></put>")},
		"v":                {el: write("<put path='p'><v>QQ==%s</v></put>"), text: true},
	}
	for name, tc := range operations {
		for _, inside := range []string{"", "\n ", own, foreign} {
			el := fmt.Sprintf("<ops xmlns='"+NS+"'>"+tc.el+"<get tag='4' partition='2' root='r'/></ops>", inside)
			want := ""
			switch {
			case tc.text && strings.HasPrefix(inside, "<"):
				want = "only text"
			case inside == own:
				want = "unknown element <extra/>"
				if tc.reason != "" {
					want = tc.reason
				}
			}
			q, err := ParseRequest([]byte(el))
			if err != nil {
				t.Errorf("%s with %q: %v", name, inside, err)
				continue
			}
			bad, tag := badOf(q)
			if want == "" && bad != "" || !strings.Contains(bad, want) || want != "" && tag != 3 {
				t.Errorf("%s with %q: tag %d %q, want %q", name, inside, tag, bad, want)
			}
			if last := q.Reads[len(q.Reads)-1]; last.Tag != 4 || last.Bad != "" {
				t.Errorf("%s with %q: the neighbour is %+v", name, inside, last)
			}
		}
	}
	whole := map[string]struct {
		el    string
		parse func(el []byte) error
	}{
		"terms": {"<terms xmlns='" + NS + "' member='1'>1 2%s</terms>", func(el []byte) error {
			_, _, err := ParseTerms(el, nil)
			return err
		}},
		"ring": {"<ring xmlns='" + NS + "' epoch='1'>%s</ring>", func(el []byte) error {
			_, _, err := ParseRing(el)
			return err
		}},
		"part": {"<part xmlns='" + NS + "' id='a' n='0' of='2'>QQ==%s</part>", func(el []byte) error {
			_, _, err := NewAssembler(1<<20, 4).Add("a@example.org/x", el)
			return err
		}},
		"raft": {"<raft xmlns='" + NSRaft + "' from='1' store='s'>QQ==%s</raft>", func(el []byte) error {
			_, _, _, err := ParseRaft(nil, el)
			return err
		}},
	}
	for name, tc := range whole {
		for _, inside := range []string{"", " ", own, foreign} {
			err := tc.parse(fmt.Appendf(nil, tc.el, inside))
			if refused := errors.Is(err, ErrPayload); refused != strings.HasPrefix(inside, "<") || !refused && err != nil {
				t.Errorf("%s with %q: %v", name, inside, err)
			}
		}
	}
}

// badOf is the operation of a request that is malformed.
func badOf(q *Request) (bad string, tag uint64) {
	for _, o := range q.Opens {
		if o.Bad != "" {
			return o.Bad, o.Tag
		}
	}
	for _, o := range q.Settles {
		if o.Bad != "" {
			return o.Bad, o.Tag
		}
	}
	for _, o := range q.Writes {
		if o.Bad != "" {
			return o.Bad, o.Tag
		}
	}
	for _, o := range q.Reads {
		if o.Bad != "" {
			return o.Bad, o.Tag
		}
	}
	return "", 0
}
