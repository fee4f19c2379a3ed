package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
)

const (
	// cutMargin is how far ahead of the highest log time a cut is put, so that
	// all nodes hear of it in time; doubled for each further try.
	cutMargin = 2 * time.Second
	cutTries  = 4
	// cutPatience is how long partitions may take to reach the cut, beyond the margin.
	cutPatience = 30 * time.Second
	// pagePatience is how long a page is asked for again before the export is given
	// up: less than the node's patience with us.
	pagePatience = 45 * time.Second
)

// errMissed says that the cut was too early for some partition.
var errMissed = errors.New("partitions had passed the cut")

// errLeaderless says that some partition has nobody who could make its part.
var errLeaderless = errors.New("without a leader")

// Exporter is a cut of all partitions that the nodes hold. Close it.
type Exporter struct {
	Time int64          // log time of the cut, milliseconds since 1970
	Ring *ring.Document // when it was made
	// Astray are partitions as of now, not of the cut: their log time is Ahead of the
	// nodes' clocks, for a clock was wrong once.
	Astray []uint32
	Ahead  time.Duration

	mu    sync.Mutex // guards Astray while the cut is made
	c     *Client
	id    string
	parts map[string][]uint32 // partitions by the full JID of the node that holds the picture
}

// Export has the data nodes keep the state of all partitions as of one log time.
// It takes a few seconds, or a minute and more while leaderships move: waits is then
// called once, with why. Errors: ErrNotOperator; a partition without a leader; a node
// that has two exports under way.
func (c *Client) Export(ctx context.Context, waits func(why string)) (*Exporter, error) {
	margin := cutMargin
	var told sync.Once
	tell := func(why string) { told.Do(func() { waits(why) }) }
	for try := 1; ; try++ {
		x, err := c.cut(ctx, margin, tell)
		leaderless := errors.Is(err, errLeaderless)
		if err == nil || !leaderless && !errors.Is(err, errMissed) || try == cutTries {
			return x, err
		}
		if leaderless {
			tell("partitions are without a leader")
		} else {
			tell("leaderships have moved")
		}
		select { // leaders may be about to be elected
		case <-time.After(margin / 2):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		margin *= 2
	}
}

func (c *Client) cut(ctx context.Context, margin time.Duration, waits func(why string)) (*Exporter, error) {
	doc, err := c.Ring(ctx)
	if err != nil {
		return nil, err
	}
	if doc.Change != nil {
		waits("a change of the ring is under way")
	}
	x := &Exporter{Ring: doc, c: c, id: uuid.NewString()}
	var times, clocks []int64
	if x.parts, times, clocks, err = c.leaderships(ctx, doc); err != nil {
		return nil, err
	}
	highest, ahead := aheadOf(times, clocks)
	if x.Ahead = time.Duration(ahead) * time.Millisecond; x.Ahead > aheadMost {
		highest -= ahead
	}
	x.Time = highest + margin.Milliseconds()
	ctx, cancel := context.WithTimeoutCause(ctx, margin+cutPatience, fmt.Errorf("%w: some did not reach it in %v", errMissed, margin+cutPatience))
	defer cancel()
	err = x.each(func(jid string, parts []uint32) error { return x.begin(ctx, jid, parts) })
	if err != nil {
		x.Close()
		return nil, err
	}
	return x, nil
}

// leaderships tells which partitions each node leads, and the nodes' log times and clocks.
func (c *Client) leaderships(ctx context.Context, doc *ring.Document) (led map[string][]uint32, times, clocks []int64, err error) {
	leaders, terms := make(map[uint32]string), make(map[uint32]uint64)
	var silent []string
	for _, m := range doc.Members {
		var s NodeStatus
		err := c.ask(ctx, m.JID, "get", adminxml.CmdStatus, adminxml.WithLeaders, &s)
		if isCondition(err, "forbidden") {
			return nil, nil, nil, fmt.Errorf("%w: %w", ErrNotOperator, err)
		}
		if err != nil {
			node, _, _ := strings.Cut(m.JID, "@")
			silent = append(silent, node) // its partitions have other leaders, or are missed below
			continue
		}
		times, clocks = append(times, s.Time), append(clocks, s.Clock)
		for _, l := range s.Leaders {
			if p := uint32(l[0]); l[1] == m.ID && l[2] >= terms[p] {
				leaders[p], terms[p] = m.JID, l[2]
			}
		}
	}
	parts := make(map[string][]uint32)
	var missing []uint32
	for p := range uint32(doc.Partitions) {
		if jid, ok := leaders[p]; ok {
			parts[jid] = append(parts[jid], p)
		} else {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		return nil, nil, nil, leaderless(missing, doc.Partitions, silent)
	}
	return parts, times, clocks, nil
}

// aheadMost is how far log time may be ahead of the clocks for a cut to wait for the
// partitions that are not.
const aheadMost = 30 * time.Second

// aheadOf is how far the highest of the log times is ahead of what most of the clocks
// say, in milliseconds. Clocks of 0 are not told.
func aheadOf(times, clocks []int64) (highest, ahead int64) {
	told := slices.DeleteFunc(slices.Clone(clocks), func(c int64) bool { return c == 0 })
	if len(times) == 0 {
		return 0, 0
	}
	if highest = slices.Max(times); len(told) == 0 {
		return highest, 0
	}
	slices.Sort(told)
	return highest, max(0, highest-told[len(told)/2])
}

// leaderless names partitions without a leader, a few if there are many, and the
// nodes that do not answer.
func leaderless(missing []uint32, partitions int, silent []string) error {
	const few = 5
	which := strings.Trim(fmt.Sprint(missing[:min(len(missing), few)]), "[]")
	if len(missing) > few {
		which += " …"
	}
	todo := "wait until `ringctl status` says that all have one"
	if len(silent) > 0 {
		todo = "down or cut off: " + strings.Join(silent, ", ") + "; start them"
	}
	return fmt.Errorf("%d of %d partitions (%s) are %w; %s", len(missing), partitions, which, errLeaderless, todo)
}

// each does something with all nodes at once.
func (x *Exporter) each(do func(jid string, parts []uint32) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for jid, parts := range x.parts {
		wg.Go(func() {
			if err := do(jid, parts); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (x *Exporter) begin(ctx context.Context, jid string, parts []uint32) error {
	q := adminxml.ExportRequest{Do: adminxml.ExportBegin, Time: x.Time, Partitions: parts}
	for {
		a, err := x.ask(ctx, jid, q)
		if err != nil {
			return err
		}
		for p, why := range a.Failed {
			return fmt.Errorf("%w: partition %d at %s: %s", errMissed, p, jid, why)
		}
		if a.Waiting == 0 {
			x.mu.Lock()
			x.Astray = append(x.Astray, a.Astray...)
			x.mu.Unlock()
			return nil
		}
		q = adminxml.ExportRequest{Do: adminxml.ExportPoll}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ask asks again when no answer comes: all questions may be asked twice.
func (x *Exporter) ask(ctx context.Context, jid string, q adminxml.ExportRequest) (a adminxml.ExportAnswer, err error) {
	q.ID = x.id
	arg, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	patience, cancel := context.WithTimeout(ctx, pagePatience)
	defer cancel()
	for {
		a = adminxml.ExportAnswer{}
		err = x.c.ask(patience, jid, "get", adminxml.CmdExport, string(arg), &a)
		var told *xmppconn.StanzaError
		if err == nil || errors.As(err, &told) && told.Condition != "resource-constraint" {
			return a, err
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-patience.Done():
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return a, err
		}
	}
}

// Objects calls visit with all objects of the cut, in order within each partition,
// one partition of a node after the other and all nodes at once; visit is called
// by one goroutine at a time. done is called after each partition.
func (x *Exporter) Objects(ctx context.Context, visit func(*adminxml.Piece) error, done func(partition uint32)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	return x.each(func(jid string, parts []uint32) error {
		for _, p := range parts {
			err := x.partition(ctx, jid, p, func(objects []adminxml.Piece) error {
				mu.Lock()
				defer mu.Unlock()
				for i := range objects {
					if err := visit(&objects[i]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				cancel(err) // the others need not go on
				return fmt.Errorf("export partition %d from %s: %w", p, jid, err)
			}
			mu.Lock()
			done(p)
			mu.Unlock()
		}
		return nil
	})
}

// partition reads one partition's pages and puts pieces together.
func (x *Exporter) partition(ctx context.Context, jid string, p uint32, take func([]adminxml.Piece) error) error {
	q := adminxml.ExportRequest{Do: adminxml.ExportPage, Partition: &p}
	var open *adminxml.Piece
	for {
		a, err := x.ask(ctx, jid, q)
		if err != nil {
			return err
		}
		whole := a.Objects[:0]
		for i := range a.Objects {
			o := a.Objects[i]
			if open != nil {
				open.Value, open.Refs, open.Part = append(open.Value, o.Value...), append(open.Refs, o.Refs...), o.Part
				o = *open
			}
			if open = nil; o.Part {
				open = &o
				continue
			}
			whole = append(whole, o)
		}
		if err := take(whole); err != nil {
			return err
		}
		if a.Next == nil {
			break
		}
		q.From = a.Next
	}
	_, err := x.ask(ctx, jid, adminxml.ExportRequest{Do: adminxml.ExportEnd, Partition: &p})
	return err
}

// Close gives the pictures back.
func (x *Exporter) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	// A node that does not hear of it gives them up by itself.
	_ = x.each(func(jid string, _ []uint32) error {
		_, err := x.ask(ctx, jid, adminxml.ExportRequest{Do: adminxml.ExportEnd})
		return err
	})
}
