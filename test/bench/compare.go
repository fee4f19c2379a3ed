package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// work is one thing that is measured on every server.
type work struct {
	name  string
	fresh bool // on a server just started: memory counts
	tls   bool
	args  []string
	login bool // our own login driver instead of the ruler; only for our server
}

const (
	workConnect, workConnectTLS = "log in by PLAIN, then idle", "log in by PLAIN, then idle, TLS"
	workChat, workPaced         = "chat, 100 pairs, window 4, 200 B", "chat, 1,000 messages/s"
	workLogin                   = "log in by SCRAM-SHA-256"
)

// peers builds what compare needs. Without the ruler nothing can be measured: it says so, and that
// is no error, since the ruler is no part of this repository.
func (b *bench) peers(ctx context.Context) error {
	if _, err := b.source("xmppload"); err != nil {
		fmt.Fprintln(os.Stderr, "nothing is measured:", err)
		return nil
	}
	if err := b.build(ctx, "xmppload"); err != nil {
		return err
	}
	return b.compare(ctx)
}

// compare measures our server beside the peers: in each pass one server after the other, each
// alone, so that what else the machine does falls on all of them.
func (b *bench) compare(ctx context.Context) (err error) {
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // the peers run as their own users
		return fmt.Errorf("open the directory of the bench: %w", err)
	}
	before := nameServers()
	defer func() { err = errors.Join(err, stopNameServers(before)) }()
	servers := b.servers()
	var all samples
	for pass := range b.o.passes {
		for _, s := range servers {
			if pass == 0 {
				if err := b.with(ctx, s, b.register); err != nil {
					return err
				}
			}
			if err := b.pass(ctx, s, &all); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nXMPP servers beside one another, loopback; medians, passes: %d; %s\n\n", b.o.passes, machine())
	if err := all.print([]column{
		{"CPU us each", "server_cpu_us_each"},
		{"per s", "per_s"},
		{"p50 us", "lat_p50_us"},
		{"p99 us", "lat_p99_us"},
		{"lost", "undelivered"},
		{"duplicates", "duplicates"},
		{"out of order", "out_of_order"},
		{"KB/session", "rss_per_session_kb"},
		{"idle cores", "idle_cores"},
		{"others' cores", "others_cores"},
	}); err != nil {
		return err
	}
	return b.judge(gates(), &all)
}

// with runs a measurement against a server started for it.
func (b *bench) with(ctx context.Context, s server, measure func(context.Context, *running) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := b.start(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	return measure(ctx, r)
}

// idleUsers is how many sessions are held; TLS costs the generator more.
func (b *bench) idleUsers(tls bool) string {
	switch {
	case b.o.quick:
		return "250"
	case tls:
		return "2000"
	}
	return "5000"
}

// loginUsers is how many log in by our own driver, which computes for each.
func (b *bench) loginUsers() int {
	if b.o.quick {
		return 250
	}
	return 2000
}

func (b *bench) register(ctx context.Context, r *running) error {
	_, err := b.load(ctx, "xmppload", "-addr", r.c2s, "-mode", "register", "-users", b.idleUsers(false), "-conc", "32")
	return err
}

func (b *bench) works() []work {
	warm, run, hold := "1s", "8s", "10s"
	if b.o.quick {
		warm, run, hold = "300ms", "1s", "1s"
	}
	timed := func(args ...string) []string { return append([]string{"-warmup", warm, "-duration", run}, args...) }
	connect := func(tls bool) []string {
		return []string{"-mode", "connect", "-users", b.idleUsers(tls), "-hold", hold}
	}
	chat := timed("-mode", "chat", "-users", "200", "-window", "4")
	paced := timed("-mode", "chat", "-users", "200", "-rate", "1000")
	return []work{
		{name: workConnect, fresh: true, args: connect(false)},
		{name: workConnectTLS, fresh: true, tls: true, args: connect(true)},
		{name: workLogin, fresh: true, login: true},
		{name: workChat, args: chat, fresh: true},
		{name: workPaced, args: paced},
		{name: "ping IQs, 100 sessions, window 4", args: timed("-mode", "iq", "-users", "100", "-window", "4")},
		{name: "presence broadcast to 200", args: timed("-mode", "presence", "-users", "201", "-window", "2")},
		{name: workChat + ", TLS", tls: true, args: chat},
		{name: workPaced + ", TLS", tls: true, args: paced},
	}
}

// pass measures everything once on one server, which is started again before each fresh work.
func (b *bench) pass(ctx context.Context, s server, all *samples) error {
	works := b.works()
	for len(works) > 0 {
		n := 1
		for n < len(works) && !works[n].fresh {
			n++
		}
		now := works[:n]
		works = works[n:]
		if now[0].login && s.name != ours {
			continue
		}
		err := b.with(ctx, s, func(ctx context.Context, r *running) error {
			for _, w := range now {
				got, err := b.measure(ctx, r, w)
				if err != nil {
					return err
				}
				all.add(rowName(w.name, s.name), got)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rowName puts two cells into the table's first column.
func rowName(work, server string) string { return work + " | " + server }

func (b *bench) measure(ctx context.Context, r *running, w work) ([]sample, error) {
	if w.login {
		s, err := logins(ctx, r.c2s, r.pid(), b.loginUsers())
		return []sample{s}, err
	}
	args := []string{"-pid", strconv.Itoa(r.pid())}
	if w.tls {
		args = append(args, "-addr", r.tls, "-tls", "direct")
	} else {
		args = append(args, "-addr", r.c2s)
	}
	got, err := b.load(ctx, "xmppload", append(args, w.args...)...)
	if err != nil {
		return nil, err
	}
	for _, s := range got {
		if s["mode"] == "connect" { // a login is what was done
			s.rename("login_server_cpu_ms_each", "server_cpu_us_each", 1000)
			s.rename("logins_per_s", "per_s", 1)
			s.rename("login_p50_ms", "lat_p50_us", 1000)
			s.rename("login_p99_ms", "lat_p99_us", 1000)
		}
	}
	return got, nil
}
