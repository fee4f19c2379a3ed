package demo

import (
	"bytes"
	"context"
	_ "embed" // the sample
	"fmt"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

// findDataset returns the standard library's source tree of the Go toolchain on
// this machine, or, where there is none, the small set that is built in.
func findDataset(ctx context.Context, getenv func(string) string, sel selection) (*Dataset, error) {
	for _, goroot := range gorootCandidates(ctx, getenv) {
		src := filepath.Join(goroot, "src")
		if _, err := os.Stat(filepath.Join(src, "net", "http")); err != nil {
			continue
		}
		d, err := scan(os.DirFS(src), sel)
		if err != nil {
			return nil, err
		}
		d.Title = "the Go standard library in " + src
		return d, nil
	}
	return sampleDataset()
}

func gorootCandidates(ctx context.Context, getenv func(string) string) []string {
	list := []string{getenv("GOROOT")}
	if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
		list = append(list, strings.TrimSpace(string(out)))
	}
	list = append(list, "/usr/local/go", "/usr/lib/go", "/usr/lib/golang", "/opt/homebrew/opt/go/libexec")
	found := list[:0]
	for _, dir := range list {
		if dir != "" {
			found = append(found, dir)
		}
	}
	return found
}

//go:embed sample.txtar
var sample []byte

// sampleDataset is a small tree of the same shape, for machines without Go.
func sampleDataset() (*Dataset, error) {
	fsys, err := txtar.FS(txtar.Parse(sample))
	if err != nil {
		return nil, fmt.Errorf("unpack the built-in data set: %w", err)
	}
	d, err := scan(fsys, selection{})
	if err != nil {
		return nil, err
	}
	d.Title = "a small built-in set (there is no Go source tree on this machine)"
	return d, nil
}

// importsOf returns the import paths of a Go file. Tests, commands and files
// that no build includes say nothing about the package: they are passed over,
// which also keeps the references free of cycles.
func importsOf(file string, src []byte) []string {
	if strings.HasSuffix(file, "_test.go") {
		return nil
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
	if err != nil || f.Name.Name == "main" || ignored(src) {
		return nil
	}
	var paths []string
	for _, i := range f.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil && p != "C" {
			paths = append(paths, p)
		}
	}
	return paths
}

// ignored says whether the file carries the constraint `//go:build ignore`.
func ignored(src []byte) bool {
	for line := range bytes.Lines(src) {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "package ") {
			return false
		}
		if !constraint.IsGoBuild(text) {
			continue
		}
		expr, err := constraint.Parse(text)
		return err == nil && !expr.Eval(func(tag string) bool { return tag != "ignore" })
	}
	return false
}
