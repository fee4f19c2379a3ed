package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// daemon is a process of a server under measurement.
type daemon struct {
	what, log string
	cmd       *exec.Cmd
	exited    chan error
}

// startDaemon starts a process in dir; what it prints goes to the file log.
func startDaemon(name, log, dir string, argv ...string) (*daemon, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	defer f.Close() //nolint:errcheck // the process has its own
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a ctrl-C is for us: we stop it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	d := &daemon{what: name, log: log, cmd: cmd, exited: make(chan error, 1)}
	go func() { d.exited <- cmd.Wait() }()
	return d, nil
}

func (d *daemon) pid() int { return d.cmd.Process.Pid }

// rest waits a while between two looks at whether the process is ready; it is an
// error when the process has ended.
func (d *daemon) rest(ctx context.Context, pause time.Duration) error {
	select {
	case err := <-d.exited:
		d.exited <- err
		text, _ := os.ReadFile(d.log)
		return fmt.Errorf("%s ended at once: %w\n%s", d.what, err, text)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// stop ends the process and waits for it. How it exits is its own affair.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", d.what, err)
	}
	select {
	case <-d.exited:
		return nil
	case <-time.After(15 * time.Second):
	}
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", d.what, err)
	}
	<-d.exited
	return nil
}
