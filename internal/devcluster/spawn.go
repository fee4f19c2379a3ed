package devcluster

import (
	"os/exec"
	"runtime"
)

// spawner starts child processes from one thread that lives as long as the
// spawner: Linux delivers the parent-death signal when the *thread* that
// started the child ends, not the process, so a child must not be started from
// a thread that the Go runtime may retire.
type spawner struct {
	requests chan spawnRequest
	done     chan struct{}
}

type spawnRequest struct {
	cmd *exec.Cmd
	err chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	defer close(s.done)
	runtime.LockOSThread()
	// Unlocked at the end so that the thread outlives the goroutine.
	defer runtime.UnlockOSThread()
	for r := range s.requests {
		r.err <- r.cmd.Start()
	}
}

func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawnRequest{cmd: cmd, err: make(chan error, 1)}
	s.requests <- r
	return <-r.err
}

func (s *spawner) close() {
	close(s.requests)
	<-s.done
}
