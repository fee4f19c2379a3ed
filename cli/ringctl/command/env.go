package command

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Env is all that the commands take from their surroundings, so that tests can
// put something else in its place.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Terminal: Stdout is one, so bars may move and tables may be redrawn.
	Terminal bool
}

// System is the environment of the running program.
func System() Env {
	return Env{
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Getenv:   os.Getenv,
		Terminal: term.IsTerminal(int(os.Stdout.Fd())),
	}
}
