package bosh_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rosterdb/rosterdb/xmppd/session"
)

func TestLoginAndChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(quick())
		defer w.close(t)
		sid, rid := w.login(t, "alice", create, 1000)
		answer := make(chan string, 1)
		go func() { answer <- w.do(context.Background(), body(sid, rid+1, "", "")) }()
		synctest.Wait()
		var b session.Batch
		alice := w.find(t, "alice@"+domain+"/r")
		b.Send(alice, []byte("<message from='peer@"+domain+"/x' to='alice@"+domain+"/r'><body>hi</body></message>"), nil, nil, nil)
		b.Flush()
		if got := <-answer; !strings.Contains(got, "<message xmlns='jabber:client' from='peer") {
			t.Fatal(got)
		}
		for i := range 3 {
			go w.do(context.Background(), body(sid, rid+2+int64(i), "", fmt.Sprintf("<message xmlns='jabber:client' to='peer@"+domain+"/x'><body>%d</body></message>", i)))
			synctest.Wait()
		}
		if got := bodies(w.received()); fmt.Sprint(got) != "[0 1 2]" {
			t.Fatal(w.received())
		}
		if got := w.do(context.Background(), body(sid, rid+5, "type='terminate'", "")); !strings.Contains(got, "type='terminate'") || strings.Contains(got, "condition") {
			t.Fatal(got)
		}
		synctest.Wait()
	})
}
