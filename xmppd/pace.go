package xmppd

import (
	"errors"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// PaceConfig bounds what a client may send, and how long it may be silent within a stanza, and
// altogether. Zero stands for the default.
type PaceConfig struct {
	StanzasPerSecond        int `toml:"stanzas_per_second"`         // of a session: 20000
	BytesPerSecond          int `toml:"bytes_per_second"`           // of a session: 33554432
	AccountStanzasPerSecond int `toml:"account_stanzas_per_second"` // of an account's sessions together: twice a session's
	AccountBytesPerSecond   int `toml:"account_bytes_per_second"`   // the same: twice a session's
	BurstSeconds            int `toml:"burst_seconds"`              // so much of it may come at once: 5
	StanzaSeconds           int `toml:"stanza_seconds"`             // from a stanza's first byte to its last: 60
	KeepAliveSeconds        int `toml:"keepalive_seconds"`          // of silence until a peer is asked whether it is there (TCP): 120
}

func (c *PaceConfig) check() error {
	for _, n := range []int{
		c.StanzasPerSecond, c.BytesPerSecond, c.AccountStanzasPerSecond, c.AccountBytesPerSecond,
		c.BurstSeconds, c.StanzaSeconds, c.KeepAliveSeconds,
	} {
		if n < 0 {
			return errors.New("a limit can't be negative")
		}
	}
	return nil
}

func (c *PaceConfig) pace() c2s.Pace {
	return c2s.Pace{
		Stanzas: c.StanzasPerSecond, Bytes: c.BytesPerSecond,
		AccountStanzas: c.AccountStanzasPerSecond, AccountBytes: c.AccountBytesPerSecond,
		Burst:  time.Duration(c.BurstSeconds) * time.Second,
		Stanza: time.Duration(c.StanzaSeconds) * time.Second,
	}
}
