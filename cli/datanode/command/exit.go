package command

import (
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/datanode"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
)

// The exit codes of datanode. docs/operations.md explains them.
const (
	ExitOK       = 0
	ExitOther    = 1 // anything not below
	ExitUsage    = 2 // unknown or missing flag
	ExitIdentity = 3 // configuration, or a data directory that is not this node's
	ExitAuth     = 4 // the server refused the login
	ExitDisk     = 5 // damaged or failing disk
)

const exitHelp = `
EXIT CODES:
   0  stopped as asked
   2  wrong flag
   3  configuration, or a data directory of another node, of a newer format, or in use
   4  the server refused the account
   5  damaged or failing disk, or a state.db or a log of another node
   1  anything else`

// coded is an error with its exit code; it implements cli.ExitCoder so that
// ringctl, which carries these commands, ends with it too.
type coded struct {
	err  error
	code int
}

func (e coded) Error() string { return oneLine(e.err) }
func (e coded) Unwrap() error { return e.err }
func (e coded) ExitCode() int { return e.code }

var _ cli.ExitCoder = coded{}

// withCode gives an error of the data node its exit code.
func withCode(err error) error {
	if err == nil {
		return nil
	}
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case is(replication.ErrDamaged):
		return coded{err, ExitDisk}
	case is(xmppconn.ErrAuth):
		return coded{err, ExitAuth}
	case is(datanode.ErrConfig, datanode.ErrTwin, xmppconn.ErrPolicy, xmppconn.ErrReplaced,
		replication.ErrForeignDir, replication.ErrNewerFormat, replication.ErrLocked, replication.ErrForeignCluster,
		wal.ErrNewerFormat, state.ErrNewerFormat, state.ErrLocked):
		return coded{err, ExitIdentity}
	case is(wal.ErrForeign, wal.ErrCorrupt, wal.ErrFailed, wal.ErrFull,
		state.ErrForeign, state.ErrCorrupt, state.ErrFailed, state.ErrFull, replication.ErrLostState, replication.ErrContradiction):
		return coded{err, ExitDisk}
	}
	return coded{err, ExitOther}
}

func usage(text string) error { return coded{errors.New(text), ExitUsage} }

// Outcome is how the program ends with an error of App: the code, and what is
// still to be said.
func Outcome(err error) (code int, text string) {
	if err == nil {
		return ExitOK, ""
	}
	var c coded
	if errors.As(err, &c) {
		return c.code, c.Error()
	}
	return ExitUsage, oneLine(err) // what the flag parser finds
}

// oneLine joins what errors.Join put on lines of its own.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
