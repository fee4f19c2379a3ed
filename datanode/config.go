package datanode

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
)

// Resource is the XMPP resource that a data node binds; wire.SecondResource is that of
// its stream to a second server.
const Resource = wire.NodeResource

// Config says who a data node is and whom it serves.
type Config struct {
	Dir  string          // data directory; made when it does not exist
	XMPP xmppconn.Config // account and server; Resource and Logger are set by the node
	Zone string          // failure domain told to the ring when the cluster is made

	// Operators may administer; Apps may read and write. Each is a bare JID, or
	// *@domain for every account of a domain.
	Operators []string
	Apps      []string

	// DiskReserve is the number of bytes to keep free: with less the node
	// refuses writes. 0: 256 MiB or 1% of the file system, whichever is smaller.
	DiskReserve uint64
	// ScrubEvery is the time in which each partition is compared once with its
	// replicas; 0: 24 h; negative: never.
	ScrubEvery time.Duration
	// DiskSpace tells the bytes free and in total on the file system that holds
	// a directory; nil asks the operating system.
	DiskSpace func(dir string) (free, total uint64, err error)
	// DiskEvery is the time between two looks at the disk; 0: 1 s.
	DiskEvery time.Duration

	// Engine changes the configuration of the replication engine; only tests that
	// plant mistakes set it. nil: as it is.
	Engine func(*replication.Config)

	// ListenMetrics is the address of /metrics and /healthz, plain HTTP; "": none.
	ListenMetrics string

	// Profiles lets ListenMetrics serve /debug/pprof/, too. A profile of the heap shows
	// what is in memory, so it is off unless asked for.
	Profiles bool

	Tick    time.Duration // Raft's unit of time, see replication.Config; 0: its default
	Version string        // of the program, for people
	Logger  *slog.Logger  // nil: nothing is logged
}

// ErrConfig marks errors that a person mends in the configuration.
var ErrConfig = errors.New("configuration")

// ErrTwin: another data node, with another store, is logged in with the account.
var ErrTwin = errors.New("another data node uses this account")

// pattern is a bare JID or a domain.
type pattern struct{ local, domain string } // local "*" is every account

func (p pattern) matches(j stanza.JID) bool {
	return j.Domain == p.domain && j.Local != "" && (p.local == "*" || p.local == j.Local)
}

func parsePatterns(what string, list []string) ([]pattern, error) {
	var out []pattern
	for _, s := range list {
		if domain, ok := strings.CutPrefix(s, "*@"); ok {
			j, err := stanza.ParseJID(domain)
			if err != nil || j.Local != "" || j.Resource != "" {
				return nil, fmt.Errorf("%w: %s %q: write *@domain or a bare JID", ErrConfig, what, s)
			}
			out = append(out, pattern{"*", j.Domain})
			continue
		}
		j, err := stanza.ParseJID(s)
		if err != nil || j.Local == "" || j.Resource != "" {
			return nil, fmt.Errorf("%w: %s %q: write a bare JID as app@example.org, or *@example.org for all accounts of a domain", ErrConfig, what, s)
		}
		out = append(out, pattern{j.Local, j.Domain})
	}
	return out, nil
}

func matchAny(list []pattern, j stanza.JID) bool {
	for _, p := range list {
		if p.matches(j) {
			return true
		}
	}
	return false
}

// roles says who is who by the address the server stamped.
type roles struct{ operators, apps []pattern }

// check fills in defaults and finds mistakes before anything is opened.
func (cfg *Config) check() (roles, stanza.JID, error) {
	var r roles
	var err error
	if cfg.Dir == "" {
		return r, stanza.JID{}, fmt.Errorf("%w: name the data directory", ErrConfig)
	}
	j, err := stanza.ParseJID(cfg.XMPP.JID)
	if err != nil || j.Local == "" {
		return r, j, fmt.Errorf("%w: JID %q of the data node: write it as dn1@example.org", ErrConfig, cfg.XMPP.JID)
	}
	if j.Resource != "" && j.Resource != Resource {
		return r, j, fmt.Errorf("%w: JID %q: the resource of a data node is always %q; leave it out", ErrConfig, cfg.XMPP.JID, Resource)
	}
	j.Resource = Resource
	if r.operators, err = parsePatterns("operator", cfg.Operators); err != nil {
		return r, j, err
	}
	if r.apps, err = parsePatterns("app", cfg.Apps); err != nil {
		return r, j, err
	}
	cfg.XMPP.JID, cfg.XMPP.Resource = j.Bare().String(), Resource
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.XMPP.Logger == nil {
		cfg.XMPP.Logger = cfg.Logger
	}
	if cfg.DiskSpace == nil {
		cfg.DiskSpace = diskSpace
	}
	if cfg.DiskEvery <= 0 {
		cfg.DiskEvery = time.Second
	}
	if cfg.Version == "" {
		cfg.Version = "unknown"
	}
	return r, j, nil
}
