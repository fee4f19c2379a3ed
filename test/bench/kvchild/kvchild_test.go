package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProtocol(t *testing.T) {
	cl, err := appclienttest.Start(appclienttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	dev := devFile(t, cl.Config().Addrs[0])

	// One request after the other, as the order of answers is open.
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(dev, inR, outW) }()
	answers := bufio.NewReader(outR)
	value := strings.Repeat("x\n", 200)
	for _, tc := range []struct{ send, want string }{
		{"1 G k 0\n", "1 NF 0\n"},
		{fmt.Sprintf("2 P k %d\n%s", len(value), value), "2 OK 0\n"},
		{"3 G k 0\n", fmt.Sprintf("3 OK %d\n%s", len(value), value)},
		{"4 P k 0\n", "4 OK 0\n"},
		{"5 G k 0\n", "5 OK 0\n"},
		{"6 D k 0\n", "6 OK 0\n"},
		{"7 G k 0\n", "7 NF 0\n"},
		{"8 D k 0\n", "8 OK 0\n"},
		{"9 X k 0\n", "9 ER 21\nunknown operation 'X'"},
	} {
		if _, err := io.WriteString(inW, tc.send); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(tc.want))
		if _, err := io.ReadFull(answers, got); err != nil || string(got) != tc.want {
			t.Fatalf("%q: answered %q, want %q (%v)", tc.send, got, tc.want, err)
		}
	}
	inW.Close() //nolint:errcheck // a pipe in memory
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestManyRequests(t *testing.T) {
	cl, err := appclienttest.Start(appclienttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var in, out bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&in, "%d P key%d 3\nabc", i, i%50)
	}
	if err := run(devFile(t, cl.Config().Addrs[0]), &in, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), " OK 0\n"); n != 1000 {
		t.Errorf("%d of 1000 answered with OK", n)
	}
}

func TestReadRequestRefuses(t *testing.T) {
	for _, line := range []string{"", "1 G k", "1 G k 0", "1 G k 0 0\n", "x G k 0\n", "1 GG k 0\n", "1 P k 5\nabc", "1 P k -1\n"} {
		if _, err := readRequest(bufio.NewReader(strings.NewReader(line))); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

func devFile(t *testing.T, addr string) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"insecure_plaintext": true,
		"servers":            []any{map[string]string{"c2s": addr}},
		"accounts":           map[string]any{"app": map[string]string{"jid": "app@localhost", "password": "x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dev.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
