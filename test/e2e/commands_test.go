package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// get fetches a page by HTTP, which has to answer 200 and to match:
//
//	get http://$METRICS/healthz ^ok
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get URL REGEXP")
	}
	resp, err := http.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close() //nolint:errcheck // only read
	page, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK || !regexp.MustCompile("(?m)"+args[1]).Match(page) {
		ts.Fatalf("%s, without %s: %s", resp.Status, args[1], page)
	}
}

// exitCode runs a program that has to end with a certain code:
//
//	exitcode 2 ringctl nonsense
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// eventually runs a program until it ends well: for what becomes true by itself after a change, such
// as every partition having a leader while leaderships are on their way to a node that is back.
//
//	eventually ringctl status
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: eventually PROGRAM [ARG...]")
	}
	deadline := time.Now().Add(time.Minute)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within a minute: %s: %v", strings.Join(args, " "), err)
		}
		time.Sleep(50 * time.Millisecond) // the pause of a poll
	}
}

// comesTo runs a program until it ends with a code: for what follows from a kill, which is over before
// the killed process is gone, and before anybody has noticed.
//
//	comesto 4 ringctl status
func comesTo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: comesto CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	deadline := time.Now().Add(time.Minute)
	for {
		var exit *exec.ExitError
		err := ts.Exec(args[1], args[2:]...)
		if errors.As(err, &exit) && exit.ExitCode() == want || err == nil && want == 0 {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within a minute: %s: %v, want code %d", strings.Join(args[1:], " "), err, want)
		}
		time.Sleep(50 * time.Millisecond) // the pause of a poll
	}
}

// field reads a value out of a JSON file into an environment variable, by a
// path with dots; numbers are indexes:
//
//	field PID c1/cluster.json nodes.0.pid
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: field VARIABLE FILE PATH")
	}
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	var v any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	ts.Check(d.Decode(&v))
	for _, key := range strings.Split(args[2], ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(in) {
				ts.Fatalf("%s has %d elements, no index %d", args[2], len(in), i)
			}
			v = in[i]
		default:
			ts.Fatalf("nothing at %s", args[2])
		}
	}
	switch v := v.(type) {
	case string:
		ts.Setenv(args[0], v)
	case json.Number:
		ts.Setenv(args[0], v.String())
	default:
		ts.Fatalf("%s is no string and no number: %v", args[2], v)
	}
}
