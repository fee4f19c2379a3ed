package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
)

func testEnv() (env Env, out, errs *bytes.Buffer) {
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	return Env{Stdin: strings.NewReader(""), Stdout: out, Stderr: errs, Getenv: func(string) string { return "" }}, out, errs
}

// TestEveryCommandHelps: each command explains itself, with an example.
func TestEveryCommandHelps(t *testing.T) {
	for _, args := range [][]string{
		{"demo"},
		{"dev"},
		{"dev", "up"},
		{"dev", "down"},
		{"dev", "status"},
		{"dev", "restart"},
		{"status"},
		{"where"},
		{"get"},
		{"put"},
		{"delete"},
		{"ls"},
		{"hot"},
		{"scrub"},
		{"backup"},
		{"restore"},
		{"export"},
		{"import"},
		{"bootstrap"},
		{"join"},
		{"leave"},
		{"drain"},
		{"replace"},
		{"rebalance"},
		{"commit"},
		{"progress"},
		{"pause"},
		{"resume"},
		{"cancel"},
		{"throttle"},
		{"index"},
		{"index", "create"},
		{"index", "list"},
		{"index", "drop"},
		{"access"},
		{"access", "grant"},
		{"access", "revoke"},
		{"access", "list"},
		{"simulate"},
		{"dev", "add"},
		{"dev", "remove"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			env, out, errs := testEnv()
			if code := Run(t.Context(), env, append(append([]string{"ringctl"}, args...), "--help")); code != ExitOK {
				t.Fatalf("code %d: %s", code, errs)
			}
			if !strings.Contains(out.String(), "ringctl "+args[0]) || !strings.Contains(out.String(), "DESCRIPTION") {
				t.Errorf("no example in\n%s", out)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		show bool
	}{
		{nil, ExitOK, false},
		{errors.New("x"), ExitFailed, true},
		{usageErrorf("x"), ExitUsage, true},
		{unreachable(errors.New("x")), ExitUnreachable, true},
		{unreachable(context.Canceled), ExitInterrupted, false},
		{fmt.Errorf("log in: %w", xmppconn.ErrAuth), ExitUnreachable, true},
		{fmt.Errorf("join: %w", admin.ErrNotOperator), ExitUnreachable, true},
		{fmt.Errorf("join: %w", &xmppconn.StanzaError{Condition: "forbidden"}), ExitUnreachable, true},
		{fmt.Errorf("join: %w", &xmppconn.StanzaError{Condition: "bad-request"}), ExitFailed, true},
		{errDegraded, ExitDegraded, false},
		{fmt.Errorf("add account: %w", &exec.ExitError{ProcessState: &os.ProcessState{}}), ExitFailed, true},
		{fmt.Errorf("step: %w", context.Canceled), ExitInterrupted, false},
	} {
		if code, show := exitCode(c.err); code != c.code || show != c.show {
			t.Errorf("%v: code %d, show %v, want %d, %v", c.err, code, show, c.code, c.show)
		}
	}
}

// TestWhereRefusesBadNames: what the store refuses has no place, and nobody is asked for it.
func TestWhereRefusesBadNames(t *testing.T) {
	for _, root := range []string{"", "a\x01b", "\xff", strings.Repeat("x", 600)} {
		env, _, errs := testEnv()
		if code := Run(t.Context(), env, []string{"ringctl", "where", root}); code != ExitUsage {
			t.Errorf("%.20q: code %d, want %d: %s", root, code, ExitUsage, errs)
		}
	}
}

// TestStatusListsTheDead: every member of the ring has a row, there or not, and
// so have data nodes that are no members.
func TestStatusListsTheDead(t *testing.T) {
	health := func(led int) wire.Health { return wire.Health{State: "ok", Epoch: 7, Led: led, Held: 8} }
	doc := &ring.Document{Epoch: 7, Partitions: 8, Members: []ring.Member{
		{ID: 1, JID: "dn1@d/store"}, {ID: 2, JID: "dn2@d/store"}, {ID: 3, JID: "dn3@d/store"},
	}}
	up := []admin.NodeView{
		{JID: "dn1@d/store", Online: true, Health: health(3)},
		{JID: "dn2@d/store", Online: true, Health: health(5)},
		{JID: "dn3@d/store", Online: true, Health: health(0)},
	}
	all := &admin.Leaders{Led: 8, ByNode: map[string]int{"dn1@d/store": 3, "dn2@d/store": 5}}
	if s := summarize(doc, up, all); !s.Healthy || s.Led != 8 || s.Nodes[1].Led != 5 {
		t.Errorf("all there: %+v", s)
	}
	// The presence of all adds up, but one partition is claimed twice.
	if s := summarize(doc, up, &admin.Leaders{Led: 7}); s.Healthy || !strings.Contains(s.verdict(), "DEGRADED: ring epoch 7, 7 of 8") {
		t.Errorf("one without leader: %+v %s", s, s.verdict())
	}
	if s := summarize(doc, up, &admin.Leaders{Led: 8, Silent: []string{"dn1@d/store"}}); s.Healthy || !strings.Contains(s.verdict(), "dn1 does not answer") {
		t.Errorf("one silent: %s", s.verdict())
	}
	dead := summarize(doc, append(up[:1:1],
		admin.NodeView{JID: "dn2@d/store"}, // known, and not there
		admin.NodeView{JID: "dn9@d/store", Online: true, Show: "dnd", Text: "disk full", Health: wire.Health{State: "full"}}), all)
	want := []string{"dn1 available 1", "dn2 down 2", "dn3 down 3", "dn9 dnd 0"}
	if len(dead.Nodes) != len(want) || dead.Healthy {
		t.Fatalf("%+v", dead)
	}
	for i, n := range dead.Nodes {
		if got := fmt.Sprint(n.Node, " ", n.Presence, " ", n.Member); got != want[i] {
			t.Errorf("row %d: %s, want %s", i, got, want[i])
		}
	}
	env, out, _ := testEnv()
	if err := dead.print(env, formatTable); err != nil || !strings.Contains(out.String(), "DEGRADED: dn2 is down; dn3 is down; ring epoch 7") {
		t.Errorf("%v\n%s", err, out)
	}
	if none := summarize(nil, []admin.NodeView{{JID: "dn1@d/store"}}, nil); none.Healthy || len(none.Nodes) != 1 {
		t.Errorf("without a ring: %+v", none)
	}
}

// TestStatusJSON fixes the names that scripts use.
func TestStatusJSON(t *testing.T) {
	env, out, _ := testEnv()
	s := summarize(&ring.Document{Epoch: 1, Partitions: 1, Members: []ring.Member{{ID: 1, JID: "dn1@d/store"}}}, nil, nil)
	if err := s.print(env, formatJSON); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"healthy", "epoch", "partitions", "led", "nodes"} {
		if _, ok := got[field]; !ok {
			t.Errorf("no field %q in %s", field, out)
		}
	}
	node := got["nodes"].([]any)[0].(map[string]any)
	for _, field := range []string{"node", "jid", "member", "presence", "state", "epoch", "led", "held", "lag", "disk_used", "disk_free"} {
		if _, ok := node[field]; !ok {
			t.Errorf("no field %q in %s", field, out)
		}
	}
}

// TestWrongUse: the answer names the help of the very command, and --dir may come
// from the environment where nothing is made or removed.
func TestWrongUse(t *testing.T) {
	for _, c := range []struct {
		args, dev, want string
	}{
		{"dev up --bad", "", "see `ringctl dev up --help`"},
		{"status --bad", "", "see `ringctl status --help`"},
		{"--bad", "", "see `ringctl --help`"},
		{"nothing", "", "see `ringctl --help`"},
		{"index nothing", "", "see `ringctl index --help`"},
		{"dev restart", "", "see `ringctl dev restart --help`"},
		{"dev up --dir x --nodes 0", "", "--nodes 0"},
		{"dev status", "", "wants --dir"},
		{"dev status", "nowhere/cluster.json", "nowhere`\n"},
		{"dev restart dn1", "nowhere/cluster.json", "cluster.json"},
		{"dev down --delete", "nowhere/cluster.json", "wants --dir"},
		{"dev down", "elsewhere.json", "name that with --dir"},
		{"status --dev /nope", "", "name the cluster.json"},
	} {
		env, _, errs := testEnv()
		env.Getenv = func(name string) string {
			if name == "ROSTERDB_DEV" {
				return c.dev
			}
			return ""
		}
		code := Run(t.Context(), env, append([]string{"ringctl"}, strings.Fields(c.args)...))
		if code == ExitOK || !strings.Contains(errs.String(), c.want) || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%s: code %d, %s, want %q", c.args, code, errs, c.want)
		}
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 130 << 20: "130.0 MiB", 5 << 40: "5.0 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
