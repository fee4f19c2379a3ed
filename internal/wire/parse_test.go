package wire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

func TestOneMalformedOperationLeavesItsNeighbours(t *testing.T) {
	const good = "<write tag='9' partition='2' session='3' seq='4' floor='1' root='r'><put path='p'><v>\n QUI= </v></put></write>"
	for in, want := range map[string]string{
		"<write tag='1' partition='2' session='3' seq='x' floor='1' root='r'/>":                                                      "seq=",
		"<write tag='1' partition='2' session='3' floor='1' root='r'/>":                                                              "seq is missing",
		"<write tag='1' partition='2' session='-3' seq='1' floor='1' root='r'/>":                                                     "session=",
		"<write tag='1' partition='2' session='99999999999999999999' seq='1' floor='1' root='r'/>":                                   "session=",
		"<write tag='1' partition='4294967296' session='1' seq='1' floor='1' root='r'/>":                                             "above 2^32-1",
		"<write partition='2' session='3' seq='1' floor='1' root='r'/>":                                                              "tag is missing",
		"<write tag='1' session='3' seq='1' floor='1' root='r'/>":                                                                    "partition is missing",
		"<frob tag='1' partition='1'><put path='x'/></frob>":                                                                         "unknown operation <frob/>",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><put path='p'><v>!</v></put></write>":                   "base64",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><put path='p'><v>QQ==</v><v>QQ==</v></put></write>":     "two values",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><put path='p'><ttl/></put></write>":                     "unknown element <ttl/>",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><touch path='p'/><put path='q'/></write>":               "unknown mutation <touch/>",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><put path='p' if='maybe'/></write>":                     "unknown condition",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><put path='p' if-version='new'/></write>":               "if-version=",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><delete path='p' if='present' if-version='3'/></write>": "both if and if-version",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><put path='p'/><put path='q' if='new'/></write>":        "unknown condition",
		"<open tag='1' partition='x'/>":                                                                                  "partition=",
		"<get tag='1' partition='1' root='r' offset='x'/>":                                                               "offset=",
		"<list tag='1' partition='1' root='r' limit='all'/>":                                                             "limit=",
		"<list tag='1' partition='1' root='r' values='x'/>":                                                              "values=",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r' if-revision='x'><delete path='p'/></write>": "if-revision=",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><add path='p'/></write>":                    "delta=",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><add path='p' delta='1.5'/></write>":        "delta=",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><put path='p' ttl='-1'/></write>":           "ttl=",
		"<write tag='1' partition='2' session='3' seq='4' floor='1' root='r'><put path='p' ttl='0'/></write>":            "lives for ever",
		"<settle tag='1' partition='2' session='3'/>":                                                                    "seq is missing",
		"<get tag='1' partition='1' root='r' stale='no'/>":                                                               "stale=",
		"<scan tag='1' partition='1' after='x'/>":                                                                        "after-root",
		"<query tag='1' partition='1' index='i' cursor='?'/>":                                                            "cursor",
		"<query tag='1' partition='1' index='i'><from number='1' string='x'/></query>":                                   "2 of the attributes",
		"<query tag='1' partition='1' index='i'><from/></query>":                                                         "0 of the attributes",
		"<query tag='1' partition='1' index='i'><to number='0x10'/></query>":                                             "no number",
		"<query tag='1' partition='1' index='i'><to number='1e999'/></query>":                                            "no number",
		"<query tag='1' partition='1' index='i'><to bool='maybe'/></query>":                                              "bool=",
		"<query tag='1' partition='1' index='i'><to null='1'/><to null='1'/></query>":                                    "two bounds",
		"<query tag='1' partition='1' index='i'><over null='1'/></query>":                                                "unknown element",
		"<scan tag='1' partition='1'><from null='1'/></scan>":                                                            "unknown element",
		"<get tag='18446744073709551616' partition='1' root='r'/>":                                                       "tag=",
		"<cancel/>":                        "tag is missing",
		"<cancel tag='-1'/>":               "tag=",
		"<changes tag='1' partition='1'/>": "since or revision",
		"<changes tag='1' partition='1' since='1' revision='1' root='r'/>": "since or revision",
		"<changes tag='1' partition='1' since='1' wait='-5'/>":             "wait=",
	} {
		r, err := ParseRequest([]byte("<ops xmlns='" + NS + "'>" + good + in + "<note xmlns='urn:other' tag='5'/>" + good + "</ops>"))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		bad := ""
		for _, o := range r.Opens {
			bad += o.Bad
		}
		for _, rd := range r.Reads {
			bad += rd.Bad
		}
		healthy := 0
		for _, w := range r.Writes {
			if w.Tag == 9 && w.Bad == "" && len(w.Mutations) == 1 && string(w.Mutations[0].Value) == "AB" {
				healthy++
				continue
			}
			bad += w.Bad
		}
		for _, st := range r.Settles {
			bad += st.Bad
		}
		if !strings.Contains(bad, want) || healthy != 2 || len(r.Opens)+len(r.Reads)+len(r.Writes)+len(r.Settles) != 3 {
			t.Errorf("%s: %q, want %q; %d neighbours of %+v", in, bad, want, healthy, r)
		}
	}
}

func TestForeignElementsAreNoOperations(t *testing.T) {
	for _, in := range []string{"", "<ops/>", "<ops xmlns='urn:other'/>", "<results xmlns='" + NS + "'/>", "<ops xmlns='" + NS + "' epoch='x'/>", "text"} {
		if r, err := ParseRequest([]byte(in)); !errors.Is(err, ErrPayload) {
			t.Errorf("request %q: %+v %v", in, r, err)
		}
	}
	for _, in := range []string{
		"<results/>", "<ops xmlns='" + NS + "'/>", "<results xmlns='" + NS + "'><done code='ok'/></results>", "<results xmlns='" + NS + "'><read tag='1'><object path='p' size='1'/></read></results>",
		"<results xmlns='" + NS + "'><read tag='1'><object version='1' size='1'><v>?</v></object></read></results>", "<results xmlns='" + NS + "'><done tag='1' code='ok'><item version='x'/></done></results>",
		"<results xmlns='" + NS + "'><read tag='1'><event kind='written' revision='1'/></read></results>", "<results xmlns='" + NS + "'><read tag='1'><object version='1' size='1'><key/></object></read></results>",
	} {
		if r, err := ParseResponse([]byte(in)); !errors.Is(err, ErrPayload) {
			t.Errorf("response %q: %+v %v", in, r, err)
		}
	}
	for _, in := range []string{"<raft/>", "<raft xmlns='" + NSRaft + "' store='s'>QQ==</raft>", "<raft xmlns='" + NSRaft + "' from='1' store='s'>?</raft>"} {
		if _, _, _, err := ParseRaft(nil, []byte(in)); !errors.Is(err, ErrPayload) {
			t.Errorf("raft %q: %v", in, err)
		}
	}
	for _, in := range []string{"<health/>", "<health xmlns='" + NSHealth + "'/>", "<health xmlns='" + NSHealth + "' member='1' epoch='1' load='high'/>"} {
		if _, err := ParseHealth([]byte(in)); !errors.Is(err, ErrPayload) {
			t.Errorf("health %q: %v", in, err)
		}
	}
}

// TestResponseOfALaterVersion: what a client does not know must not look like success.
func TestResponseOfALaterVersion(t *testing.T) {
	r, err := ParseResponse([]byte("<results xmlns='" + NS + "' epoch='3' more='x'><done tag='1' code='throttled' new='1'><hint/></done><read tag='2' code='later'/><watch tag='3'/><read tag='4' code='ok'><event kind='moved' position='1' revision='1'/></read></results>"))
	if err != nil || len(r.Writes) != 1 || r.Writes[0].Code != op.Unknown || len(r.Reads) != 2 || r.Reads[0].Code != op.Unknown || r.Reads[1].Events[0].Kind != 0 {
		t.Fatalf("%+v %v", r, err)
	}
	for c := range op.Overloaded + 3 {
		if got := codeOf([]byte(codeName(c))); got != c && got != op.Unknown {
			t.Errorf("code %d came back as %d", c, got)
		}
	}
}

// TestSmallElementsStayCheap: what takes few bytes must not fill the memory.
func TestSmallElementsStayCheap(t *testing.T) {
	head := "<ops xmlns='" + NS + "'><write tag='1' partition='2' session='3' seq='4' floor='1' root='r'>"
	r, err := ParseRequest([]byte(head + strings.Repeat("<put/>", 50_000) + "</write></ops>"))
	if err != nil || len(r.Writes[0].Mutations) != op.MaxMutations+1 {
		t.Fatalf("%d mutations kept, %v", len(r.Writes[0].Mutations), err)
	}
	if tooLarge, _ := r.Writes[0].Check(); !tooLarge {
		t.Error("that there were too many cannot be seen any more")
	}
	r, err = ParseRequest([]byte(head + "<put>" + strings.Repeat("<ref/>", 50_000) + "</put></write></ops>"))
	if err != nil || len(r.Writes[0].Mutations[0].Refs) != op.MaxRefs+1 {
		t.Fatalf("%d references kept, %v", len(r.Writes[0].Mutations[0].Refs), err)
	}
}

func TestParseRequestAllocatesLittle(t *testing.T) {
	// Per write: its root, its path, its mutations; per request: itself, the values,
	// and the list of writes as it grows.
	for n, most := range map[int]float64{1: 6, 64: 3*64 + 12} {
		el := AppendRequest(nil, manyWrites(n))
		if got := testing.AllocsPerRun(50, func() { _, _ = ParseRequest(el) }); got > most {
			t.Errorf("%d writes: %v allocations, want at most %v", n, got, most)
		}
	}
	r, resp := manyWrites(16), manyReplies(16)
	dst := AppendResponse(AppendRequest(nil, r), resp)
	if got := testing.AllocsPerRun(50, func() { dst = AppendResponse(AppendRequest(dst[:0], r), resp) }); got > 0 {
		t.Errorf("appending allocates %v times", got)
	}
}

// TestMemoryIsUsedAgain: the values of a request lie in the memory given, and nothing else of it does.
func TestMemoryIsUsedAgain(t *testing.T) {
	want := allKinds()
	want.Writes = append(want.Writes, manyWrites(5).Writes...)
	q, memory, err := ParseRequestIn(nil, AppendRequest(nil, want))
	if err != nil || !reflect.DeepEqual(q, want) {
		t.Fatalf("%+v, %v\nwant %+v", q, err, want)
	}
	whole := memory[:cap(memory)]
	for i := range whole {
		whole[i] = '#'
	}
	values := 0
	for i := range q.Writes {
		for k := range q.Writes[i].Mutations {
			if m := &q.Writes[i].Mutations[k]; len(m.Value) > 0 {
				if values++; len(bytes.Trim(m.Value, "#")) > 0 {
					t.Errorf("value %q does not lie in the memory given", m.Value)
				}
				m.Value = want.Writes[i].Mutations[k].Value
			}
		}
	}
	if values == 0 || !reflect.DeepEqual(q, want) {
		t.Errorf("with other values in the memory of %d: %+v\nwant %+v", values, q, want)
	}
	again, same, err := ParseRequestIn(memory, AppendRequest(nil, want))
	if err != nil || &same[:1][0] != &memory[:1][0] || !reflect.DeepEqual(again, want) {
		t.Errorf("the memory is not used again: %+v, %v", again, err)
	}
}

// TestUnreadableTags: such an operation is answered under 0, never under another's tag.
func TestUnreadableTags(t *testing.T) {
	r, err := ParseRequest([]byte("<ops xmlns='" + NS + "'><get tag='18446744073709551616' partition='1' root='r'/><get tag='18446744073709551615' partition='1' root='r'/></ops>"))
	if err != nil || len(r.Reads) != 2 || r.Reads[0].Bad == "" || r.Reads[0].Tag != 0 || r.Reads[1].Tag != 1<<64-1 {
		t.Errorf("%+v, %v", r, err)
	}
}
