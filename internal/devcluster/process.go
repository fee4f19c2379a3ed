package devcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a child of this program.
type process struct {
	id  string
	pid int
	log string
	// done is closed when the process has ended and was waited for.
	done chan struct{}
	err  error // how it ended; read after done
}

// startProcess runs the binary with the arguments, its output appended to the
// log file of id.
func (c *Cluster) startProcess(id string, args ...string) (*process, error) {
	argv := append([]string{c.opts.Binary}, args...)
	if c.opts.Launch != nil {
		var err error
		if argv, err = c.opts.Launch(id, argv); err != nil {
			return nil, fmt.Errorf("start %s: %w", id, err)
		}
	}
	logFile := c.files.log(id)
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", id, err)
	}
	defer out.Close() // the child has its own descriptor
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = string(c.files)
	cmd.SysProcAttr = childAttributes(c.opts.DieWithParent)
	if err := c.spawn.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", id, err)
	}
	p := &process{id: id, pid: cmd.Process.Pid, log: logFile, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// exited says whether the process has ended.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the process to end, waits, and kills it when it does not.
func (p *process) stop(timeout time.Duration) {
	if p.exited() {
		return
	}
	// An error means that it has just ended by itself; done tells.
	_ = syscall.Kill(p.pid, syscall.SIGTERM)
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		p.kill()
	}
}

// kill ends the process at once (SIGKILL) and waits for it.
func (p *process) kill() {
	if !p.exited() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // fails only when it is gone already
	}
	<-p.done
}

// diedError is why a start failed: a process ended. It shows the last lines
// that the process wrote.
type diedError struct {
	id, log, last string
	err           error // of the wait
}

func (p *process) diedError() error { return &diedError{p.id, p.log, tail(p.log, 12), p.err} }

func (e *diedError) Error() string {
	return fmt.Sprintf("%s has ended (%v); the end of %s:\n%s", e.id, e.err, e.log, e.last)
}

// tail returns the last lines of a file, indented for an error text.
func tail(file string, lines int) string {
	const most = 8 << 10
	f, err := os.Open(file)
	if err != nil {
		return "\t(no log: " + err.Error() + ")"
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return "\t(no log: " + err.Error() + ")"
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return "\t(no log: " + err.Error() + ")"
	}
	all := strings.Split(string(bytes.TrimRight(b, "\n")), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return "\t" + strings.Join(all, "\n\t")
}

// foreign is a process known by its id only: one that an earlier program started.
type foreign struct {
	pid int
	dir string // the cluster's directory: its arguments name files in it
}

// ours says whether the process with that id is still the one that was
// started, not a later one that got the same number.
func (f foreign) ours() bool {
	if f.pid <= 0 {
		return false
	}
	for _, arg := range commandLine(f.pid) {
		if strings.HasPrefix(arg, f.dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// ended says whether the process is gone, with its files: who ends has no arguments any more
// while it still holds its locks.
func (f foreign) ended() bool { return !f.ours() && (f.pid <= 0 || !ending(f.pid)) }

// stop asks a foreign process to end and kills it when it does not in time.
func (f foreign) stop(ctx context.Context, timeout time.Duration) error {
	if f.ended() {
		return nil
	}
	if f.ours() {
		if err := syscall.Kill(f.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop process %d: %w", f.pid, err)
		}
	}
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if f.awaitEnd(wait) == nil {
		return nil
	}
	if f.ours() {
		if err := syscall.Kill(f.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", f.pid, err)
		}
	}
	wait, cancel = context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := f.awaitEnd(wait); err != nil {
		return fmt.Errorf("process %d does not end: %w", f.pid, err)
	}
	return nil
}

func (f foreign) awaitEnd(ctx context.Context) error {
	return poll(ctx, 20*time.Millisecond, func() (bool, error) { return f.ended(), nil })
}

// poll calls ready until it says true or fails, or ctx ends.
func poll(ctx context.Context, every time.Duration, ready func() (bool, error)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		ok, err := ready()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
