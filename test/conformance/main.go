// Package main writes docs/conformance.md from the tables in docs/conformance: what specifications
// demand of a server, and the test that shows each, or why it is not met.
//
//	go run ./test/conformance
//
// Its tests are a suite over real sockets, one subtest a demand, and hold that the document is up to
// date and names tests that exist.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	specs, err := load(filepath.Join(root, "docs", "conformance"))
	if err != nil {
		return err
	}
	if err := check(root, specs); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "docs", "conformance.md"), render(specs), 0o644); err != nil { //nolint:gosec // a document
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}
