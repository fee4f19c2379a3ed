package interop

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

const scriptTime = 3 * time.Minute // a script takes seconds; a stuck one names its check before

// script is a Python file of the folder slixmpp, with what its server needs.
type script struct {
	name   string
	config string // of the server
}

func scripts() []script {
	return []script{
		{name: "login"},
		{name: "scram", config: "[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"SCRAM-SHA-1\"]\n"},
		{name: "roster"},
		{name: "presence"},
		{name: "messages"},
		{name: "discovery"},
		{name: "stream_management", config: "[modules.sm]\nresume_seconds = 2\n"},
		{name: "carbons"},
		{name: "client_state"},
		{name: "blocking"},
		{name: "invisible"},
		{name: "offline"},
		{name: "archive"},
		{name: "storage", config: "[modules.contact]\nabuse = [\"mailto:abuse@example.net\"]\n"},
		{name: "commands", config: "[modules.adhoc]\nadmins = [\"alice\"]\n"},
		{name: "register", config: "registration = \"open\"\n"},
		{name: "component", config: "listen_component = \"127.0.0.1:0\"\n[[component]]\nname = \"gateway." + harness.Domain + "\"\nsecret = \"s3cret\"\n"},
	}
}

// TestSlixmpp runs the scripts, each against a server of its own; each of their checks is a subtest.
func TestSlixmpp(t *testing.T) {
	python := pythonWithSlixmpp()
	Need(t, python != "", "slixmpp, the Python library,", "apt-get install python3-slixmpp")
	for _, s := range scripts() {
		t.Run(s.name, func(t *testing.T) { s.run(t, python) })
	}
}

// pythonWithSlixmpp finds an interpreter that has the library: Debian's python3 does, and another one may come
// before it in the PATH.
func pythonWithSlixmpp() string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import slixmpp.clientxmpp").Run() == nil {
			return python
		}
	}
	return ""
}

func (s script) run(t *testing.T, python string) {
	server := Start(t, binary, s.config, "alice", "bob", "carol")
	out := s.output(t, python, s.environment(t, server))
	reported, ended := 0, ""
	for line := range strings.Lines(string(out)) {
		verdict, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verdict {
		case "PASS", "FAIL":
			reported++
			check, why, _ := strings.Cut(text, ": ")
			t.Run(check, func(t *testing.T) {
				if verdict == "FAIL" {
					t.Error(why)
				}
				t.Log(why)
			})
		case "END":
			ended = text
		}
	}
	if reported == 0 || ended != strconv.Itoa(reported) {
		t.Errorf("the script reported %d checks of %q", reported, ended)
	}
	if t.Failed() {
		t.Logf("the script said:\n%s", out)
	}
}

// output runs the script and returns all that it printed. It cannot outlive the test.
func (s script) output(t *testing.T, python string, env []string) []byte {
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-B", filepath.Join("slixmpp", s.name+".py"))
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("the script ended with: %v", err)
	}
	return out.Bytes()
}

func (s script) environment(t *testing.T, server *Server) []string {
	cert, key := server.ClientCertificate(t, "alice@"+harness.Domain)
	env := append(os.Environ(), "HOME="+t.TempDir(), "XMPP_CA="+server.CA, "XMPP_CERT="+cert, "XMPP_KEY="+key, "XMPP_PASSWORD="+harness.Password)
	for name, what := range map[string]string{"XMPP_PORT": "clients", "XMPP_TLS_PORT": "clients by TLS", "XMPP_COMPONENT_PORT": "components"} {
		if what == "components" && !strings.Contains(s.config, "listen_component") {
			continue
		}
		_, port, err := net.SplitHostPort(server.Addr(t, what))
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, fmt.Sprintf("%s=%s", name, port))
	}
	return env
}
