package xmppconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a Handler that notes what happens.
type recorder struct {
	mu      sync.Mutex
	up      []*Conn
	got     []string
	down    []error
	retries []error
	iqs     IQs
	claim   func(st *stanza.Stanza) bool
	changed chan struct{}
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{}, 1)} }

func (r *recorder) note(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *recorder) Up(c *Conn) { r.note(func() { r.up = append(r.up, c) }) }
func (r *recorder) Down(err error) {
	r.iqs.Down()
	r.note(func() { r.down = append(r.down, err) })
}
func (r *recorder) Idle(*Conn) {}

func (r *recorder) Stanza(_ *Conn, st *stanza.Stanza) bool {
	if r.iqs.Handle(st) {
		return true
	}
	r.note(func() { r.got = append(r.got, string(st.Raw)) })
	return r.claim != nil && r.claim(st)
}

// until waits for a condition over the notes.
func (r *recorder) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		r.mu.Lock()
		ok := cond()
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.changed:
		case <-deadline:
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Fatalf("never saw %s; up %d, got %q, down %v, retries %v", what, len(r.up), r.got, r.down, r.retries)
		}
	}
}

func (r *recorder) conn() *Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up[len(r.up)-1]
}

// firstDown is why the first stream ended; nil if it has not. Others may end meanwhile.
func (r *recorder) firstDown() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.down) == 0 {
		return nil
	}
	return r.down[0]
}

// start runs a client against the server; the returned function ends it and
// gives Run's error.
func start(t *testing.T, s *xmppconntest.Server, cfg Config, r *recorder) (stop func() error) {
	t.Helper()
	if cfg.JID == "" {
		cfg.JID = "ann@localhost"
	}
	if cfg.Password == "" {
		cfg.Password = "secret"
	}
	cfg.Addrs = []string{s.Addr()}
	cfg.OnRetry = func(err error, _ time.Duration) { r.note(func() { r.retries = append(r.retries, err) }) }
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- Run(ctx, cfg, r) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { stop() }) //nolint:errcheck // the test looks at it if it cares
	return stop
}

func serve(t *testing.T, opt xmppconntest.Options) *xmppconntest.Server {
	t.Helper()
	s, err := xmppconntest.Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func echo(s *xmppconntest.Session, st *stanza.Stanza) {
	if st.Kind == stanza.Message {
		s.Send(bytes.Clone(st.Raw))
	}
}

func TestLogin(t *testing.T) {
	accounts := map[string]string{"ann": "secret"}
	for _, tc := range []struct {
		name string
		opt  xmppconntest.Options
		cfg  Config
	}{
		{"STARTTLS and channel binding", xmppconntest.Options{TLS: true, Mechanisms: []string{"SCRAM-SHA-256-PLUS"}}, Config{}},
		{"STARTTLS", xmppconntest.Options{TLS: true, Mechanisms: []string{"SCRAM-SHA-256"}}, Config{}},
		{"direct TLS and channel binding", xmppconntest.Options{DirectTLS: true}, Config{DirectTLS: true}},
		{"plaintext, SCRAM", xmppconntest.Options{}, Config{InsecurePlaintext: true}},
		{"plaintext, PLAIN", xmppconntest.Options{Mechanisms: []string{"PLAIN"}}, Config{InsecurePlaintext: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.opt.Accounts, tc.opt.Stanza = accounts, echo
			s := serve(t, tc.opt)
			r := newRecorder()
			tc.cfg.Resource = "store"
			tc.cfg.TLS = &tls.Config{RootCAs: s.Roots}
			stop := start(t, s, tc.cfg, r)
			r.until(t, "login", func() bool { return len(r.up) == 1 })
			c := r.conn()
			if got, want := c.JID(), "ann@localhost/store"; got != want {
				t.Errorf("bound %q, want %q", got, want)
			}
			if err := c.Send([]byte("<message id='1'><body>x</body></message>")); err != nil {
				t.Fatal(err)
			}
			r.until(t, "echo", func() bool { return len(r.got) == 1 })
			if err := stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if err := c.Send([]byte("<message/>")); !errors.Is(err, ErrClosed) {
				t.Errorf("Send after the end: %v, want ErrClosed", err)
			}
		})
	}
}

func TestFatal(t *testing.T) {
	accounts := map[string]string{"ann": "secret"}
	for _, tc := range []struct {
		name string
		opt  xmppconntest.Options
		cfg  Config
		want error
		says string
	}{
		{"wrong password", xmppconntest.Options{}, Config{Password: "wrong", InsecurePlaintext: true}, ErrAuth, "not-authorized"},
		{"wrong CA", xmppconntest.Options{TLS: true}, Config{}, ErrPolicy, "give the CA certificate"},
		{"wrong CA, direct TLS", xmppconntest.Options{DirectTLS: true}, Config{DirectTLS: true}, ErrPolicy, "give the CA certificate"},
		{"direct TLS to a port without", xmppconntest.Options{}, Config{DirectTLS: true}, ErrPolicy, "STARTTLS"},
		{"no account in the JID", xmppconntest.Options{}, Config{JID: "localhost", InsecurePlaintext: true}, ErrPolicy, "user@domain"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.opt.Accounts = accounts
			s := serve(t, tc.opt)
			if tc.cfg.JID == "" {
				tc.cfg.JID = "ann@localhost"
			}
			if tc.cfg.Password == "" {
				tc.cfg.Password = "secret"
			}
			tc.cfg.Addrs = []string{s.Addr()}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			err := Run(ctx, tc.cfg, newRecorder())
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.says) {
				t.Errorf("Run: %v; want %v saying %q", err, tc.want, tc.says)
			}
		})
	}
}

func TestWrongDomainOfCertificate(t *testing.T) {
	s := serve(t, xmppconntest.Options{DirectTLS: true, Domain: "other.example"})
	err := Run(t.Context(), Config{JID: "ann@localhost", Password: "x", DirectTLS: true, Addrs: []string{s.Addr()}, TLS: &tls.Config{RootCAs: s.Roots}}, newRecorder())
	if !errors.Is(err, ErrPolicy) {
		t.Errorf("Run: %v, want ErrPolicy", err)
	}
}

func TestReconnects(t *testing.T) {
	s := serve(t, xmppconntest.Options{})
	r := newRecorder()
	start(t, s, Config{InsecurePlaintext: true}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	s.Drop()
	r.until(t, "second login", func() bool { return len(r.up) == 2 && len(r.down) == 1 })
}

func TestDeadPeer(t *testing.T) {
	s := serve(t, xmppconntest.Options{}) // answers nothing, not even pings
	r := newRecorder()
	start(t, s, Config{InsecurePlaintext: true, PingAfter: 20 * time.Millisecond, DeadAfter: 80 * time.Millisecond}, r)
	r.until(t, "the end of the silent stream and another login", func() bool { return len(r.up) >= 2 })
	if err := r.firstDown(); !errors.Is(err, errDead) {
		t.Errorf("Down(%v), want errDead", err)
	}
}

func TestPingKeepsSilentStream(t *testing.T) {
	var mu sync.Mutex
	pings := 0
	s := serve(t, xmppconntest.Options{Stanza: func(s *xmppconntest.Session, st *stanza.Stanza) {
		mu.Lock()
		pings++
		mu.Unlock()
		s.Send(stanza.AppendIQResult(nil, st, nil))
	}})
	r := newRecorder()
	start(t, s, Config{InsecurePlaintext: true, PingAfter: 20 * time.Millisecond, DeadAfter: time.Minute}, r)
	poll(t, "20 pings", func() bool { mu.Lock(); defer mu.Unlock(); return pings >= 20 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.up) != 1 || len(r.got) != 0 {
		t.Errorf("%d logins and %q handed on; want 1 and nothing", len(r.up), r.got)
	}
}

func poll(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never saw %s", what)
		}
	}
}

func TestAnswersOwedToAll(t *testing.T) {
	answers := make(chan string, 10)
	s := serve(t, xmppconntest.Options{
		Login: func(s *xmppconntest.Session) {
			s.Send([]byte(`<iq type='get' from='bob@localhost/x' to='ann@localhost/a' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>` +
				`<iq type='set' from='bob@localhost/x' to='ann@localhost/a' id='u1'><what xmlns='urn:example'/></iq>` +
				`<message from='bob@localhost/x'><body>unasked</body></message>`))
		},
		Stanza: func(_ *xmppconntest.Session, st *stanza.Stanza) { answers <- string(st.Raw) },
	})
	start(t, s, Config{InsecurePlaintext: true}, newRecorder())
	for _, want := range [][]string{
		{"result", "p1", "bob@localhost/x"},
		{"error", "u1", "bob@localhost/x", "service-unavailable"},
	} {
		select {
		case got := <-answers:
			for _, w := range want {
				if !strings.Contains(got, w) {
					t.Errorf("answer %s lacks %q", got, w)
				}
			}
		case <-time.After(time.Minute):
			t.Fatalf("no answer with %q", want)
		}
	}
}

func TestManySenders(t *testing.T) {
	send := func(c *Conn, m []byte) error { return c.Send(m) }
	queue := func(c *Conn, m []byte) error {
		defer c.Push()
		return c.Queue(m)
	}
	compose := func(c *Conn, m []byte) error {
		defer c.Push()
		return c.Compose(len(m)+10, func(dst []byte) []byte { return append(dst, m...) })
	}
	t.Run("plain, Compose", func(t *testing.T) { manySenders(t, false, compose) })
	t.Run("TLS", func(t *testing.T) { manySenders(t, true, send) })
	t.Run("TLS, Push", func(t *testing.T) { manySenders(t, true, queue) })
	t.Run("plain", func(t *testing.T) { manySenders(t, false, send) })
	t.Run("plain, Push", func(t *testing.T) { manySenders(t, false, queue) })
}

// manySenders send more than the sockets take at once.
func manySenders(t *testing.T, withTLS bool, send func(*Conn, []byte) error) {
	const senders, each = 8, 500
	s := serve(t, xmppconntest.Options{TLS: withTLS, Stanza: echo})
	r := newRecorder()
	stop := start(t, s, Config{TLS: &tls.Config{RootCAs: s.Roots}, InsecurePlaintext: !withTLS}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	c := r.conn()
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				m := fmt.Sprintf("<message id='%d-%d'><body>%s</body></message>", i, n, strings.Repeat("x", 2*n))
				if err := send(c, []byte(m)); err != nil {
					t.Errorf("send: %v", err)
				}
			}
		})
	}
	wg.Wait()
	r.until(t, "all echoes", func() bool { return len(r.got) == senders*each })
	next := make(map[string]int)
	for _, m := range r.got {
		var from string
		var n int
		id, _, _ := strings.Cut(strings.TrimPrefix(m, "<message id='"), "'")
		from, num, _ := strings.Cut(id, "-")
		fmt.Sscan(num, &n) //nolint:errcheck // checked by the comparison
		if n != next[from] {
			t.Fatalf("sender %s: got %d, want %d: lost or out of order", from, n, next[from])
		}
		next[from]++
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestOverflow(t *testing.T) {
	block := make(chan struct{})
	s := serve(t, xmppconntest.Options{Login: func(*xmppconntest.Session) { <-block }})
	defer close(block)
	r := newRecorder()
	start(t, s, Config{InsecurePlaintext: true, MaxQueue: 1 << 20}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	big := []byte("<message><body>" + strings.Repeat("x", 100<<10) + "</body></message>")
	for i := range 1000 {
		err := r.conn().Compose(len(big), func(dst []byte) []byte { return append(dst, big...) })
		if i%2 == 0 && err == nil {
			err = r.conn().Send(big)
		}
		if errors.Is(err, ErrOverflow) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("100 MB queued for a server that does not read; the limit is 1 MiB")
}

func TestQueuedBytesLeaveBeforeTheEnd(t *testing.T) {
	got := make(chan string, 10)
	s := serve(t, xmppconntest.Options{Stanza: func(_ *xmppconntest.Session, st *stanza.Stanza) { got <- string(st.Raw) }})
	r := newRecorder()
	stop := start(t, s, Config{InsecurePlaintext: true}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	if err := r.conn().Send([]byte("<presence type='unavailable'/>")); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case st := <-got:
		if !strings.Contains(st, "unavailable") {
			t.Errorf("server got %s", st)
		}
	case <-time.After(time.Minute):
		t.Error("what was sent before the end did not arrive")
	}
}

func TestMalformedFromServer(t *testing.T) {
	s := serve(t, xmppconntest.Options{Login: func(s *xmppconntest.Session) { s.Send([]byte("<message></wrong>")) }})
	r := newRecorder()
	start(t, s, Config{InsecurePlaintext: true}, r)
	r.until(t, "the end of the malformed stream", func() bool { return len(r.down) >= 1 })
	var e *stanza.Error
	if err := r.firstDown(); !errors.As(err, &e) {
		t.Errorf("Down(%v), want the scanner's error", err)
	}
}

func TestPause(t *testing.T) {
	for n := range 12 {
		lo, hi := pause(n, 0), pause(n, 1)
		if bound := min(100*time.Millisecond<<n, 5*time.Second); lo != 0 || hi != bound {
			t.Errorf("pause %d: %v to %v", n, lo, hi)
		}
	}
}

// TestStanzasLargerThanTheBuffer sends stanzas that fill the read buffer in
// every possible way.
func TestStanzasLargerThanTheBuffer(t *testing.T) {
	s := serve(t, xmppconntest.Options{Stanza: echo})
	r := newRecorder()
	start(t, s, Config{InsecurePlaintext: true}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	var want []string
	for i, n := range []int{10, readBuffer - 20, readBuffer, 5, readBuffer * 3, 200 << 10, 7, readBuffer / 2, readBuffer / 2, readBuffer / 3, 250 << 10, 1} {
		want = append(want, fmt.Sprintf("<message id='%d'><body>%s</body></message>", i, strings.Repeat("x", n)))
		if err := r.conn().Send([]byte(want[i])); err != nil {
			t.Fatal(err)
		}
	}
	r.until(t, "all echoes", func() bool { return len(r.got) == len(want) })
	for i := range want {
		if r.got[i] != want[i] {
			t.Errorf("stanza %d of %d bytes came back as %d bytes", i, len(want[i]), len(r.got[i]))
		}
	}
}

// TestTakesWhatServersPassOn: a stanza of the size, depth and number of attributes that a server allows
// its clients comes with the server's additions. The stream must live on; with the planted mistake it ends.
func TestTakesWhatServersPassOn(t *testing.T) {
	var attrs strings.Builder
	for i := range stanza.DefaultMaxAttrs {
		fmt.Fprintf(&attrs, " a%d=''", i)
	}
	deep := strings.Repeat("<x>", stanza.DefaultMaxDepth-1) + strings.Repeat("</x>", stanza.DefaultMaxDepth-1)
	for name, st := range map[string]string{
		"bytes":      "<message><body>" + strings.Repeat("x", stanza.DefaultMaxStanza-len("<message><body></body></message>")) + "</body></message>",
		"attributes": "<message" + attrs.String() + "/>",
		"depth":      "<message>" + deep + "</message>",
	} {
		passed := "<message from='somebody@localhost/somewhere'" + strings.TrimPrefix(st, "<message")
		if name == "depth" { // carried in another, as copies (XEP-0280) and pages of an archive (XEP-0313) are
			passed = "<message><sent><forwarded>" + st + "</forwarded></sent></message>"
		}
		for _, planted := range []bool{false, true} {
			s := serve(t, xmppconntest.Options{Login: func(s *xmppconntest.Session) { s.Send([]byte(passed)) }})
			r := newRecorder()
			start(t, s, Config{InsecurePlaintext: true, faults: faults{ownLimits: planted}}, r)
			r.until(t, "the stanza or the stream's end", func() bool { return len(r.got)+len(r.down) > 0 })
			if err := r.firstDown(); (err != nil) != planted {
				t.Errorf("%s, planted mistake %v: ended: %v", name, planted, err)
			}
		}
	}
}

// filling is a Handler that bundles by itself.
type filling struct {
	*recorder
	mu      sync.Mutex
	waiting int
}

func (f *filling) Fill(_ *Conn, b []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ; f.waiting > 0; f.waiting-- {
		b = append(b, "<message><body>filled</body></message>"...)
	}
	return b
}

func TestFiller(t *testing.T) {
	s := serve(t, xmppconntest.Options{Stanza: echo})
	f := &filling{recorder: newRecorder()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{JID: "ann@localhost", Password: "x", Addrs: []string{s.Addr()}, InsecurePlaintext: true}, f)
	}()
	f.until(t, "login", func() bool { return len(f.up) == 1 })
	for n := 1; n <= 3; n++ {
		f.mu.Lock()
		f.waiting = 10
		f.mu.Unlock()
		f.conn().Flush()
		f.until(t, "what was filled in", func() bool { return len(f.got) == 10*n })
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
