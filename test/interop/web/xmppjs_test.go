package web

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/interop"
)

// TestXMPPJS: xmpp.js in Node over WebSocket with a certificate that it checks; its connections break
// and it comes back.
func TestXMPPJS(t *testing.T) {
	interop.NeedPrograms(t, [2]string{"node", "nodejs"})
	needModule(t, "@xmpp/client")
	s := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--experimental-websocket", "xmppjs.mjs", "wss://localhost:"+s.https.port()+"/ws", harness.Domain, harness.Password)
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+s.CA)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last = lines.Text(); last == "cut" {
			if s.https.cut() == 0 {
				t.Error("there was nothing to cut")
			}
			if _, err := io.WriteString(in, "cut\n"); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || last != "done" {
		t.Errorf("%v: the last line is %q\n%s", err, last, &stderr)
	}
}
