package replicated

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// No answer came in time, or the server is gone: whether the request was carried out is not known.
var (
	errLate = errors.New("no answer in time")
	errGone = errors.New("the server that was asked is gone")
)

// calls are the requests to other servers that wait for answers.
type calls struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]call
	down    map[string]bool // servers that are known to be gone
}

type call struct {
	to     string
	answer chan answer // closed: the server is gone
}

// begin notes a request to a server; a nil channel: that is gone.
func (c *calls) begin(to string) (uint64, chan answer) {
	ch := make(chan answer, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down[to] {
		return 0, nil
	}
	if c.waiting == nil {
		c.waiting = make(map[uint64]call)
	}
	c.last++
	c.waiting[c.last] = call{to, ch}
	return c.last, ch
}

// lose takes a server for gone: nobody waits for its answers any more.
func (c *calls) lose(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down == nil {
		c.down = make(map[string]bool)
	}
	c.down[server] = true
	for id, w := range c.waiting {
		if w.to == server {
			delete(c.waiting, id)
			close(w.answer)
		}
	}
}

func (c *calls) find(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.down, server)
}

func (c *calls) isDown(server string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down[server]
}

func (c *calls) end(id uint64) {
	c.mu.Lock()
	delete(c.waiting, id)
	c.mu.Unlock()
}

// answered takes an answer; late ones, and those of somebody else, are dropped.
func (c *calls) answered(from string, id uint64, payload []byte) {
	c.mu.Lock()
	w, ok := c.waiting[id]
	if ok = ok && w.to == from; ok {
		delete(c.waiting, id)
	}
	c.mu.Unlock()
	if !ok {
		return
	}
	var a answer
	if err := a.parse(payload); err != nil {
		a = answer{code: op.Invalid, text: fmt.Sprintf("answer of server %s: %v", from, err)}
	}
	w.answer <- a
}

// ask asks a member, this one too, and waits for its answer so long. Errors: errLate, errGone,
// those of ctx, errClosing. With any of them it is not known what became of the request.
func (s *Store) ask(ctx context.Context, member uint64, r *request, patience time.Duration) (answer, error) {
	if member == s.dir.Member() {
		ch := make(chan answer, 1)
		s.answer("", r, func(a answer) { ch <- a })
		return s.await(ctx, ch, patience)
	}
	name, ok := s.nameOf(member)
	if !ok {
		return answer{code: op.Unavailable, text: "no server has the member's name"}, nil
	}
	return s.askServer(ctx, name, r, patience)
}

func (s *Store) askServer(ctx context.Context, name string, r *request, patience time.Duration) (answer, error) {
	id, ch := s.calls.begin(name)
	if ch == nil {
		return answer{code: op.Unavailable, text: "server " + name + " is not connected"}, nil
	}
	defer s.calls.end(id)
	s.send(name, r.append(nil), id, payloadRequest)
	a, err := s.await(ctx, ch, patience)
	if err == nil {
		s.heard(a.epoch)
	}
	return a, err
}

func (s *Store) send(name string, b []byte, id uint64, kind byte) {
	s.opt.Transport.Send(name, s.opt.Urgent, append(binary.LittleEndian.AppendUint64(b, id), kind))
}

func (s *Store) await(ctx context.Context, ch chan answer, patience time.Duration) (answer, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case a, ok := <-ch:
		if !ok {
			return a, errGone
		}
		return a, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-late.C:
		return answer{}, errLate
	case <-s.quit:
		return answer{}, errClosing
	}
}
