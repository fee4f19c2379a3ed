package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// store is a cluster in this process and a way to run ringctl on it.
type store struct {
	t    *testing.T
	args []string
}

func startStore(t *testing.T) store {
	c, err := appclienttest.Start(appclienttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg := c.Config()
	pw := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(pw, []byte(cfg.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return store{t, []string{"--jid", cfg.JID, "--password-file", pw, "--addr", cfg.Addrs[0], "--insecure-plaintext", "--timeout", "1m"}}
}

// run runs a command of words, the first of which is its name.
func (s store) run(code int, stdin, line string) (out, errs string) {
	s.t.Helper()
	words := strings.Fields(line)
	env, o, e := testEnv()
	env.Stdin = strings.NewReader(stdin)
	args := append(append([]string{"ringctl", words[0]}, s.args...), words[1:]...)
	if got := Run(s.t.Context(), env, args); got != code {
		s.t.Errorf("%s: code %d, want %d: %s", line, got, code, e)
	}
	return o.String(), e.String()
}

func (s store) want(line, want string) {
	s.t.Helper()
	if out, _ := s.run(ExitOK, "", line); out != want {
		s.t.Errorf("%s: %q, want %q", line, out, want)
	}
}

// TestObjects: values go in and come out byte for byte, and the exit code tells what
// is not there from what somebody else has changed.
func TestObjects(t *testing.T) {
	s := startStore(t)
	for line, want := range map[string]string{
		"get cart/42":        `root "cart/42": object not found: the root object itself`,
		"get cart/42 item/1": `root "cart/42": object not found: path "item/1"`,
	} {
		if _, errs := s.run(ExitNotFound, "", line); !strings.Contains(errs, want) {
			t.Errorf("%s: %s", line, errs)
		}
	}
	binary := "a\x00\xff\r\n"
	if out, _ := s.run(ExitOK, binary, "put cart/42 item/1"); out != "version 1\n" {
		t.Errorf("put: %q", out)
	}
	s.want("get cart/42 item/1", binary)
	if _, errs := s.run(ExitConflict, "x", "put --if-absent cart/42 item/1"); !strings.Contains(errs, "version 1") {
		t.Errorf("there is one: %s", errs)
	}
	s.run(ExitConflict, "x", "put --if-version 9 cart/42 item/1")
	s.run(ExitConflict, "x", "put --if-present cart/42 item/2")
	s.want("put --if-version 1 --value new -o json cart/42 item/1", `{"path":"item/1","root":"cart/42","version":2}`+"\n")
	s.want("put --value {} --ttl 1h cart/42", "version 3\n")
	out, _ := s.run(ExitOK, "", "get -o json cart/42")
	var got struct {
		Text             string
		Version, Expires int64
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Text != "{}" || got.Version != 3 || got.Expires == 0 {
		t.Errorf("%s: %+v, %v", out, got, err)
	}
	s.run(ExitConflict, "", "delete --if-version 1 cart/42 item/1")
	s.want("delete cart/42 item/1", "deleted\n")
	s.run(ExitNotFound, "", "get cart/42 item/1")
	s.run(ExitConflict, "", "delete --if-present cart/42 item/1")
	s.want("delete cart/42 item/1", "nothing to delete: there is no such object\n")
	s.want("delete -o json cart/42 item/1", `{"deleted":false,"path":"item/1","root":"cart/42"}`+"\n")
	s.want("delete -o json cart/42", `{"deleted":true,"path":"","root":"cart/42"}`+"\n")
}

// TestListings: roots, and the objects of one, up to a limit that is told.
func TestListings(t *testing.T) {
	s := startStore(t)
	for i := range 3 {
		s.run(ExitOK, "abc", fmt.Sprintf("put cart/%d", i))
	}
	s.run(ExitOK, "abcd", "put cart/1 item/1")
	s.run(ExitOK, "", "put user/ann")
	s.want("ls", "cart/0\ncart/1\ncart/2\nuser/ann\n")
	s.want("ls --prefix cart/ -o json", "{\"root\":\"cart/0\"}\n{\"root\":\"cart/1\"}\n{\"root\":\"cart/2\"}\n")
	out, errs := s.run(ExitOK, "", "ls --limit 2")
	if out != "cart/0\ncart/1\n" || !strings.Contains(errs, "more than these 2") {
		t.Errorf("limit: %q, %q", out, errs)
	}
	s.want("ls -o json cart/1", `{"root":"cart/1","path":"","version":1,"size":3}`+"\n"+`{"root":"cart/1","path":"item/1","version":2,"size":4}`+"\n")
	if out, _ := s.run(ExitOK, "", "ls --prefix item/ cart/1"); !strings.Contains(out, "item/1") || strings.Contains(out, "  3  ") {
		t.Errorf("objects: %s", out)
	}
}

// TestWrongObjects: what cannot be is told before anybody is asked.
func TestWrongObjects(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"get"}, ExitUsage, "wants a root"},
		{[]string{"get", "a", "b", "c"}, ExitUsage, "3 arguments"},
		{[]string{"get", "a", "-o", "json"}, ExitUsage, "put flags first"},
		{[]string{"get", "a", "--", "-b"}, ExitUsage, "ringctl get -- ARGUMENTS"},
		{[]string{"get", "--", "-a", "-b", "-c"}, ExitUsage, "3 arguments"},
		{[]string{"get", "a\x01"}, ExitUsage, "control"},
		{[]string{"put", "--if-absent", "--if-version", "1", "a"}, ExitUsage, "choose one"},
		{[]string{"put", "--ttl", "0s", "a"}, ExitUsage, "at least 1ms"},
		{[]string{"put", "--value", "x", "--file", "y", "a"}, ExitUsage, "which one"},
		{[]string{"put", "--file", "no-such-file", "a"}, ExitUsage, "read the value"},
		{[]string{"put", "--file", big, "a"}, ExitFailed, "1.0 MiB"},
		{[]string{"ls", "--limit", "-1"}, ExitUsage, "0 for all"},
		{[]string{"delete", "--if-present", "--if-version", "1", "a"}, ExitUsage, "choose one"},
	} {
		env, _, errs := testEnv()
		args := append([]string{"ringctl", c.args[0], "--jid", "app@localhost", "--password-file", big}, c.args[1:]...)
		if code := Run(t.Context(), env, args); code != c.code || !bytes.Contains(errs.Bytes(), []byte(c.want)) {
			t.Errorf("%v: code %d, %s, want %d, %q", c.args, code, errs, c.code, c.want)
		}
	}
}

// TestObjectErrors: a write whose outcome is unknown is never told as one that failed.
func TestObjectErrors(t *testing.T) {
	for err, want := range map[error]int{
		appclient.ErrNotFound:       ExitNotFound,
		appclient.ErrConflict:       ExitConflict,
		appclient.ErrUnknownOutcome: ExitUnknown,
		fmt.Errorf("%w: %w", appclient.ErrUnknownOutcome, context.Canceled): ExitUnknown,
		appclient.ErrUnavailable: ExitUnreachable,
		appclient.ErrDenied:      ExitDenied,
	} {
		if code, show := exitCode(objectError(err)); code != want || !show {
			t.Errorf("%v: %d, %v", err, code, show)
		}
	}
}

// TestDeniedAlike: whether an account has other grants or none, denied is denied; a wrong password is another thing.
func TestDeniedAlike(t *testing.T) {
	for err, want := range map[error]int{
		fmt.Errorf("dial: %w", appclient.ErrDenied):                         ExitDenied,
		fmt.Errorf("%w: %w", appclient.ErrDenied, xmppconn.ErrAuth):         ExitUnreachable,
		fmt.Errorf("%w: %w", appclient.ErrUnavailable, io.ErrUnexpectedEOF): ExitUnreachable,
	} {
		coded := notDialled(connection{}, err)
		if code, show := exitCode(coded); code != want || !show || want == ExitDenied == strings.Contains(coded.Error(), "log in as") {
			t.Errorf("%v: %d, %v, %v", err, code, show, coded)
		}
	}
}
