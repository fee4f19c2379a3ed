package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/urfave/cli/v2"
)

// Exit codes. They are documented in docs/ringctl.md and in `ringctl --help`;
// scripts rely on them.
const (
	ExitOK          = 0
	ExitFailed      = 1   // what was asked for could not be done
	ExitUsage       = 2   // wrong flag or argument
	ExitUnreachable = 3   // the cluster cannot be reached, refuses the login, or did not take the operation in time
	ExitDegraded    = 4   // it runs, but a node is down, a partition has no leader, a change stands still, or replicas are not equal
	ExitRefused     = 5   // the ring has changed since the plan was made
	ExitNotFound    = 6   // there is no such object
	ExitConflict    = 7   // a condition did not hold; nothing was written
	ExitUnknown     = 8   // a write may or may not have been applied
	ExitDenied      = 9   // the account may not do that to what it has named
	ExitInterrupted = 130 // ctrl-C, as shells have it
)

const exitCodesHelp = `
EXIT CODES:
   0    done; for status: everything is healthy
   1    could not be done; the message says why and what to do
   2    wrong flag or argument, or one that names a file that is not there
   3    the cluster cannot be reached, refuses the login, or did not take a write or
        read in time: overload, no leader, a full disk; the message says which
   4    the cluster is degraded: a node is down or a partition has no leader; for progress:
        the change stands still; for scrub: replicas could not be compared or mended
   5    the plan is refused: the ring has changed since it was made
   6    get: there is no such object
   7    put, delete: a condition did not hold, and nothing was written
   8    put, delete: the outcome is unknown, and it may have been applied
   9    get, put, delete, ls: the account has no grant for that; nothing was done
   130  interrupted`

// codeError gives an error an exit code other than ExitFailed.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

func usageErrorf(format string, args ...any) error {
	return &codeError{ExitUsage, fmt.Errorf(format, args...)}
}

// unreachable marks what went wrong on the way to the cluster.
func unreachable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &codeError{ExitUnreachable, err}
}

// noFile marks the error of a file that a flag or an argument names: where there is no
// such file, that is wrong.
func noFile(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &codeError{ExitUsage, err}
	}
	return err
}

// errDegraded is told by the output already; it only sets the exit code.
var errDegraded = &codeError{ExitDegraded, errors.New("degraded")}

// exitCode says what code an error of a command ends the program with, and
// whether its text is still to be shown.
func exitCode(err error) (code int, show bool) {
	var coded *codeError
	var coder cli.ExitCoder
	var child *exec.ExitError // it has an ExitCode too, but is no command's answer
	switch {
	case err == nil:
		return ExitOK, false
	case errors.Is(err, errDegraded):
		return ExitDegraded, false
	case errors.As(err, &coded):
		return coded.code, true
	case errors.Is(err, context.Canceled):
		return ExitInterrupted, false
	case errors.As(err, &coder) && !errors.As(err, &child): // a command of xmppd or datanode
		return coder.ExitCode(), coder.Error() != ""
	case errors.Is(err, xmppconn.ErrAuth), errors.Is(err, xmppconn.ErrPolicy), errors.Is(err, admin.ErrNotOperator), refused(err):
		return ExitUnreachable, true
	}
	return ExitFailed, true
}

// refused says whether a data node has refused an account that is no operator.
func refused(err error) bool {
	var told *xmppconn.StanzaError
	return errors.As(err, &told) && told.Condition == "forbidden"
}

// line is an error on one line, unless it shows the end of a log.
func line(err error) string {
	if text := err.Error(); strings.Contains(text, "\n\t") {
		return text
	}
	return oneLine(err)
}
