package datanode

import (
	"strings"
	"sync"
)

// Bounds of the large stanzas of clients that wait to be read, in bytes: of an account,
// which may be two requests of the largest size, and of all.
const (
	accountLarge = 24 << 20
	nodeLarge    = 128 << 20
)

const textLarge = "too much of this account waits to be read; send less at a time"

// largeQueue is what waits for the assembly of clients: accounts take turns, by stanzas.
// Safe for concurrent use.
type largeQueue struct {
	mu       sync.Mutex
	more     sync.Cond
	accounts map[string]*largeOf
	turns    []*largeOf // those with something waiting
	bytes    int
	closed   bool
}

// largeOf is what waits of one account.
type largeOf struct {
	name    string
	stanzas []partStanza
	bytes   int
}

func (q *largeQueue) init() {
	q.more.L = &q.mu
	q.accounts = make(map[string]*largeOf)
}

// put takes in a stanza; false when there is no room for it. With wait it waits for room
// instead: tests plant that.
func (q *largeQueue) put(p partStanza, wait bool) bool {
	name, size := p.account(), p.size()
	q.mu.Lock()
	defer q.mu.Unlock()
	for wait && q.bytes > 0 && len(q.turns[0].stanzas) >= assemblyWaits {
		q.more.Wait()
	}
	u := q.accounts[name]
	if u != nil && u.bytes+size > accountLarge || q.bytes+size > nodeLarge {
		return p.st == nil // the word that somebody has gone: their parts give way to others in the end
	}
	if u == nil {
		u = &largeOf{name: name}
		q.accounts[name] = u
		q.turns = append(q.turns, u)
	}
	u.stanzas = append(u.stanzas, p)
	u.bytes += size
	q.bytes += size
	q.more.Broadcast()
	return true
}

// take waits for the next stanza; not ok when the queue is closed and empty.
func (q *largeQueue) take() (p partStanza, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.turns) == 0 {
		if q.closed {
			return p, false
		}
		q.more.Wait()
	}
	u := q.turns[0]
	p = u.stanzas[0]
	u.stanzas[0] = partStanza{}
	u.stanzas = u.stanzas[1:]
	u.bytes -= p.size()
	q.bytes -= p.size()
	q.turns = q.turns[1:]
	if len(u.stanzas) > 0 {
		q.turns = append(q.turns, u)
	} else {
		delete(q.accounts, u.name)
	}
	q.more.Broadcast()
	return p, true
}

func (q *largeQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Broadcast()
}

// size is that of the stanza in bytes, and a little for what is around it.
func (p *partStanza) size() int {
	if p.st == nil {
		return opCost
	}
	return len(p.st.Raw) + opCost
}

func (p *partStanza) account() string {
	if p.client != nil {
		return p.client.bare
	}
	bare, _, _ := strings.Cut(p.gone, "/")
	return bare
}
