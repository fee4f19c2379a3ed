package wire

import "github.com/rosterdb/rosterdb/internal/op"

// now is the time in the examples.
const now = 1790000000000

func ask(id string, r *Request) []string {
	return []string{withFrom(AppendIQ(nil, node, id, "get", AppendRequest(nil, r)), app)}
}

func told(id string, tag uint64, r op.ReadResult) []string {
	return []string{withFrom(AppendIQ(nil, app, id, "result", AppendResponse(nil, &Response{Epoch: 7, Time: now + 17, Reads: []ReadReply{{Tag: tag, ReadResult: r}}})), node)}
}

// storeExamples are those of counters, expiry, settling, scans, queries and changes.
func storeExamples() map[string][]string {
	from, to := op.Scalar{Kind: op.Number, Number: 18}, op.Scalar{Kind: op.Number, Number: 21}
	read := func(tag uint64, r op.Read) Read { return Read{Tag: tag, Partition: 99, Read: r} }
	reply := func(tag uint64, r op.WriteResult) *Response {
		return &Response{Epoch: 7, Time: now + 17, Writes: []WriteReply{{Tag: tag, WriteResult: r}}}
	}
	return map[string][]string{
		"mutations": {request("q10", &Request{Epoch: 7, Time: now, Writes: []Write{{Tag: 10, Partition: 99, Write: op.Write{
			Root: "net/http", Session: 214, Seq: 2, Floor: 2, RootCond: op.Condition{Kind: op.VersionIs, Version: 6}, Mutations: []op.Mutation{
				{Kind: op.Put, Path: "lock", Cond: op.Condition{Kind: op.Absent}, TTL: 30000, Value: []byte("a1")},
				{Kind: op.Add, Path: "hits", Delta: 3},
				{Kind: op.Check, Path: "server.go", Cond: op.Condition{Kind: op.VersionIs, Version: 6}},
			},
		}}}})},
		"mutations-answer": {answer(reply(10, op.WriteResult{Code: op.OK, Revision: 7, Items: []op.Item{
			{Code: op.OK, Version: 7}, {Code: op.OK, Version: 7, Count: 45}, {Code: op.OK, Version: 6},
		}}), "q10")},
		"settle":        {request("q11", &Request{Epoch: 7, Time: now, Settles: []Settle{{Tag: 11, Partition: 99, Settle: op.Settle{Session: 214, Seq: 3}}}})},
		"settle-answer": {answer(reply(11, op.WriteResult{Code: op.NotApplied}), "q11")},
		"stale": ask("q12", &Request{Epoch: 7, Time: now, Reads: []Read{
			read(12, op.Read{Kind: op.Get, Root: "net/http", Path: "server.go", Stale: true, MaxAge: 500}),
		}}),
		"confirmed": append(ask("q23", &Request{Epoch: 7, Time: now, Reads: []Read{{
			Tag: 23, Partition: 99, Read: op.Read{Kind: op.Get, Root: "net/http", Path: "lock"}, With: 3,
		}}}), withFrom(AppendIQ(nil, "dn3@example.org/store", "q24", "get", AppendTerms(nil, 3, []uint64{99})), app)),
		"confirmed-answer": {
			withFrom(AppendIQ(nil, app, "q23", "result", AppendResponse(nil, &Response{Epoch: 7, Time: now + 17, Reads: []ReadReply{
				{Tag: 23, Term: 12, ReadResult: op.ReadResult{Code: op.NotFound, Revision: 9, Position: 5120}},
			}})), node),
			withFrom(AppendIQ(nil, app, "q24", "result", AppendTerms(nil, 3, []uint64{12})), "dn3@example.org/store"),
		},
		"scan": ask("q13", &Request{Epoch: 7, Time: now, Reads: []Read{
			read(13, op.Read{Kind: op.Scan, Prefix: "net/", FromStart: true, Values: true, Limit: 100}),
			read(14, op.Read{Kind: op.Scan, Prefix: "net/", AfterRoot: "net/http", After: "server.go"}),
			read(15, op.Read{Kind: op.Scan, RootsOnly: true, FromStart: true}),
		}}),
		"scan-answer": told("q13", 13, op.ReadResult{Code: op.OK, Position: 5120, Time: now + 4, More: true, Objects: []op.Object{
			{Root: "net/http", Version: 6, Size: 12, Value: []byte("package http")},
			{Root: "net/http", Path: "lock", Version: 7, Size: 2, Expires: now + 30000, Value: []byte("a1")},
		}}),
		"query": ask("q16", &Request{Epoch: 7, Time: now, Reads: []Read{
			read(16, op.Read{Kind: op.Query, Index: "age", From: &from, To: &to, Limit: 2}),
			read(17, op.Read{Kind: op.Query, Index: "age", Desc: true, Values: true, Cursor: []byte("next")}),
		}}),
		"query-answer": told("q16", 16, op.ReadResult{Code: op.OK, Position: 5120, Time: now + 4, More: true, Objects: []op.Object{
			{Root: "users/ann", Version: 3, Size: 41, Key: from, Cursor: []byte("ann")},
			{Root: "users/bob", Version: 9, Size: 40, Key: op.Scalar{Kind: op.Number, Number: 19.5}, Cursor: []byte("bob")},
		}}),
		"changes": ask("q18", &Request{Epoch: 7, Time: now, Reads: []Read{
			read(18, op.Read{Kind: op.Changes, Since: 5100, Prefix: "net/", Values: true, Wait: 30000}),
			read(19, op.Read{Kind: op.Changes, Root: "net/http", ByRevision: true, SinceRevision: 6}),
			read(20, op.Read{Kind: op.Changes, Since: 5100, Index: "age"}),
		}}),
		"changes-answer": told("q18", 18, op.ReadResult{Code: op.OK, Position: 5120, Time: now + 4, Events: []op.Event{
			{Kind: op.Written, Root: "net/http", Path: "hits", Position: 5104, Revision: 7, Superseded: true},
			{Kind: op.Written, Root: "net/http", Path: "hits", Position: 5118, Revision: 8, Size: 2, Value: []byte("46")},
			{Kind: op.Expired, Root: "net/http", Path: "lock", Position: 5120, Revision: 9},
		}}),
		"cancel":            {request("q22", &Request{Epoch: 7, Time: now, Cancels: []uint64{18, 20}})},
		"overloaded-answer": {answer(reply(21, op.WriteResult{Code: op.Overloaded, RetryAfter: 250, Text: "too many operations of this account wait"}), "q21")},
	}
}
