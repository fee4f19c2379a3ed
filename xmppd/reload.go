package xmppd

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// reloadable are the keys that Reload can change; what begins with one of those that end in a dot,
// too.
func reloadable() []string {
	return []string{
		"tls_cert", "tls_key", "cluster.cert", "cluster.key", "registration", "resource_conflict", "log_level", "auth.", "account", "presence.",
		"limits.connections", "limits.connections_per_address", "limits.connection_rate_per_address", "limits.negotiation_seconds",
		"limits.login_attempts_per_address", "limits.login_attempts_per_account", "limits.sessions_per_account", "limits.exempt",
		"limits.stanzas_per_second", "limits.bytes_per_second", "limits.account_stanzas_per_second", "limits.account_bytes_per_second",
		"limits.burst_seconds", "limits.stanza_seconds", "limits.keepalive_seconds",
	}
}

// settings are the parts of a configuration that can change while the server runs. done ends what
// belongs to them.
func (s *Server) settings(cfg *Config) (set c2s.Settings, done func(), err error) {
	l := &cfg.Limits
	exempt, err := l.exempt()
	if err != nil {
		return set, nil, err
	}
	clients, err := s.clientCertificates(cfg)
	if err != nil {
		return set, nil, misconfigured(err)
	}
	tlsConfig, err := s.tlsConfig(cfg)
	if err != nil {
		return set, nil, err
	}
	auth, done, err := s.authenticator(cfg)
	if err != nil {
		return set, nil, misconfigured(err)
	}
	set = c2s.Settings{
		TLS: tlsConfig, Auth: auth, Mechanisms: cfg.Auth.Mechanisms, Clients: clients,
		Pace: l.pace(), KeepAlive: time.Duration(l.KeepAliveSeconds) * time.Second,
		Conflict: cfg.conflict(), SessionsPerAccount: l.SessionsPerAccount,
		MaxConnections: l.Connections, Negotiation: time.Duration(l.NegotiationSeconds) * time.Second, Exempt: exempt,
		LoginRate: l.LoginsPerSecond, ConnectionsPerAddress: l.ConnectionsPerAddress, ConnectionRate: l.ConnectionRatePerAddress,
		LoginAttemptsByAddress: l.LoginAttemptsPerAddress, LoginAttemptsByAccount: l.LoginAttemptsPerAccount,
	}
	if cfg.Auth.Source != "internal" {
		set.LoggedIn = s.accounts.ensure
	}
	return set, done, nil
}

// Reload changes what can be changed while the server runs: certificates, login, registration, log
// level, limits of connections and logins, and makes accounts that are new. Streams that are
// established stay as they are. Other keys that have changed are logged as waiting for a restart. If
// anything is wrong with the configuration it changes nothing.
func (s *Server) Reload(ctx context.Context, cfg Config) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	s.reloading.Lock()
	defer s.reloading.Unlock()
	files := fileSums(&cfg)
	renewed, err := s.renewal(&cfg)
	if err != nil {
		return err
	}
	set, done, err := s.settings(&cfg)
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		done()
		return fmt.Errorf("log level %q: %w", cfg.LogLevel, err)
	}
	changed, waiting := changes(&s.cfg, &cfg)
	changed, waiting = withFiles(changed, waiting, s.files, files)
	if renewed != nil {
		s.cluster.Mesh().Renew(*renewed)
	}
	s.c2s.Apply(set)
	s.webTLS.Store(webTLS(set.TLS))
	s.sourceDone()
	s.sourceDone, s.files = done, files
	s.registrationOpen.Store(cfg.Registration == "open")
	s.accounts.elsewhere.Store(cfg.Auth.Source != "internal")
	s.im.SetPolicy(cfg.Presence.policy())
	if s.level != nil {
		s.level.Set(level)
	}
	takeOver(&s.cfg, &cfg)
	s.log.Info("configuration read again", "changed", changed)
	if slices.Contains(changed, "tls_cert") {
		s.tellCertificate(&cfg, set.TLS)
	}
	if slices.Contains(changed, "cluster.cert") && renewed != nil {
		s.tellLinks()
	}
	if len(waiting) > 0 {
		s.log.Warn("these keys have changed, and wait for a restart", "keys", waiting)
	}
	return s.makeAccounts(ctx, cfg.Accounts)
}

// changes are the keys in which two configurations differ, those apart that need a restart.
func changes(old, now *Config) (changed, waiting []string) {
	walk("", reflect.ValueOf(old).Elem(), reflect.ValueOf(now).Elem(), func(key string, a, b reflect.Value) {
		switch {
		case reflect.DeepEqual(a.Interface(), b.Interface()):
		case canReload(key):
			changed = append(changed, key)
		default:
			waiting = append(waiting, key)
		}
	})
	return changed, waiting
}

// takeOver changes the keys that can change, and touches no other.
func takeOver(to, from *Config) {
	walk("", reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem(), func(key string, a, b reflect.Value) {
		if canReload(key) {
			a.Set(b)
		}
	})
}

func canReload(key string) bool {
	return slices.ContainsFunc(reloadable(), func(r string) bool {
		return r == key || strings.HasSuffix(r, ".") && strings.HasPrefix(key, r)
	})
}

// walk calls f for each key of two configurations of one type, by its name in the file.
func walk(prefix string, a, b reflect.Value, f func(key string, a, b reflect.Value)) {
	for i := range a.NumField() {
		key := prefix + a.Type().Field(i).Tag.Get("toml")
		if a.Type().Field(i).Anonymous {
			walk(prefix, a.Field(i), b.Field(i), f)
			continue
		}
		if a.Field(i).Kind() == reflect.Struct {
			walk(key+".", a.Field(i), b.Field(i), f)
			continue
		}
		f(key, a.Field(i), b.Field(i))
	}
}
