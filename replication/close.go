package replication

import (
	"errors"
	"sync"
	"time"
)

// handOver bounds how long Close waits for others to take over leadership.
const handOver = 300 * time.Millisecond

// Close stops the node: leadership is given away as far as that goes quickly,
// open requests are answered, applied state is flushed, all goroutines have
// ended when it returns.
func (n *Node) Close() error {
	n.closing.Do(func() { n.closeErr = n.close() })
	return n.closeErr
}

func (n *Node) close() error {
	n.handOver()
	n.inbox.end()
	n.loopWG.Wait()
	n.standings.end()
	for _, q := range n.appliers {
		q.end()
	}
	n.readers.end()
	n.frames.end()
	n.stages.end()
	close(n.quit)
	n.wg.Wait()
	n.transfers.CloseAll()
	n.scrubs.close()
	var err error
	if n.fatal.get() == nil {
		err = n.store.Flush()
	}
	return errors.Join(err, n.log.Close(), n.store.Close())
}

// handOver asks others to lead and waits a moment for it.
func (n *Node) handOver() {
	if !n.inbox.call(n.core.Stop) {
		return
	}
	deadline := time.NewTimer(handOver)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		left := make(chan int, 1)
		if !n.inbox.call(func() { left <- n.core.Leaving() }) {
			return
		}
		select {
		case k := <-left:
			if k == 0 {
				return
			}
		case <-n.stopped:
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return
		}
	}
}

// fatalError keeps the first error that stopped the node.
type fatalError struct {
	mu  sync.Mutex
	err error
}

func (f *fatalError) set(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return false
	}
	f.err = err
	return true
}

func (f *fatalError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// fail stops the node's work for good: what is on disk is unknown, or the engine
// met a state it must not go on from. Requests are refused from then on.
func (n *Node) fail(err error) {
	if !n.fatal.set(err) {
		return
	}
	n.standings.over.Store(true)
	n.inbox.end()
	if n.cfg.OnFatal != nil {
		n.cfg.OnFatal(err)
	}
}
