package mission

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkPortal: a signed POST reaches the user; a forged one, an old one and one
// that is sent again do not, not even after the server was killed in between.
func checkPortal(t *testing.T) {
	const secret = "correct horse battery staple"
	file := filepath.Join(t.TempDir(), "portal.secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("[portal]\nlisten = \"127.0.0.1:0\"\nsecret_file = %q\n", file)
	data := t.TempDir()
	s := harness.StartXMPPDIn(t, binary, data, config, "alice")
	alice := s.Online(t, "alice", "desk")

	post := func(body, key string, at time.Time) int {
		t.Helper()
		stamp := fmt.Sprint(at.Unix())
		m := hmac.New(sha256.New, []byte(key))
		_, _ = io.WriteString(m, "v1:"+stamp+":"+body)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr(t, "portal")+"/portal", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Portal-Timestamp", stamp)
		r.Header.Set("X-Portal-Signature", "v1="+hex.EncodeToString(m.Sum(nil)))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	now := time.Now()
	const event = `{"id":"e1","to":"alice@example.net","subject":"Order 17","body":"is on its way"}`
	if got := post(event, secret, now); got != http.StatusAccepted {
		t.Fatalf("status %d", got)
	}
	if got := alice.Want("</message>"); !strings.Contains(got, "type='headline'") || !strings.Contains(got, "<body>is on its way</body>") {
		t.Errorf("the user got %q", got)
	}
	refused := func() {
		t.Helper()
		for what, c := range map[string]struct{ got, want int }{
			"sent again":   {post(event, secret, now), http.StatusConflict},
			"wrong secret": {post(event, "another secret of enough bytes", now), http.StatusUnauthorized},
			"an hour old":  {post(event, secret, now.Add(-time.Hour)), http.StatusUnauthorized},
		} {
			if c.got != c.want {
				t.Errorf("%s: status %d, want %d", what, c.got, c.want)
			}
		}
		if got := alice.Sync(); strings.Contains(got, "<message") {
			t.Errorf("the user got %q", got)
		}
	}
	refused()
	s.Kill(t)
	s = harness.StartXMPPDIn(t, binary, data, config)
	alice = s.Online(t, "alice", "desk")
	refused()
}
