package appclient

import (
	"bytes"
	"testing"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

const firstAddress, secondAddress = "dn1@localhost/store", "dn1@localhost/store-2"

// twoStreams is offline, whose second stream sees both addresses of the node, too.
func twoStreams(t *testing.T) (h, other handler, write, read *call) {
	t.Helper()
	h, write, read = offline(t)
	other = h.Client.handler(1, 1<<20)
	h.engine.connected(1)
	for stream := range 2 {
		for _, a := range []string{firstAddress, secondAddress} {
			h.engine.available(stream, a, &wire.Health{State: "ok", Epoch: 1})
		}
	}
	return h, other, write, read
}

// filled is what a stream's writer finds to send.
func filled(h handler) []byte { return h.engine.fill(nil, &h.out, h.index) }

// TestStreamEnds: what was on its way by a stream that ends is sent again by the other one
// at once, under the same session and sequence.
func TestStreamEnds(t *testing.T) {
	for _, planted := range []bool{false, true} {
		h, other, write, read := twoStreams(t)
		h.engine.faults.streamLostWaits = planted
		seq := write.write.Seq
		h.Down(xmppconn.ErrClosed)
		again := filled(other)
		if all := bytes.Contains(again, []byte("<write ")) && bytes.Contains(again, []byte("<get ")); all == planted {
			t.Errorf("planted %v, sent again: %s", planted, again)
		}
		if planted {
			continue
		}
		if write.write.Seq != seq || !write.maybe {
			t.Error("the write is another one now")
		}
		if bytes.Contains(again, []byte(secondAddress)) {
			t.Errorf("to another address of a node that is there: %s", again)
		}
		if len(filled(h)) > 0 {
			t.Error("something is sent by a stream that has ended")
		}
		_ = read
	}
}

// TestAddressGone: a node that loses one of its two streams is asked at the other one at once,
// and answers from there.
func TestAddressGone(t *testing.T) {
	h, _, write, read := twoStreams(t)
	h.engine.unavailable(0, firstAddress)
	again := filled(h)
	if !bytes.Contains(again, []byte("<write ")) || !bytes.Contains(again, []byte("<get ")) || bytes.Count(again, []byte(secondAddress)) != 2 {
		t.Fatalf("sent again: %s", again)
	}
	if n := h.Stats().Nodes; n != 1 {
		t.Errorf("%d nodes", n)
	}
	answer(t, h, `<message from='`+secondAddress+`' to='app@localhost/a'><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='3' code='ok' revision='1'><i code='ok' version='1'/></done></results></message>`)
	answer(t, h, `<message from='`+secondAddress+`' to='app@localhost/a'><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='4' code='ok' revision='1'><i code='ok' version='1'/></done></results></message>`)
	if write.state != finished {
		t.Error("an answer from the second address is not taken")
	}
	h.engine.unavailable(0, secondAddress)
	if !h.engine.nodes[firstAddress].online {
		t.Error("the other stream reaches it, and it is taken for gone")
	}
	h.engine.unavailable(1, firstAddress)
	h.engine.unavailable(1, secondAddress)
	if h.engine.nodes[firstAddress].online {
		t.Error("gone on both streams, and taken to be there")
	}
	_ = read
}

// TestBounceOfAnAddress: a request that could not be delivered is sent to the node's other
// address at once, and so is what went the same way: presence, which comes behind, is no news then.
func TestBounceOfAnAddress(t *testing.T) {
	for _, planted := range []bool{false, true} {
		h, _, _, _ := twoStreams(t)
		h.engine.faults.streamLostWaits = planted
		bounceFirst(t, h)
		h.engine.unavailable(0, firstAddress)
		again := filled(h)
		if !bytes.Contains(again, []byte("<write ")) || !bytes.Contains(again, []byte(secondAddress)) {
			t.Errorf("sent again: %s", again)
		}
		if bytes.Contains(again, []byte("<get ")) == planted {
			t.Errorf("planted %v, sent again: %s", planted, again)
		}
		if n := h.engine.nodes[secondAddress]; n.trouble != 0 {
			t.Error("a node that is there is spared")
		}
	}
}

// bounceFirst has the first request come back, which is the write's.
func bounceFirst(t *testing.T, h handler) {
	t.Helper()
	answer(t, h, `<message type='error' from='`+firstAddress+`' id='r1'><error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`)
}

// TestSilentStream: a stream by which nothing comes any more is left for the other one when
// something is not answered in time.
func TestSilentStream(t *testing.T) {
	h, other, write, _ := twoStreams(t)
	e := h.engine
	e.mu.Lock()
	e.heard[0].Store(int64(write.current().sent))
	e.silent(write.current())
	if e.used != 0 {
		t.Error("a stream that works is left")
	}
	e.heard[0].Store(int64(write.current().sent) - 1)
	write.due = 0
	e.sweepCalls(&e.live, write.due)
	if e.used != 1 {
		t.Error("a silent stream is used on")
	}
	e.mu.Unlock()
	if again := filled(other); !bytes.Contains(again, []byte("<write ")) {
		t.Errorf("sent again: %s", again)
	}
}
