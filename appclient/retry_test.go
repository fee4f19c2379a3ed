package appclient_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/op"
)

// script gives a fault to the first requests with operations of a kind.
type script struct {
	mu     sync.Mutex
	faults []appclienttest.Fault
	reads  bool
}

// warmUp writes once, so that the session is there, and then begins the script.
func (s *script) warmUp(t *testing.T, c *appclient.Client, faults []appclienttest.Fault) {
	t.Helper()
	if _, err := c.Root("r").Put(deadline(t), "warm", nil); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults
}

func (s *script) next(st appclienttest.Stanza) appclienttest.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads && st.Reads == 0 || !s.reads && st.Writes == 0 || len(s.faults) == 0 {
		return appclienttest.Fault{}
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f
}

// loses says whether a fault ends in a try that is not answered in time. Where
// none does, a short time for a try would only turn a slow machine into one.
func loses(f appclienttest.Fault) bool { return f.DropRequest || f.DropAnswer || f.Delay > 0 }

func quick(cfg *appclient.Config) { cfg.TryTimeout = 50 * time.Millisecond }

// putUnder makes a cluster in which the faults meet one write, and writes.
func putUnder(t testing.TB, f appclient.Faults, faults ...appclienttest.Fault) (cl *appclienttest.Cluster, c *appclient.Client, err error) {
	s := &script{faults: faults}
	cl = cluster(t, appclienttest.Options{Fault: s.next})
	cfg := cl.Config()
	if slices.ContainsFunc(faults, loses) {
		quick(&cfg)
	}
	c, err = appclient.DialWith(deadline(t), cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // never fails
	_, err = c.Root("r").Put(deadline(t), "p", []byte("v"))
	return cl, c, err
}

func TestWriteSurvives(t *testing.T) {
	type F = appclienttest.Fault
	for _, tc := range []struct {
		name   string
		faults []F
	}{
		{"a lost request", []F{{DropRequest: true}}},
		{"a lost answer", []F{{DropAnswer: true}}},
		{"three lost answers", []F{{DropAnswer: true}, {DropAnswer: true}, {DropAnswer: true}}},
		{"a doubled answer", []F{{DupAnswer: true}}},
		{"a late answer", []F{{Delay: 120 * time.Millisecond}}},
		{"answers later than each try", []F{{Delay: 120 * time.Millisecond}, {Delay: 120 * time.Millisecond}, {Delay: 120 * time.Millisecond}, {Delay: 120 * time.Millisecond}, {Delay: 120 * time.Millisecond}}},
		{"a receipt apart from its results", []F{{LateReceipt: true}}},
		{"a forged answer", []F{{ForeignFirst: true}}},
		{"redirects", []F{{Refuse: op.Redirect}, {Refuse: op.Redirect}, {Refuse: op.Redirect}, {Refuse: op.Redirect}}},
		{"no leader", []F{{Refuse: op.Unavailable}, {Refuse: op.Unavailable}, {Refuse: op.Unavailable}}},
		{"leadership lost after the write", []F{{ApplyAndSay: op.Retry}, {Refuse: op.Redirect}}},
		{"a bounce", []F{{Bounce: "service-unavailable"}, {Bounce: "recipient-unavailable"}}},
		{"an expired session", []F{{Refuse: op.SessionExpired}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cl, _, err := putUnder(t, appclient.Faults{}, tc.faults...)
			if err != nil {
				t.Error(err)
			}
			if n := len(cl.Applied()); n != 1 {
				t.Errorf("applied %d times", n)
			}
		})
	}
}

func TestNewSequenceOnRetryIsSeen(t *testing.T) {
	cl, _, err := putUnder(t, appclient.Faults{NewSeqOnRetry: true}, appclienttest.Fault{DropAnswer: true})
	if err != nil || len(cl.Applied()) == 1 {
		t.Errorf("a client that retries under a new sequence applied %d times, %v; the test cannot see double effects", len(cl.Applied()), err)
	}
}

// outcome says what a write's error claims happened.
func claims(err error) string {
	switch {
	case err == nil:
		return "applied"
	case errors.Is(err, appclient.ErrUnknownOutcome) && !errors.Is(err, appclient.ErrUnavailable):
		return "unknown"
	case errors.Is(err, appclient.ErrUnavailable) && !errors.Is(err, appclient.ErrUnknownOutcome):
		return "not applied"
	}
	return fmt.Sprint("nothing clear: ", err)
}

// outcome is what a client tells of a write that meets the faults until its
// time is up, and how often it was applied.
func outcome(t *testing.T, faults []appclienttest.Fault, within time.Duration) (claim string, applied int, err error) {
	s := &script{}
	cl := cluster(t, appclienttest.Options{Fault: s.next})
	c := dial(t, cl, func(cfg *appclient.Config) {
		if slices.ContainsFunc(faults, loses) {
			quick(cfg)
		}
	})
	s.warmUp(t, c, faults)
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, err = c.Root("r").Put(ctx, "p", []byte("v"))
	return claims(err), len(cl.Applied()) - 1, err
}

func TestOutcomes(t *testing.T) {
	type F = appclienttest.Fault
	many := func(f F) []F {
		var out []F
		for range 1000 {
			out = append(out, f)
		}
		return out
	}
	for _, tc := range []struct {
		name    string
		faults  []F
		want    string
		applied int
	}{
		{"requests vanish", many(F{DropRequest: true}), "unknown", 0},
		{"answers vanish", many(F{DropAnswer: true}), "unknown", 1},
		{"no leader", many(F{Refuse: op.Unavailable}), "not applied", 0},
		{"redirected for ever", many(F{Refuse: op.Redirect}), "not applied", 0},
		{"full", many(F{Refuse: op.Full}), "not applied", 0},
		{"full after a lost answer", append([]F{{DropAnswer: true}}, many(F{Refuse: op.Full})...), "unknown", 1},
		{"unavailable after a lost answer", append([]F{{DropAnswer: true}}, many(F{Refuse: op.Unavailable})...), "unknown", 1},
		{"leadership lost", many(F{ApplyAndSay: op.Retry}), "unknown", 1},
		{"below the floor", []F{{ApplyAndSay: op.Unknown}}, "unknown", 1},
		{"session expired after a lost answer", []F{{DropAnswer: true}, {Refuse: op.SessionExpired}}, "unknown", 1},
		{"bounces", many(F{Bounce: "service-unavailable"}), "unknown", 0},
		{"overloaded on its way", many(F{Bounce: "resource-constraint"}), "unknown", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			within := 400 * time.Millisecond
			got, applied, err := outcome(t, tc.faults, within)
			// The time was up while another try was on its way: that is unknown. Or it was up before anything came there.
			for try := 0; try < 20 && (got != tc.want || applied != tc.applied) && (got == "unknown" && applied <= tc.applied || got == "not applied" && applied == 0); try++ {
				within = min(2*within, 10*time.Second)
				got, applied, err = outcome(t, tc.faults, within)
			}
			if got != tc.want {
				t.Errorf("told %q, want %q: %v", got, tc.want, err)
			}
			if applied != tc.applied {
				t.Errorf("applied %d times, want %d", applied, tc.applied)
			}
		})
	}
}

func TestUnknownToldAsUnavailableIsSeen(t *testing.T) {
	s := &script{faults: []appclienttest.Fault{{DropAnswer: true}}}
	cl := cluster(t, appclienttest.Options{Fault: s.next})
	cfg := cl.Config()
	cfg.TryTimeout = time.Minute
	c, err := appclient.DialWith(deadline(t), cfg, appclient.Faults{UnknownAsUnavailable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // never fails
	ctx, giveUp := context.WithDeadline(context.Background(), time.Now().Add(time.Hour))
	go func() {
		for len(cl.Applied()) == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond) // the pause of a poll
		}
		giveUp()
	}()
	_, err = c.Root("r").Put(ctx, "p", nil)
	if claims(err) != "not applied" || len(cl.Applied()) != 1 {
		t.Errorf("a client that tells unknown as unavailable told %v of what was applied %d times; the tests cannot see the lie", err, len(cl.Applied()))
	}
}

func TestRefusals(t *testing.T) {
	type F = appclienttest.Fault
	for _, tc := range []struct {
		name  string
		fault F
		want  error
	}{
		{"denied", F{Refuse: op.Denied}, appclient.ErrDenied},
		{"invalid", F{Refuse: op.Invalid}, appclient.ErrInvalid},
		{"too large", F{Refuse: op.TooLarge}, appclient.ErrTooLarge},
		{"forbidden to talk to the node", F{Bounce: "forbidden"}, appclient.ErrDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cl, c, err := putUnder(t, appclient.Faults{}, tc.fault)
			if !errors.Is(err, tc.want) || errors.Is(err, appclient.ErrUnknownOutcome) {
				t.Errorf("Put: %v, want %v", err, tc.want)
			}
			if len(cl.Applied()) != 0 {
				t.Error("it was applied")
			}
			if _, err := c.Root("r").Put(deadline(t), "p", nil); err != nil {
				t.Errorf("the next Put: %v", err)
			}
		})
	}
}

// TestSessionsExpireUnderLoad forgets all sessions while writers write.
func TestSessionsExpireUnderLoad(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Partitions: 4})
	c := dial(t, cl, nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 100 {
				if _, err := c.Root(fmt.Sprint("root", i)).Put(deadline(t), fmt.Sprint(n), nil); err != nil {
					t.Error(err)
					return
				}
				if i == 0 && n%20 == 10 {
					cl.ExpireSessions()
				}
			}
		})
	}
	wg.Wait()
	if n := len(cl.Applied()); n != 800 {
		t.Errorf("applied %d of 800", n)
	}
}

// TestGivingUpLeavesNoHole lets many callers give up and the next succeed in
// the same session.
func TestGivingUpLeavesNoHole(t *testing.T) {
	s := &script{}
	for range 40 {
		s.faults = append(s.faults, appclienttest.Fault{DropRequest: true})
	}
	cl := cluster(t, appclienttest.Options{Fault: s.next})
	c := dial(t, cl, quick)
	var wg sync.WaitGroup
	for i := range 1500 { // nearly three windows
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(50+i%50)*time.Millisecond)
			defer cancel()
			if _, err := c.Root("r").Put(ctx, fmt.Sprint(i), nil); claims(err) != "applied" && claims(err) != "unknown" && claims(err) != "not applied" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s.mu.Lock()
	s.faults = nil
	s.mu.Unlock()
	if _, err := c.Root("r").Put(deadline(t), "last", nil); err != nil {
		t.Error(err)
	}
}

func TestNoOneOnline(t *testing.T) {
	cl := cluster(t, appclienttest.Options{})
	c := dial(t, cl, quick)
	for i := range cl.Nodes() {
		cl.SetOnline(i, false)
	}
	until(t, "offline nodes", func() bool { return c.Stats().Nodes == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Root("r").Put(ctx, "p", nil); claims(err) != "not applied" {
		t.Errorf("Put with no node: %v", err)
	}
}

// TestErrorsSayWhy: an operation that ends for want of a leader or of a majority
// says so, also when it never left because its session could not be opened.
func TestErrorsSayWhy(t *testing.T) {
	for _, tc := range []struct {
		name    string
		offline int // nodes
		refuse  op.Code
		want    string
	}{
		{"no leader", 0, op.Redirect, "no leader of the partition"},
		{"unavailable", 0, op.Unavailable, "answered: it is not available"},
		{"no majority", 2, op.Unavailable, "lost its majority and so its leader: 1 of its 3 replicas available, and not there: dn1@localhost, dn2@localhost; dn3@localhost/store answered"},
		{"nobody", 3, op.OK, "is available: dn1@localhost, dn2@localhost, dn3@localhost"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cl := cluster(t, appclienttest.Options{Fault: func(appclienttest.Stanza) appclienttest.Fault {
				return appclienttest.Fault{Refuse: tc.refuse, NoHint: true}
			}})
			c := dial(t, cl, nil)
			for i := range tc.offline {
				cl.SetOnline(i, false)
			}
			until(t, "nodes offline", func() bool { return c.Stats().Nodes == 3-tc.offline })
			err := untilSays(tc.want, func(ctx context.Context) error {
				_, err := c.Root("r").Put(ctx, "p", nil)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "the write was not applied") || strings.Contains(err.Error(), "session") {
				t.Errorf("Put: %v, want it to say %q", err, tc.want)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer cancel()
			if _, err = c.Root("r").Get(ctx, "p"); err == nil || strings.Contains(err.Error(), "applied") {
				t.Errorf("Get: %v", err)
			}
		})
	}
}

// untilSays gives something that can't succeed more time until its error says what has to be known first: a slow machine
// needs more of it. It returns the last error.
func untilSays(want string, do func(context.Context) error) (err error) {
	for within := 2 * time.Second; within < time.Minute; within *= 2 {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		err = do(ctx)
		cancel()
		if err == nil || strings.Contains(err.Error(), want) {
			break
		}
	}
	return err
}

func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never saw %s", what)
		}
	}
}

func TestFailOverByPresence(t *testing.T) {
	var once sync.Once
	var cl *appclienttest.Cluster
	there := make(chan struct{}) // cl is
	cl = cluster(t, appclienttest.Options{Fault: func(st appclienttest.Stanza) (f appclienttest.Fault) {
		if st.Writes > 0 {
			once.Do(func() {
				f.DropRequest = true
				f.Then = func() {
					<-there
					for i, jid := range cl.Nodes() {
						if jid == st.Node {
							cl.SetOnline(i, false)
						}
					}
				}
			})
		}
		return f
	}})
	close(there)
	c := dial(t, cl, func(cfg *appclient.Config) { cfg.TryTimeout = time.Hour })
	if _, err := c.Root("r").Put(deadline(t), "p", []byte("v")); err != nil {
		t.Errorf("the news that the leader is gone did not start a retry: %v", err)
	}
}

func TestReconnectInTheMiddle(t *testing.T) {
	cl := cluster(t, appclienttest.Options{})
	c := dial(t, cl, quick)
	var stop atomic.Bool
	var wg sync.WaitGroup
	var acknowledged atomic.Int64
	for i := range 4 {
		wg.Go(func() {
			r := c.Root(fmt.Sprint("root", i))
			for !stop.Load() {
				if _, err := r.Put(deadline(t), "p", []byte("v")); err != nil {
					t.Error(err)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	for n := range 3 {
		have := acknowledged.Load()
		until(t, "more writes", func() bool { return acknowledged.Load() > have+50 || t.Failed() })
		cl.DropStreams()
		until(t, "another login", func() bool { return c.Stats().Logins >= uint64(n+2) })
	}
	stop.Store(true)
	wg.Wait()
	if got, want := len(cl.Applied()), int(acknowledged.Load()); got != want {
		t.Errorf("%d writes acknowledged, %d applied", want, got)
	}
}

func TestNewRingIsLearned(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Nodes: 5})
	c := dial(t, cl, quick)
	r := c.Root("r")
	if _, err := r.Put(deadline(t), "p", nil); err != nil {
		t.Fatal(err)
	}
	before := c.Where("r").Leader
	cl.Move()
	if _, err := r.Put(deadline(t), "p", nil); err != nil {
		t.Fatal(err)
	}
	until(t, "the new epoch", func() bool { return c.Stats().Epoch == 2 })
	if after := c.Where("r").Leader; after == before {
		t.Errorf("still asks %s first", after)
	}
}

func TestReadsSurvive(t *testing.T) {
	type F = appclienttest.Fault
	s := &script{reads: true}
	cl := cluster(t, appclienttest.Options{Fault: s.next})
	c := dial(t, cl, quick)
	if _, err := c.Root("r").Put(deadline(t), "p", []byte("v")); err != nil {
		t.Fatal(err)
	}
	for _, f := range []F{{}, {DropRequest: true}, {DropAnswer: true}, {DupAnswer: true}, {Delay: 120 * time.Millisecond}, {Refuse: op.Redirect}, {Refuse: op.Unavailable}, {Refuse: op.Retry}, {Bounce: "service-unavailable"}, {ForeignFirst: true}} {
		s.mu.Lock()
		s.faults = []F{f, f}
		s.mu.Unlock()
		if o, err := c.Root("r").Get(deadline(t), "p"); err != nil || string(o.Value) != "v" {
			t.Errorf("Get under %+v: %v, %v", f, o, err)
		}
	}
}

// heldUp loses the first write of a session and lets n others pass it.
func heldUp(t *testing.T, n int, f appclient.Faults) (applied int, errs []error) {
	s := &script{faults: []appclienttest.Fault{{DropRequest: true}}}
	cl := cluster(t, appclienttest.Options{Fault: s.next})
	cfg := cl.Config()
	cfg.TryTimeout = 200 * time.Millisecond
	c, err := appclient.DialWith(deadline(t), cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // never fails
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := c.Root("r").Put(deadline(t), fmt.Sprint("p", i), nil); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return len(cl.Applied()), errs
}

func TestWindow(t *testing.T) {
	if applied, errs := heldUp(t, 2000, appclient.Faults{}); applied != 2000 || len(errs) > 0 {
		t.Errorf("applied %d of 2000; errors %v", applied, errs)
	}
}

func TestFloorBugIsSeen(t *testing.T) {
	if _, errs := heldUp(t, 2000, appclient.Faults{FloorPassesLive: true}); len(errs) == 0 {
		t.Error("a floor that passes what is not settled does no harm that the test can see")
	}
}
