package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// loginsAtOnce is how many logins are under way.
const loginsAtOnce = 16

// logins logs the ruler's users in by SCRAM-SHA-256, which the ruler doesn't speak, and measures
// the server's CPU time a login as the ruler does: until all are in, initial presence included.
// Our client takes the strongest mechanism that both sides have; without TLS that is this one.
func logins(ctx context.Context, addr string, pid, users int) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	slots := make(chan struct{}, loginsAtOnce)
	failed := make(chan error, users)
	began, cpu := time.Now(), cpuSeconds(pid)
	for i := range users {
		slots <- struct{}{}
		h := &loginHandler{up: func() { <-slots }}
		wg.Go(func() {
			err := xmppconn.Run(ctx, xmppconn.Config{
				JID: "u" + strconv.Itoa(i) + "@localhost", Password: "secret", Resource: "bench",
				Addrs: []string{addr}, InsecurePlaintext: true,
				PingAfter: time.Hour, DeadAfter: 2 * time.Hour, DialTimeout: 30 * time.Second,
				OnRetry: func(err error, _ time.Duration) { failed <- err; cancel() },
			}, h)
			if ctx.Err() == nil {
				failed <- err
				h.once.Do(h.up)
			}
		})
	}
	for range loginsAtOnce { // until the last ones are in
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
	}
	select {
	case err := <-failed:
		return nil, fmt.Errorf("log in to %s: %w", addr, err)
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	used, took := cpuSeconds(pid)-cpu, time.Since(began).Seconds()
	if used <= 0 {
		return nil, errors.New("the server's CPU time can't be read from /proc")
	}
	return sample{
		"mode":               "login",
		"server_cpu_us_each": used * 1e6 / float64(users),
		"per_s":              float64(users) / took,
	}, nil
}

// loginHandler says that it is there, and nothing more.
type loginHandler struct {
	once sync.Once
	up   func()
}

func (h *loginHandler) Up(c *xmppconn.Conn) {
	_ = c.Send([]byte("<presence/>")) // a stream that has ended is told by Down
	c.Flush()
	h.once.Do(h.up)
}

func (h *loginHandler) Stanza(*xmppconn.Conn, *stanza.Stanza) bool { return false }
func (h *loginHandler) Idle(*xmppconn.Conn)                        {}
func (h *loginHandler) Down(error)                                 {}

// cpuSeconds is the time that a process has computed, in user space and in the kernel.
func cpuSeconds(pid int) float64 {
	const ticks = 100 // a second, on every Linux that Go runs on
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := bytes.Cut(line, []byte(") ")) // the name before may hold spaces
	f := strings.Fields(string(rest))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / ticks
}
