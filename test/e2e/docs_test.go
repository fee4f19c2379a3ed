package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

const productionDoc = "../../docs/production.md"

// TestReadme runs the commands of the README as they stand, in an empty directory.
func TestReadme(t *testing.T) { runDocument(t, "../../README.md", "dev") }

// TestProduction runs those of docs/production.md. Only addresses and the number of
// partitions are others, by the variables that the document leaves open.
func TestProduction(t *testing.T) {
	var variables []string
	names := []string{"METRICS1", "METRICS2", "METRICS3", "METRICS4"}
	for i := range 4 {
		names = append(names, fmt.Sprint("XMPP", i+1), fmt.Sprint("WEB", i+1), fmt.Sprint("LINK", i+1))
	}
	for i, addr := range ownAddresses(t, len(names)) {
		variables = append(variables, names[i]+"="+addr)
	}
	runDocument(t, productionDoc, "rehearsal", append(variables, "PARTITIONS=16")...)
}

// ownAddresses are host:port of loopback that nobody else takes between the choice and
// the listening: where all of 127.0.0.0/8 is loopback, as on Linux, the host is drawn.
func ownAddresses(t *testing.T, n int) []string {
	t.Helper()
	addrs, err := devcluster.ChoosePorts(n, 0)
	if err != nil {
		t.Fatal(err)
	}
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return addrs // there is one loopback address only
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, addr := range addrs {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = net.JoinHostPort(host, port)
	}
	return addrs
}

// runDocument runs the blocks of shell commands in a document, one after the other.
// dev is the directory of a development cluster that it may start.
func runDocument(t *testing.T, doc, dev string, variables ...string) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-eu", "-c", script(t, doc, "sh"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), "PATH="+programs(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, variables...)
	// A group of its own, so that nothing which the document starts outlives the test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // mostly there is nobody left
	}
	if _, serr := os.Stat(filepath.Join(dir, dev, "lock")); serr == nil {
		if derr := devcluster.Down(filepath.Join(dir, dev)); derr != nil {
			t.Error(derr)
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
}

// TestProductionUnits: the flags of the systemd units are flags of the programs.
func TestProductionUnits(t *testing.T) {
	units := script(t, productionDoc, "ini")
	if !strings.Contains(units, "datanode run") {
		t.Fatal("there is no unit of a data node")
	}
	help, err := exec.Command(binary, "datanode", "run", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, help)
	}
	for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(units, -1) {
		if !bytes.Contains(help, []byte("\n   "+flag)) {
			t.Errorf("datanode run has no flag %s", flag)
		}
	}
}

// script is all that the document has in blocks of a language, each with its line
// before it.
func script(t *testing.T, doc, language string) string {
	t.Helper()
	b, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	within := false
	for i, line := range strings.Split(string(b), "\n") {
		switch {
		case line == "```"+language:
			within = true
			fmt.Fprintf(&s, "echo \"## %s:%d after $SECONDS s\"\n", filepath.Base(doc), i+2)
		case strings.HasPrefix(line, "```"):
			within = false
		case within:
			s.WriteString(line + "\n")
		}
	}
	return s.String()
}

// programs makes a directory with what the document calls: the programs of the one
// binary under test, and curl, which not every machine has.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string]string{
		"ringctl": binary, "xmppd": binary + " xmppd", "datanode": binary + " datanode", "curl": self + " " + curlMark,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexec "+command+" \"$@\"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// curlMark as first argument makes the test's own program curl -fsS URL.
const curlMark = "as-curl"

func curl(args []string) int {
	resp, err := http.Get(args[len(args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return 7
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, "curl:", resp.Status)
		return 22
	}
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return 23
	}
	return 0
}
