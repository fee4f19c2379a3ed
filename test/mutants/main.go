// Command mutants plants each mistake of its table and says whether the test
// that is there for it turned red: `make mutants`. The tests plant the mistakes
// themselves, and pass only if their checks fail with it and hold without.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

func main() {
	only := flag.String("only", "", "a regular expression: only mistakes or tests that match")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	filter, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	r, err := newRunner(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.dir) //nolint:errcheck // the system empties it at last
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"mistake", "test", "turned red", "s"})
	missed, left, all := 0, 0, 0
	for _, m := range mutants() {
		if !filter.MatchString(m.name) && !filter.MatchString(m.pkg+" "+m.test) {
			continue
		}
		all++
		began := time.Now()
		verdict, err := r.try(ctx, m)
		if err != nil {
			return err
		}
		switch verdict {
		case noticed:
		case skipped:
			left++
		default:
			missed++
		}
		t.AppendRow(table.Row{m.name, m.pkg + " " + m.test, verdict, fmt.Sprintf("%.1f", time.Since(began).Seconds())})
	}
	fmt.Println(t.Render())
	if missed > 0 {
		return fmt.Errorf("%d of %d mistakes were not noticed", missed, all)
	}
	fmt.Printf("%d mistakes planted, all of them noticed", all-left)
	if left > 0 {
		fmt.Printf("; %d left out, this machine cannot plant them: go test -v says why", left)
	}
	fmt.Println()
	return nil
}

// What came of a mistake.
const (
	noticed = "yes"
	skipped = "not run here"
	gone    = "NO SUCH TEST"
	missed  = "NO"
)

// runner builds each package's tests once, and runs each test once, also one that plants several mistakes.
type runner struct {
	module string // directory
	dir    string // of the binaries
	built  map[string]string
	ran    map[string]string // verdicts
}

func newRunner(ctx context.Context) (*runner, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the binaries: %w", err)
	}
	return &runner{module: strings.TrimSpace(string(out)), dir: dir, built: make(map[string]string), ran: make(map[string]string)}, nil
}

func (r *runner) build(ctx context.Context, pkg string) (string, error) {
	if file, ok := r.built[pkg]; ok {
		return file, nil
	}
	file := filepath.Join(r.dir, strings.ReplaceAll(pkg, "/", "-"))
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", file, "./"+pkg)
	cmd.Dir = r.module
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, out)
	}
	r.built[pkg] = file
	return file, nil
}

// try runs the test of a mistake, unless it has run for another one.
func (r *runner) try(ctx context.Context, m mutant) (verdict string, err error) {
	at := m.pkg + " " + m.test
	if verdict, ran := r.ran[at]; ran {
		return verdict, nil
	}
	if verdict, err = r.run(ctx, m); err == nil {
		r.ran[at] = verdict
	}
	return verdict, err
}

// run runs the test of a mistake. The test's own line in the output tells, so
// that a test that is gone does not pass.
func (r *runner) run(ctx context.Context, m mutant) (string, error) {
	file, err := r.build(ctx, m.pkg)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, file, "-test.v", "-test.count=1", "-test.timeout=10m", "-test.run="+m.pattern())
	cmd.Dir = filepath.Join(r.module, filepath.FromSlash(m.pkg))
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	said := func(what string) bool {
		return slices.ContainsFunc(strings.Split(string(out), "\n"), func(line string) bool {
			return strings.HasPrefix(strings.TrimSpace(line), "--- "+what+": "+m.test+" ")
		})
	}
	switch {
	case said("SKIP"):
		return skipped, nil
	case said("FAIL") || err != nil:
		fmt.Fprintf(os.Stderr, "%s %s:\n%s\n", m.pkg, m.test, out)
		return missed, nil
	case !said("PASS"):
		return gone, nil
	}
	return noticed, nil
}

// pattern is the regular expression for exactly this test.
func (m mutant) pattern() string {
	parts := strings.Split(m.test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}
