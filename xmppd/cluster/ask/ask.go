// Package ask carries questions of one server of a cluster to others, and their answers. It is for what is asked
// seldom, by people; what every stanza needs is told beforehand (packages directory and exchange).
//
// A question names a topic; each server answers from memory. Who has not answered when the asker's patience ends is
// named, so that nobody takes a part for the whole.
package ask

import (
	"context"
	"encoding/binary"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
)

// Channel of the links.
const Channel link.Channel = 6

// Kinds of frames: kind, number of the question, then a topic of one byte (questions) and a body.
const (
	kindQuestion = 1
	kindAnswer   = 2
)

const headLen = 9

// Topic says what is asked. Its numbers never change: servers of several versions understand one another, and who
// does not know a topic does not answer.
type Topic byte

// Config is what an Asker needs.
type Config struct {
	Mesh *link.Mesh
	// Answers gives answers, by topic. They must not wait.
	Answers map[Topic]func(body []byte) []byte
	Log     *slog.Logger
	// Deaf is a bug that tests plant: no answer is heard.
	Deaf bool
}

// Asker is a server's part. It is safe for concurrent use.
type Asker struct {
	cfg Config

	mu     sync.Mutex
	last   uint64
	asking map[uint64]*question
}

// question waits for answers.
type question struct {
	waits []string
	got   map[string][]byte
	done  chan struct{} // closed when nobody is left to wait for
}

// New makes it, and sets its channel of the mesh, which must not run yet.
func New(cfg Config) *Asker {
	a := &Asker{cfg: cfg, asking: make(map[uint64]*question)}
	cfg.Mesh.Handle(Channel, link.Handler{Name: "questions", Receive: a.receive, Undelivered: a.undelivered})
	return a
}

// Ask asks servers, and returns the answers by server, and which of them have given none before ctx ended.
func (a *Asker) Ask(ctx context.Context, t Topic, body []byte, servers []string) (answers map[string][]byte, silent []string) {
	q := &question{got: make(map[string][]byte), done: make(chan struct{})}
	a.mu.Lock()
	a.last++
	number := a.last
	q.waits = slices.Clone(servers)
	a.asking[number] = q
	a.mu.Unlock()
	frame := append(append(head(kindQuestion, number), byte(t)), body...)
	for _, server := range servers {
		if err := a.cfg.Mesh.Send(server, Channel, frame); err != nil {
			a.settle(number, server, nil, false)
		}
	}
	if len(servers) > 0 {
		select {
		case <-q.done:
		case <-ctx.Done():
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.asking, number)
	for _, server := range servers {
		if _, has := q.got[server]; !has {
			silent = append(silent, server)
		}
	}
	return q.got, silent
}

func head(kind byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, number)
}

// settle ends the wait for a server, with its answer or without.
func (a *Asker) settle(number uint64, server string, body []byte, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.asking[number]
	if q == nil {
		return
	}
	i := slices.Index(q.waits, server)
	if i < 0 {
		return
	}
	q.waits = slices.Delete(q.waits, i, i+1)
	if answered {
		q.got[server] = body
	}
	if len(q.waits) == 0 {
		close(q.done)
	}
}

func (a *Asker) receive(from string, frame []byte) {
	if len(frame) < headLen {
		a.cfg.Log.Error("question of a server can't be read", "server", from)
		return
	}
	number, rest := binary.BigEndian.Uint64(frame[1:]), frame[headLen:]
	switch {
	case frame[0] == kindAnswer && !a.cfg.Deaf:
		a.settle(number, from, slices.Clone(rest), true)
	case frame[0] == kindQuestion && len(rest) > 0:
		answer := a.cfg.Answers[Topic(rest[0])]
		if answer == nil {
			return // a newer version asks
		}
		if err := a.cfg.Mesh.Send(from, Channel, append(head(kindAnswer, number), answer(rest[1:])...)); err != nil {
			a.cfg.Log.Debug("answer not sent", "server", from, "error", err)
		}
	}
}

// undelivered takes note of a question that a server did not get, or may not have got.
func (a *Asker) undelivered(server string, frame []byte, _ time.Time, _ bool) {
	if len(frame) >= headLen && frame[0] == kindQuestion {
		a.settle(binary.BigEndian.Uint64(frame[1:]), server, nil, false)
	}
}
