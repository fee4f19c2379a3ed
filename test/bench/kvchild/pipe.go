package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"runtime"
	"strconv"
	"sync"
)

// request is one line of the protocol with its value.
type request struct {
	id    uint64
	op    byte
	key   string
	value []byte
}

var errLine = errors.New("a request is: ID OP KEY LEN")

func readRequest(in *bufio.Reader) (r request, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		if len(line) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return r, err
	}
	var field [4][]byte
	rest := bytes.TrimSuffix(line, []byte("\n"))
	for i := range field {
		var more bool
		field[i], rest, more = bytes.Cut(rest, []byte(" "))
		if more != (i < 3) {
			return r, fmt.Errorf("%w: %q", errLine, line)
		}
	}
	id, err := strconv.ParseUint(string(field[0]), 10, 64)
	if err != nil || len(field[1]) != 1 {
		return r, fmt.Errorf("%w: %q", errLine, line)
	}
	n, err := strconv.ParseUint(string(field[3]), 10, 31)
	if err != nil {
		return r, fmt.Errorf("%w: %q", errLine, line)
	}
	r = request{id: id, op: field[1][0], key: string(field[2])}
	if n > 0 {
		r.value = make([]byte, n)
		if _, err := io.ReadFull(in, r.value); err != nil {
			return r, fmt.Errorf("value of request %d: %w", id, err)
		}
	}
	return r, nil
}

// answers writes answers of many goroutines; what gathers during one write
// leaves in the next.
type answers struct {
	mu    sync.Mutex
	buf   []byte
	wake  chan struct{}
	ended chan struct{}
}

func newAnswers(out io.Writer) *answers {
	a := &answers{wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go a.write(out)
	return a
}

func (a *answers) answer(id uint64, r result) {
	a.mu.Lock()
	first := len(a.buf) == 0
	a.buf = strconv.AppendUint(a.buf, id, 10)
	a.buf = append(append(append(a.buf, ' '), r.status...), ' ')
	a.buf = strconv.AppendInt(a.buf, int64(len(r.value)), 10)
	a.buf = append(append(a.buf, '\n'), r.value...)
	a.mu.Unlock()
	if first {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

func (a *answers) write(out io.Writer) {
	defer close(a.ended)
	var spare []byte
	failed := false
	for range a.wake {
		runtime.Gosched() // let others who are ready add theirs
		a.mu.Lock()
		b := a.buf
		a.buf = spare[:0]
		a.mu.Unlock()
		if _, err := out.Write(b); err != nil && !failed {
			failed = true
			log.Printf("write answers: %v", err)
		}
		spare = b
	}
}

// close waits until everything is written; nobody may answer any more.
func (a *answers) close() {
	close(a.wake)
	<-a.ended
}

// pool runs requests in as many goroutines as there are requests at a time, and
// keeps the goroutines for the next.
type pool struct {
	work chan request
	run  func(request)
	wg   sync.WaitGroup
}

func newPool(run func(request)) *pool { return &pool{work: make(chan request), run: run} }

func (p *pool) submit(r request) {
	select {
	case p.work <- r:
	default:
		p.wg.Go(func() {
			p.run(r)
			for r := range p.work {
				p.run(r)
			}
		})
	}
}

func (p *pool) close() {
	close(p.work)
	p.wg.Wait()
}
