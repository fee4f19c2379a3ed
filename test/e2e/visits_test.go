package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

// guestsAt is how many accounts visit a server: enough that what belongs to them is led by all servers.
const guestsAt = 8

// guests are the accounts that visit two servers.
func guests() (users []string) {
	for i := range 2 * guestsAt {
		users = append(users, fmt.Sprint("guest", i))
	}
	return users
}

// visits are logins at one server, one after the other. Each reads its roster, changes it and writes to somebody at another server.
type visits struct {
	at    string            // the server
	users []xmppconn.Config // what they log in with, there
	to    string            // full JID, of who counts
	count func(body string) int

	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	made    int
	longest map[string]time.Duration // of each thing that is done
	err     error                    // with which it has ended
}

// visitsAt are those of users of one of Servers, who write to somebody.
func visitsAt(t *testing.T, at *harness.Member, users []string, to *harness.Ear) *visits {
	v := &visits{at: at.Name, to: to.JID, count: to.Count}
	for _, user := range users {
		v.users = append(v.users, xmppconn.Config{
			JID: user + "@" + harness.Domain, Password: harness.Password, Addrs: []string{at.Addr(t, "clients")}, InsecurePlaintext: true,
		})
	}
	return v
}

// begin goes on until end, or until something fails.
func (v *visits) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	v.stop, v.longest = cancel, make(map[string]time.Duration)
	v.wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			err := v.visit(n)
			v.mu.Lock()
			v.err = err
			v.made++
			v.mu.Unlock()
			if err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond) // the pace of guests
		}
	})
}

// more waits for so many more visits.
func (v *visits) more(t *testing.T, n int) {
	t.Helper()
	look := func() (int, error) {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.made, v.err
	}
	from, _ := look()
	harness.Eventually(t, 2*harness.Patience, fmt.Sprintf("%d more visits at %s", n, v.at), func() bool {
		made, err := look()
		return made >= from+n || err != nil
	})
}

// end tells how long things took, and fails if one did.
func (v *visits) end(t *testing.T) {
	t.Helper()
	v.stop()
	v.wg.Wait()
	var all []string
	for what, took := range v.longest {
		all = append(all, fmt.Sprint(what, " ", took.Round(time.Millisecond)))
	}
	slices.Sort(all)
	t.Logf("%d visits at %s, the longest: %s", v.made, v.at, strings.Join(all, ", "))
	if v.err != nil {
		t.Errorf("at %s: %v", v.at, v.err)
	}
}

// timed does something, and notes how long it took.
func (v *visits) timed(what string, do func() error) error {
	began := time.Now()
	err := do()
	took := time.Since(began)
	v.mu.Lock()
	v.longest[what] = max(v.longest[what], took)
	v.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s, after %v: %w", what, took, err)
	}
	return nil
}

// visit is one of them. Nothing of it is tried again, and each thing has harness.Patience.
func (v *visits) visit(n int) error {
	ctx, cancel := context.WithCancel(context.Background())
	g := &guest{up: make(chan *xmppconn.Conn, 1), failed: make(chan error, 1)}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	user, contact := v.users[n%len(v.users)], fmt.Sprintf("c%d@example.org", n%20)
	user.Resource, user.DialTimeout, user.OnRetry = "visit", harness.Patience, g.retry
	wg.Go(func() { _ = xmppconn.Run(ctx, user, g) }) // it ends with the context's error, or retry has heard of it
	return errors.Join(
		v.timed("login", g.arrive),
		v.timed("roster read", func() error { return g.ask("get", "<query xmlns='jabber:iq:roster'/>") }),
		v.timed("roster change", func() error {
			return g.ask("set", fmt.Sprintf("<query xmlns='jabber:iq:roster'><item jid='%s' name='%d'/></query>", contact, n))
		}),
		v.timed("chat", func() error { return g.write(v.to, fmt.Sprintf("<body>visit %d.</body>", n), v.count) }),
	)
}

// guest is a client of a visit.
type guest struct {
	iqs    xmppconn.IQs
	conn   *xmppconn.Conn // once it has arrived
	up     chan *xmppconn.Conn
	failed chan error
}

func (g *guest) Up(c *xmppconn.Conn) { g.up <- c }

func (g *guest) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	return g.iqs.Handle(st) || st.Kind != stanza.IQ
}

func (g *guest) Idle(*xmppconn.Conn) {}
func (g *guest) Down(error)          { g.iqs.Down() }

// retry hears that a login has failed, or its stream has ended.
func (g *guest) retry(err error, _ time.Duration) {
	select {
	case g.failed <- err:
	default:
	}
}

var errHangs = errors.New("there is no end of it")

func (g *guest) arrive() error {
	select {
	case g.conn = <-g.up:
		return nil
	case err := <-g.failed:
		return err
	case <-time.After(harness.Patience):
		return errHangs
	}
}

func (g *guest) ask(typ, payload string) error {
	if g.conn == nil {
		return errHangs
	}
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	_, err := g.iqs.Do(ctx, g.conn, "", typ, []byte(payload))
	return err
}

// write sends somebody a message and waits until it has come.
func (g *guest) write(to, body string, count func(string) int) error {
	if g.conn == nil {
		return errHangs
	}
	before := count(body)
	if err := g.conn.Send([]byte("<message type='chat' to='" + to + "'>" + body + "</message>")); err != nil {
		return err
	}
	g.conn.Flush()
	for end := time.Now().Add(harness.Patience); count(body) == before; time.Sleep(2 * time.Millisecond) { // between looks
		if time.Now().After(end) {
			return errHangs
		}
	}
	return nil
}
