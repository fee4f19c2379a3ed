package xmppd

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// LimitsConfig bounds what a client can cost. Zero stands for the default.
type LimitsConfig struct {
	StanzaBytes        int `toml:"stanza_bytes"`        // 262144
	Depth              int `toml:"depth"`               // of elements in a stanza: 128
	QueueBytes         int `toml:"queue_bytes"`         // waiting for a slow client: 4194304
	GroupQueueBytes    int `toml:"group_queue_bytes"`   // the same, of an account with a shared group: 67108864
	QueueTotalBytes    int `toml:"queue_total_bytes"`   // waiting for all slow clients together: 536870912
	Connections        int `toml:"connections"`         // 100000
	NegotiationSeconds int `toml:"negotiation_seconds"` // until a resource is bound: 30
	RosterItems        int `toml:"roster_items"`        // 2000
	DirectedPresence   int `toml:"directed_presence"`   // recipients a session: 500

	LoginsPerSecond          int `toml:"logins_per_second"`           // that begin; others wait: 2000 a processor
	ConnectionsPerAddress    int `toml:"connections_per_address"`     // open ones of one address (IPv6: of a /64): 2000
	ConnectionRatePerAddress int `toml:"connection_rate_per_address"` // new ones in a minute: 6000
	LoginAttemptsPerAddress  int `toml:"login_attempts_per_address"`  // failed ones in a minute: 60
	LoginAttemptsPerAccount  int `toml:"login_attempts_per_account"`  // failed ones in a minute on one account from one address: 20
	SessionsPerAccount       int `toml:"sessions_per_account"`        // 50
	// Exempt are addresses and networks that the limits by address don't count for.
	Exempt []string `toml:"exempt"`

	// What a client may send, and how long it may be silent within a stanza, and altogether.
	StanzasPerSecond        int `toml:"stanzas_per_second"`         // of a session: 20000
	BytesPerSecond          int `toml:"bytes_per_second"`           // of a session: 33554432
	AccountStanzasPerSecond int `toml:"account_stanzas_per_second"` // of an account's sessions together: twice a session's
	AccountBytesPerSecond   int `toml:"account_bytes_per_second"`   // the same: twice a session's
	BurstSeconds            int `toml:"burst_seconds"`              // so much of it may come at once: 5
	StanzaSeconds           int `toml:"stanza_seconds"`             // from a stanza's first byte to its last: 60
	KeepAliveSeconds        int `toml:"keepalive_seconds"`          // of silence until a peer is asked whether it is there (TCP): 120
}

// check reports what can't work. checkNumbers has seen the numbers.
func (c *LimitsConfig) check() error {
	if n := c.StanzaBytes; n != 0 && n < 10_000 {
		return fmt.Errorf("limits.stanza_bytes is %d; RFC 6120 section 13.12 wants 10000 at least", n)
	}
	_, err := c.exempt()
	return err
}

// exempt are the networks without limits by address; an address is a network of one.
func (c *LimitsConfig) exempt() (all []netip.Prefix, err error) {
	for _, e := range c.Exempt {
		p, err := netip.ParsePrefix(e)
		if addr, addrErr := netip.ParseAddr(e); addrErr == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("limits.exempt: %q is neither an address nor a network such as 10.0.0.0/8", e)
		}
		all = append(all, p)
	}
	return all, nil
}

func (c *LimitsConfig) pace() c2s.Pace {
	return c2s.Pace{
		Stanzas: c.StanzasPerSecond, Bytes: c.BytesPerSecond,
		AccountStanzas: c.AccountStanzasPerSecond, AccountBytes: c.AccountBytesPerSecond,
		Burst:  time.Duration(c.BurstSeconds) * time.Second,
		Stanza: time.Duration(c.StanzaSeconds) * time.Second,
	}
}
