package replication

import (
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/replication/wal"
)

// fullRetry is how long the WAL waits for room before it tries again.
const fullRetry = 250 * time.Millisecond

// commit makes batches durable, one after the other. A full disk is waited out:
// Raft's appends cannot be skipped. Any other error ends the node, because
// nobody knows what is on the disk then.
func (n *Node) commit() {
	for {
		select {
		case <-n.quit:
			return
		case b := <-n.commits:
			if err := n.append(b); err != nil {
				n.fail(fmt.Errorf("write-ahead log: %w", err))
				return
			}
			if len(b.Entries)+len(b.Snapshots) > 0 {
				// From here on an empty directory has lost something.
				if err := n.cfg.Dir.markStarted(); err != nil {
					n.fail(err)
					return
				}
			}
			n.inbox.walDone()
		}
	}
}

func (n *Node) append(b *wal.Batch) error {
	for {
		err := n.log.Append(b)
		if !errors.Is(err, wal.ErrFull) {
			if err == nil && n.full.has(fullWAL) {
				n.setFull(fullWAL, false)
			}
			return err
		}
		n.setFull(fullWAL, true)
		select {
		case <-n.quit:
			return err
		case <-time.After(fullRetry):
		}
	}
}
