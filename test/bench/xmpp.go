package main

import (
	"context"
	"fmt"
	"strconv"
)

// xmpp measures the XMPP server alone: logins, memory a session, and stanzas.
func (b *bench) xmpp(ctx context.Context) error {
	s := b.cluster.Info().Servers[0]
	common := []string{"-addr", s.C2S, "-pid", strconv.Itoa(s.PID)}
	idle, warm, run, hold := 2000, "1s", "8s", "10s"
	if b.o.quick {
		idle, warm, run, hold = 250, "300ms", "1500ms", "1s"
	}
	users := strconv.Itoa(idle)
	timed := []string{"-warmup", warm, "-duration", run}
	modes := []struct {
		name string
		args []string
	}{
		{"chat, 100 pairs, window 4, 200 B", append(timed, "-mode", "chat", "-users", "200", "-window", "4")},
		{"chat, 1,000 messages/s", append(timed, "-mode", "chat", "-users", "200", "-rate", "1000")},
		{"ping IQs, 100 sessions, window 4", append(timed, "-mode", "iq", "-users", "100", "-window", "4")},
		{"presence broadcast to 200", append(timed, "-mode", "presence", "-users", "201", "-window", "2")},
	}
	if _, err := b.load(ctx, "xmppload", append(common, "-mode", "register", "-users", users, "-conc", "32")...); err != nil {
		return err
	}
	var all samples
	for range b.o.passes {
		got, err := b.load(ctx, "xmppload", append(common, "-mode", "connect", "-users", users, "-hold", hold)...)
		if err != nil {
			return err
		}
		all.add("log in and hold "+users+" sessions, PLAIN", got)
	}
	for range b.o.passes {
		for _, m := range modes {
			got, err := b.load(ctx, "xmppload", append(append([]string{}, common...), m.args...)...)
			if err != nil {
				return err
			}
			for _, s := range got { // the first row tells of logins
				delete(s, "logins_per_s")
				delete(s, "login_server_cpu_ms_each")
			}
			all.add(m.name, got)
		}
	}
	fmt.Printf("\nxmppd, plain TCP on loopback; medians, passes: %d; %s\n\n", b.o.passes, machine())
	return all.print([]column{
		{"logins/s", "logins_per_s"},
		{"CPU ms/login", "login_server_cpu_ms_each"},
		{"KB/session", "rss_per_session_kb"},
		{"per s", "per_s"},
		{"CPU us each", "server_cpu_us_each"},
		{"p50 us", "lat_p50_us"},
		{"p99 us", "lat_p99_us"},
		{"lost", "undelivered"},
		{"others' cores", "others_cores"},
	})
}
