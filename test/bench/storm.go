package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

// stormTime bounds how long clients are waited for.
const stormTime = 90 * time.Second

// stormLimit is the time after which all but one in a hundred clients are back, in seconds.
const stormLimit = 10

// stormClients is how many clients have their stream at the server that is killed.
func (b *bench) stormClients() int {
	if b.o.quick {
		return 500
	}
	return 5000
}

// storms kills a server with all clients and measures when these are back at the others.
func (c *clusters) storms(ctx context.Context) error {
	var all samples
	for pass := range c.o.passes {
		for _, f := range c.fleets() {
			c.say(fmt.Sprintf("%d clients of %s, pass %d", c.stormClients(), f.name, pass+1))
			s, err := c.storm(ctx, f)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			all.add(f.name, []sample{s})
		}
	}
	p99, measured := middle(all.runs[ours], "p99_s")
	away, _ := middle(all.runs[ours], "away")
	c.bounds = append(c.bounds,
		bound{what: "clients of a killed server back, p99, s", got: p99, measured: measured, limit: stormLimit},
		bound{what: "clients of a killed server that are not back", got: away, measured: measured})
	fmt.Printf("\n%d clients of one server that is killed log in at the others, by SCRAM; medians, passes: %d; %s\n\n", c.stormClients(), c.o.passes, machine())
	return all.print([]column{
		{"back p50 s", "p50_s"},
		{"p99 s", "p99_s"},
		{"max s", "max_s"},
		{"not back", "away"},
		{"failed tries", "failed"},
		{"waited for their turn", "queued"},
		{"servers' CPU s", "cpu_s"},
		{"clients' CPU s", "client_cpu_s"},
		{"RSS MiB before", "before_mib"},
		{"RSS MiB at most", "most_mib"},
		{"others' chat p99 us", "others_p99_us"},
		{"others' messages lost", "others_lost"},
	})
}

// crowd is the clients of a server that is to be killed.
type crowd struct {
	mu     sync.Mutex
	up     int
	killed time.Time // zero: not yet
	back   []time.Duration
	failed int
	news   chan struct{} // one is logged in
}

// crowdClient is one of them.
type crowdClient struct{ *crowd }

func (c crowdClient) Up(conn *xmppconn.Conn) {
	_ = conn.Send([]byte("<presence/>")) // a stream that has ended is told by Down
	conn.Flush()
	c.mu.Lock()
	c.up++
	if !c.killed.IsZero() {
		c.back = append(c.back, time.Since(c.killed))
	}
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c crowdClient) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool { return st.Kind != stanza.IQ }
func (c crowdClient) Idle(*xmppconn.Conn)                             {}

func (c crowdClient) Down(error) {
	c.mu.Lock()
	c.up--
	c.mu.Unlock()
}

// await waits until so many are logged in and reports how many are not.
func (c *crowd) await(ctx context.Context, n int, within time.Duration) (away int, err error) {
	end := time.NewTimer(within)
	defer end.Stop()
	for {
		c.mu.Lock()
		away = n - c.up
		c.mu.Unlock()
		if away == 0 {
			return 0, nil
		}
		select {
		case <-c.news:
		case <-end.C:
			return away, nil
		case <-ctx.Done():
			return away, ctx.Err()
		}
	}
}

// join logs n clients in at the first of addrs; back they come by the others, half of them by each.
func (c *crowd) join(ctx context.Context, runs *sync.WaitGroup, last string, others []string, n int) error {
	slots := make(chan struct{}, loginsAtOnce)
	for i := range n {
		where := append([]string{last}, rotated(others, i)...)
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		one := &crowdEntry{crowdClient: crowdClient{c}, in: func() { <-slots }}
		runs.Go(func() {
			_ = xmppconn.Run(ctx, xmppconn.Config{ // it ends with the context's error
				JID: "u" + strconv.Itoa(i) + "@localhost", Password: "secret", Resource: "storm", Addrs: where,
				InsecurePlaintext: true, PingAfter: time.Hour, DeadAfter: 2 * time.Hour,
				DialTimeout: 30 * time.Second, // all clients compute on this machine, so each is slower than alone
				OnRetry:     func(error, time.Duration) { c.mu.Lock(); c.failed++; c.mu.Unlock() },
			}, one)
			one.once.Do(one.in)
		})
	}
	away, err := c.await(ctx, n, stormTime)
	if away > 0 {
		return errors.Join(err, fmt.Errorf("%d of %d clients can't log in at %s", away, n, last))
	}
	return err
}

// crowdEntry gives its place in the queue of logins away when it is in.
type crowdEntry struct {
	crowdClient
	once sync.Once
	in   func()
}

func (e *crowdEntry) Up(conn *xmppconn.Conn) {
	e.once.Do(e.in)
	e.crowdClient.Up(conn)
}

// rotated is a list that begins elsewhere.
func rotated(list []string, by int) []string {
	by %= len(list)
	return slices.Concat(list[by:], list[:by])
}

// storm is one pass at one cluster, of which all servers run afterwards.
func (c *clusters) storm(ctx context.Context, f *fleet) (s sample, err error) {
	n, last := c.stormClients(), f.members[len(f.members)-1]
	others := f.members[:len(f.members)-1]
	inner, end := context.WithCancel(ctx)
	var runs sync.WaitGroup
	cr := &crowd{news: make(chan struct{}, 1)}
	defer func() {
		end()
		runs.Wait()
		err = errors.Join(err, f.start(ctx))
	}()
	var addrs []string
	for _, m := range others {
		addrs = append(addrs, m.c2s)
	}
	if err := cr.join(inner, &runs, last.c2s, addrs, n); err != nil {
		return nil, err
	}
	chat := c.bystanders(ctx, others)
	time.Sleep(2 * time.Second) // of the chat before
	s = sample{"before_mib": rss(others), "queued": -queued(ctx, others)}
	cpu, own := cpuOf(others), selfCPU()
	cr.mu.Lock()
	cr.failed, cr.killed = 0, time.Now()
	cr.mu.Unlock()
	if err := last.kill(); err != nil {
		return nil, err
	}
	look := watchRSS(others)
	away, err := cr.await(inner, n, stormTime)
	s["most_mib"] = look()
	if err != nil {
		return nil, err
	}
	s["cpu_s"], s["client_cpu_s"], s["away"] = cpuOf(others)-cpu, selfCPU()-own, float64(away)
	s["queued"] = s["queued"].(float64) + queued(ctx, others)
	cr.tell(s, n)
	got := <-chat
	if got.err != nil {
		return nil, got.err
	}
	s["others_p99_us"], s["others_lost"] = got.sample["lat_p99_us"], got.sample["undelivered"]
	return s, nil
}

// tell puts down how long it took the clients. Each has failed once by losing its stream, which is no failed try.
func (c *crowd) tell(s sample, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.back)
	at := func(q float64) float64 {
		if len(c.back) == 0 {
			return stormTime.Seconds()
		}
		return c.back[min(len(c.back)-1, int(q*float64(len(c.back))))].Seconds()
	}
	s["p50_s"], s["p99_s"], s["max_s"] = at(.5), at(.99), at(1)
	s["failed"] = float64(max(0, c.failed-n))
}

// chatResult is what a ruler says that runs beside.
type chatResult struct {
	sample sample
	err    error
}

// bystanders have clients of other servers chat meanwhile, by another resource.
func (c *clusters) bystanders(ctx context.Context, at []*fleetMember) <-chan chatResult {
	result := make(chan chatResult, 1)
	span := "12s"
	if c.o.quick {
		span = "5s"
	}
	go func() {
		got, err := c.load(ctx, "xmppload", "-mode", "chat", "-users", "40", "-rate", "200", "-pairing", "cross", "-max-inflight", "10000",
			"-warmup", "1s", "-duration", span, "-drain", "20s", "-addr", addrs(at), "-pid", pidList(pidsOf(at)...))
		if err != nil {
			result <- chatResult{err: err}
			return
		}
		result <- chatResult{sample: got[0]}
	}()
	return result
}

func pidsOf(members []*fleetMember) (all []int) {
	for _, m := range members {
		all = append(all, m.pid())
	}
	return all
}

func rss(members []*fleetMember) (sum float64) {
	for _, m := range members {
		sum += harness.ProcMiB(m.pid(), "VmRSS:")
	}
	return sum
}

func cpuOf(members []*fleetMember) (sum float64) {
	for _, m := range members {
		sum += cpuSeconds(m.pid())
	}
	return sum
}

// queued counts logins that have had to wait for their turn; ejabberd has no such thing.
func queued(ctx context.Context, members []*fleetMember) (sum float64) {
	for _, m := range members {
		if m.http != "" {
			sum += m.metric(ctx, "xmppd_logins_queued_total")
		}
	}
	return sum
}

// watchRSS looks at the memory of servers until it is asked for the most that it has seen.
func watchRSS(members []*fleetMember) func() float64 {
	stop, most := make(chan struct{}), make(chan float64)
	go func() {
		seen := 0.0
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			seen = max(seen, rss(members))
			select {
			case <-tick.C:
			case <-stop:
				tick.Stop()
				most <- seen
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		return <-most
	}
}
