package wire

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/ring"
)

var update = flag.Bool("update", false, "write the examples of docs/protocol.md anew")

const document = "../../docs/protocol.md"

const (
	node = "dn2@example.org/store"
	app  = "app@example.org/a1"
)

// exampleRing is the ring of a cluster of three nodes with few partitions.
func exampleRing(t *testing.T) []byte {
	t.Helper()
	d := &ring.Document{
		Version: ring.FormatVersion, Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Epoch: 7, Partitions: 4, Replicas: 2,
		Meta: []uint64{1, 2, 3}, Table: [][]uint64{{1, 2}, {2, 3}, {3, 1}, {1, 3}},
	}
	for i := range uint64(3) {
		d.Members = append(d.Members, ring.Member{
			ID: i + 1, JID: fmt.Sprintf("dn%d@example.org/store", i+1), Store: fmt.Sprintf("5c0d9a40-0000-4000-8000-%012d", i+1), State: ring.Active,
		})
	}
	b, err := ring.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withFrom is a stanza as the receiver sees it, stamped by the server.
func withFrom(stanza []byte, from string) string {
	head, rest, _ := strings.Cut(string(stanza), " ")
	return head + " from='" + from + "' " + rest
}

func request(id string, r *Request) string {
	return withFrom(AppendMessage(nil, node, id, true, AppendRequest(nil, r)), app)
}

func answer(r *Response, received ...string) string {
	return withFrom(AppendAnswer(nil, app, received, AppendResponse(nil, r)), node)
}

// examples are what the document shows.
func examples(t *testing.T) map[string][]string {
	done := func(tag uint64, r op.WriteResult) *Response {
		return &Response{Epoch: 7, Writes: []WriteReply{{Tag: tag, WriteResult: r}}}
	}
	reads := &Request{Epoch: 7, Reads: []Read{
		{Tag: 4, Partition: 99, Read: op.Read{Kind: op.Get, Root: "net/http", Path: "server.go"}},
		{Tag: 5, Partition: 99, Read: op.Read{Kind: op.Get, Root: "net/http", Path: "big.bin", Offset: 98304, Version: 6}},
		{Tag: 6, Partition: 99, Read: op.Read{Kind: op.List, Root: "net/http", FromStart: true, Limit: 100}},
		{Tag: 7, Partition: 99, Read: op.Read{Kind: op.List, Root: "net/http", Prefix: "cookie", After: "cookiejar/jar.go"}},
	}}
	large := []byte("<ops xmlns='" + NS + "' epoch='7'>" + strings.Repeat(" ", 1000) + "</ops>")
	parts := Split(large, minPart, "b1")
	part := func(i int, id string, receipt bool) string {
		p := bytes.Replace(parts[i], []byte("ICAg"), nil, -1) // shown short
		return withFrom(AppendMessage(nil, node, id, receipt, p), app)
	}
	shown := storeExamples()
	maps.Copy(shown, map[string][]string{
		"health": {"<presence from='" + node + "'><status>leads 55 of 163 partitions held, ring epoch 7, 81 GiB free</status><priority>-1</priority>" + string(AppendHealth(nil, &Health{
			Member: 2, Store: "5c0d9a40-0000-4000-8000-000000000002", Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Epoch: 7, State: StateOK,
			Led: 55, Held: 163, DiskUsed: 734003200, DiskFree: 86973087744, Load: 1520, Version: "0.1.0",
		})) + "</presence>"},
		"ring-query":  {withFrom(AppendIQ(nil, node, "r1", "get", AppendRing(nil, 6, nil)), app)},
		"ring-answer": {withFrom(AppendIQ(nil, app, "r1", "result", AppendRing(nil, 7, exampleRing(t))), node)},
		"open":        {request("q1", &Request{Epoch: 7, Opens: []Open{{Tag: 1, Partition: 99}}})},
		"open-answer": {answer(done(1, op.WriteResult{Code: op.OK, Session: 214}), "q1")},
		"write": {request("q2", &Request{Epoch: 7, Writes: []Write{{Tag: 2, Partition: 99, Write: op.Write{
			Root: "net/http", Session: 214, Seq: 1, Floor: 1, Mutations: []op.Mutation{
				{Kind: op.Put, Value: []byte("package http"), Refs: []op.Ref{{Root: "net/url"}, {Root: "io", Path: "pipe.go"}}},
				{Kind: op.Put, Path: "server.go", Cond: op.Condition{Kind: op.Absent}, Value: []byte("// serves\n")},
				{Kind: op.Put, Path: "empty", Cond: op.Condition{Kind: op.VersionIs, Version: 5}},
				{Kind: op.Delete, Path: "old.go", Cond: op.Condition{Kind: op.Present}},
			},
		}}}})},
		"write-answer": {answer(done(2, op.WriteResult{Code: op.OK, Revision: 6, Items: []op.Item{
			{Code: op.OK, Version: 6}, {Code: op.OK, Version: 6}, {Code: op.OK, Version: 6}, {Code: op.OK},
		}}), "q2")},
		"conflict-answer": {answer(done(3, op.WriteResult{Code: op.Conflict, Revision: 6, Items: []op.Item{
			{Code: op.OK, Version: 6}, {Code: op.Conflict, Version: 6},
		}}), "q3")},
		"read": {withFrom(AppendIQ(nil, node, "q4", "get", AppendRequest(nil, reads)), app)},
		"read-answer": {withFrom(AppendIQ(nil, app, "q4", "result", AppendResponse(nil, &Response{Epoch: 7, Reads: []ReadReply{{
			Tag: 4, ReadResult: op.ReadResult{Code: op.OK, Revision: 6, Objects: []op.Object{
				{Path: "server.go", Version: 6, Size: 10, Value: []byte("// serves\n"), Refs: []op.Ref{{Root: "net/url"}}},
			}},
		}}})), node)},
		"list-answer": {withFrom(AppendIQ(nil, app, "q5", "result", AppendResponse(nil, &Response{Epoch: 7, Reads: []ReadReply{{
			Tag: 6, ReadResult: op.ReadResult{Code: op.OK, Revision: 6, More: true, Objects: []op.Object{{Version: 6, Size: 12}, {Path: "empty", Version: 6}}},
		}}})), node)},
		"redirect-answer": {answer(done(8, op.WriteResult{Code: op.Redirect, Leader: "dn3@example.org/store"}), "q8")},
		"parts":           {part(0, "q9.0", false), part(1, "q9.1", false), part(2, "q9", true)},
		"raft":            {withFrom(AppendMessage(nil, node, "", false, AppendRaft(nil, 1, "5c0d9a40-0000-4000-8000-000000000001", []byte("a batch"))), "dn1@example.org/store")},
	})
	return shown
}

var exampleBlock = regexp.MustCompile("(?s)<!-- example: ([a-z-]+) -->\n```xml\n(.*?)```\n")

// TestProtocolDocument: the examples of the document are what the codec makes, and
// each of them can be read as it stands there.
func TestProtocolDocument(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want := examples(t)
	if *update {
		text = exampleBlock.ReplaceAllFunc(text, func(b []byte) []byte {
			name := string(exampleBlock.FindSubmatch(b)[1])
			return []byte("<!-- example: " + name + " -->\n```xml\n" + laidOut(want[name]) + "```\n")
		})
		if err := os.WriteFile(document, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if blocks := bytes.Count(text, []byte("```xml")); blocks != len(want) {
		t.Errorf("the document has %d blocks of XML, there are %d examples", blocks, len(want))
	}
	for _, m := range exampleBlock.FindAllSubmatch(text, -1) {
		name, shown := string(m[1]), string(m[2])
		if shown != laidOut(want[name]) {
			t.Errorf("example %s is out of date; run go test ./internal/wire -run ProtocolDocument -update", name)
		}
		readable(t, name, []byte(shown), want[name])
		delete(want, name)
	}
	for name := range want {
		t.Errorf("example %s is not in the document", name)
	}
}

// readable checks that the stanzas shown say what the ones that the codec made say.
func readable(t *testing.T, name string, shown []byte, made []string) {
	t.Helper()
	s := stanza.NewScanner(stanza.Limits{})
	for rest, i := shown, 0; ; i++ {
		st, n, err := s.Next(rest)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if st == nil {
			if i != len(made) {
				t.Fatalf("%s: %d stanzas, want %d", name, i, len(made))
			}
			return
		}
		rest = rest[n:]
		got, want := payloads(t, name, st.Raw), payloads(t, name, []byte(made[i]))
		if len(got) == 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// payloads parses all of a stanza's payloads that are the store's.
func payloads(t *testing.T, name string, raw []byte) (out []any) {
	t.Helper()
	p := stanza.Parse(raw)
	p.Next()
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start || !strings.HasPrefix(string(p.NS()), "urn:rosterdb:") {
			continue
		}
		var v any
		var err error
		switch element, el := string(p.Name()), p.Element(); element {
		case "ops":
			var r *Request
			if r, err = ParseRequest(el); err == nil && !healthy(el, r) {
				t.Errorf("%s: malformed operation in %s", name, el)
			}
			v = r
		case "results":
			v, err = ParseResponse(el)
		case "health":
			v, err = ParseHealth(el)
		case "ring":
			_, v, err = ParseRing(el)
		case "raft":
			_, _, v, err = ParseRaft(nil, el)
		case "part":
			q := stanza.Parse(el)
			q.Next()
			v = strings.TrimSpace(string(q.Content()))
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		out = append(out, v)
	}
	return out
}

var piece = regexp.MustCompile(`<[^>]*>|[^<]+`)

// laidOut breaks stanzas into lines: a line a tag, an element of text on one.
func laidOut(stanzas []string) string {
	var b strings.Builder
	for _, s := range stanzas {
		depth, inText := 0, false
		pieces := piece.FindAllString(s, -1)
		for i, p := range pieces {
			closing := strings.HasPrefix(p, "</")
			if closing {
				depth--
			}
			if !inText {
				b.WriteString(strings.Repeat("  ", depth))
			}
			b.WriteString(p)
			inText = !strings.HasPrefix(p, "<") || i+1 < len(pieces) && !strings.HasPrefix(pieces[i+1], "<")
			if !inText {
				b.WriteByte('\n')
			}
			if strings.HasPrefix(p, "<") && !closing && !strings.HasSuffix(p, "/>") {
				depth++
			}
		}
	}
	return b.String()
}
