package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

// changer grows and shrinks the ring while everything else goes on. It acts as
// an operator does, through ringctl, and again if that fails.
type changer struct {
	stage  *stage
	binary string
	rng    *rand.Rand
	calm   time.Duration
	least  int // members
	told   func(string)
	counts func(string)
	next   int      // number of the next data node
	first  []string // these changes are made before any is drawn, however late it gets
}

// Changes names the kinds of changes of the ring.
func Changes() []string { return []string{join, leave, replace, reweigh, rezone} }

const (
	join    = "join"
	leave   = "leave"
	replace = "replace"
	reweigh = "weight" // another weight of a data node
	rezone  = "zone"   // another zone of it
)

// changeWithin is how long a change may take, with faults on the way.
const changeWithin = 4 * time.Minute

func (g *changer) run(ctx context.Context) error {
	for {
		if !goesOn(ctx, g.calm/4+time.Duration(g.rng.Int64N(int64(g.calm))), len(g.first) > 0) {
			return nil
		}
		// What has begun is brought to its end.
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeWithin)
		err := g.change(one)
		cancel()
		if err != nil {
			return err
		}
	}
}

func (g *changer) change(ctx context.Context) error {
	doc, err := g.ring(ctx)
	if err != nil {
		return err
	}
	kind := g.draw(doc)
	if len(g.first) > 0 {
		kind, g.first = g.first[0], g.first[1:]
	}
	g.counts(kind)
	m := doc.Members[g.rng.IntN(len(doc.Members))]
	switch id := nodeOf(m); kind {
	case replace:
		return g.replace(ctx, doc, id)
	case leave:
		return g.leave(ctx, id)
	case reweigh:
		weight := 1 + (max(m.Weight, 1)+g.rng.IntN(2))%3 // another than it has
		return g.bring(ctx, func(doc *ring.Document) bool { return member(doc, id).Weight == weight }, "rebalance", "--weight", fmt.Sprintf("%s=%d", id, weight))
	case rezone:
		zone := fmt.Sprintf("zone%d", g.rng.IntN(3))
		return g.bring(ctx, func(doc *ring.Document) bool { return member(doc, id).Zone == zone }, "rebalance", "--zone", id+"="+zone)
	default:
		return g.join(ctx)
	}
}

// draw draws the kind of a change that is possible now.
func (g *changer) draw(doc *ring.Document) string {
	switch k := g.rng.IntN(8); {
	case k < 2:
		return replace
	case k == 2:
		return reweigh
	case k == 3:
		return rezone
	}
	if len(doc.Members) > g.least && (g.rng.IntN(2) == 0 || len(doc.Members) > g.least+1) {
		return leave
	}
	return join
}

func nodeOf(m ring.Member) string {
	name, _, _ := strings.Cut(m.JID, "@")
	return name
}

func (g *changer) join(ctx context.Context) error {
	id := fmt.Sprintf("dn%d", g.next)
	g.next++
	g.told("start " + id)
	if err := g.stage.add(ctx, id); err != nil {
		return fmt.Errorf("start %s: %w", id, err)
	}
	return g.bring(ctx, func(doc *ring.Document) bool { return member(doc, id) != nil }, "join", id)
}

func (g *changer) leave(ctx context.Context, id string) error {
	if err := g.bring(ctx, func(doc *ring.Document) bool { return member(doc, id) == nil }, "leave", id); err != nil {
		return err
	}
	g.told("stop " + id)
	return g.stage.remove(ctx, id)
}

// replace takes a data node's disk away, and lets the node take its own place with an
// empty one.
func (g *changer) replace(ctx context.Context, doc *ring.Document, id string) error {
	g.told("wipe the disk of " + id)
	old := member(doc, id)
	if err := g.stage.wipe(ctx, id); err != nil {
		return fmt.Errorf("wipe %s: %w", id, err)
	}
	return g.bring(ctx, func(doc *ring.Document) bool {
		m := member(doc, id)
		return m != nil && m.Store != old.Store && m.State == ring.Active
	}, "replace", id, id)
}

// member finds a data node's entry, its newest one; nil: there is none.
func member(doc *ring.Document, id string) (found *ring.Member) {
	for i := range doc.Members {
		if nodeOf(doc.Members[i]) == id {
			found = &doc.Members[i]
		}
	}
	return found
}

// bring commits a change and waits until it is done. Meanwhile it may pause or throttle it, or
// cancel it and begin again.
func (g *changer) bring(ctx context.Context, done func(*ring.Document) bool, command ...string) error {
	what := strings.Join(command, " ")
	g.told("ringctl " + what)
	began, last, canceled := time.Now(), "", false
	for {
		doc, err := g.ring(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w; ringctl said last: %s", what, err, last)
		}
		switch {
		case doc.Change == nil && done(doc):
			g.told(fmt.Sprintf("%s took %s", what, time.Since(began).Round(time.Millisecond)))
			return nil
		case doc.Change == nil && canceled && command[0] == "join" && member(doc, command[1]) == nil:
			// It held nothing yet, is no member any more, and may not come back with that disk.
			g.told("wipe the disk of " + command[1])
			if err := g.stage.wipe(ctx, command[1]); err != nil {
				return fmt.Errorf("wipe %s: %w", command[1], err)
			}
			canceled = false
		case doc.Change == nil:
			last = g.ringctl(ctx, append([]string{command[0], "--yes"}, command[1:]...)...)
		case command[0] != "replace" && g.rng.IntN(25) == 0 && !doc.Change.Canceled: // the replaced would need another empty disk
			g.counts("cancel")
			g.told("cancel the change")
			canceled = true
			g.ringctl(ctx, "cancel")
		case g.rng.IntN(25) == 0:
			g.counts("pause")
			g.told("pause the change, and resume it")
			g.ringctl(ctx, "pause")
			time.Sleep(time.Duration(g.rng.Int64N(int64(g.calm)))) // the operator's pause
			g.ringctl(ctx, "resume")
		case g.rng.IntN(25) == 0:
			g.counts("throttle")
			g.ringctl(ctx, "throttle", []string{"2MiB", "8MiB", "none"}[g.rng.IntN(3)])
		}
		if doc.Change != nil && doc.Change.Paused {
			g.ringctl(ctx, "resume") // a command that failed may have been carried out
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not end: epoch %d, change %+v; ringctl said last: %s", what, doc.Epoch, doc.Change, last)
		case <-time.After(200 * time.Millisecond): // the pause of a poll
		}
	}
}

// declare has the store keep the index that queries ask, while its objects are written.
func (g *changer) declare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	for {
		last, err := g.try(ctx, "index", "create", "--wait", "--prefix", queryPrefix, "--path", "*", "--field", "n", queryIndex)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("declare an index: %w: %s", err, last)
		}
	}
}

// ringctl runs a command and returns the last line of what it says. That it
// fails now and then is the weather; what counts is what the ring says.
func (g *changer) ringctl(ctx context.Context, args ...string) string {
	last, _ := g.try(ctx, args...)
	return last
}

// try is ringctl with its error, which it tells.
func (g *changer) try(ctx context.Context, args ...string) (last string, err error) {
	return g.tryOn(ctx, g.stage.cluster.File(), args...)
}

// tryOn does that on the cluster that a file describes.
func (g *changer) tryOn(ctx context.Context, file string, args ...string) (last string, err error) {
	cmd := exec.CommandContext(ctx, g.binary, append([]string{operatorTool}, args...)...)
	cmd.Env = append(os.Environ(), "ROSTERDB_DEV="+file)
	cmd.Dir = g.stage.dir
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		g.told(fmt.Sprintf("ringctl %s: %v: %s", strings.Join(args, " "), err, lines[len(lines)-1]))
	}
	return lines[len(lines)-1], err
}

// ring fetches the document, again and again if it must.
func (g *changer) ring(ctx context.Context) (*ring.Document, error) {
	var last error
	for ctx.Err() == nil {
		doc, err := g.ringOnce(ctx)
		if err == nil {
			return doc, nil
		}
		last = err
	}
	return nil, fmt.Errorf("fetch the ring: %w", errors.Join(last, context.Cause(ctx)))
}

func (g *changer) ringOnce(ctx context.Context) (*ring.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	info := g.stage.cluster.Info()
	cfg, err := info.Config("operator")
	if err != nil {
		return nil, err
	}
	op, err := admin.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer op.Close()
	return op.Ring(ctx)
}
