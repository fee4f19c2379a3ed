package demo

import (
	"context"
	"os"
	"slices"
	"testing"
	"testing/fstest"
)

func TestSampleHasAChain(t *testing.T) {
	set, err := sampleDataset()
	if err != nil {
		t.Fatal(err)
	}
	chainEnds(t, set)
	if set.Files < 10 || set.TooLarge != 0 {
		t.Errorf("%d files, %d too large", set.Files, set.TooLarge)
	}
}

// chainEnds follows the first import from net/http as the demo does.
func chainEnds(t *testing.T, set *Dataset) {
	t.Helper()
	byName := map[string]*Package{}
	for i := range set.Packages {
		byName[set.Packages[i].Name] = &set.Packages[i]
	}
	seen := map[string]bool{}
	p := byName["net/http"]
	if p == nil {
		t.Fatal("no net/http in the set")
	}
	for len(p.Imports) > 0 {
		if seen[p.Name] {
			t.Fatalf("imports run in a circle at %s", p.Name)
		}
		seen[p.Name] = true
		if p = byName[p.Imports[0]]; p == nil {
			t.Fatal("an import refers to no package of the set")
		}
	}
	if len(seen) < 3 {
		t.Errorf("a chain of %d references shows little", len(seen))
	}
}

func TestGoTree(t *testing.T) {
	set, err := findDataset(context.Background(), os.Getenv, selection{skipTests: true})
	if err != nil {
		t.Fatal(err)
	}
	chainEnds(t, set)
	t.Logf("%s: %d packages, %d files, %d bytes, %d too large", set.Title, len(set.Packages), set.Files, set.Bytes, set.TooLarge)
	for i := range set.Packages {
		p := &set.Packages[i]
		if slices.Contains(p.Imports, p.Name) {
			t.Errorf("%s imports itself", p.Name)
		}
	}
}

func TestScan(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	fsys := fstest.MapFS{
		"a/a.go":                     file("package a\nimport (\n\"b/c\"\n\"golang.org/x/v\"\n\"missing\"\n\"C\"\n)"),
		"a/a_test.go":                file("package a\nimport \"only/tests\""),
		"a/gen.go":                   file("//go:build ignore\n\npackage a\nimport \"only/ignored\""),
		"a/tool.go":                  file("package main\nimport \"only/main\""),
		"a/static/page.html":         file("<p>"),
		"a/testdata/x.go":            file("package x"),
		"b/c/c.go":                   file("package c"),
		"cmd/go/main.go":             file("package main"),
		"README":                     file("outside of packages"),
		"only/ignored/i.go":          file("package ignored"),
		"only/tests/t.go":            file("package tests"),
		"only/main/m.go":             file("package m"),
		"b/big.bin":                  file("belongs to no package: b has no Go file"),
		"vendor/golang.org/x/v/v.go": file("package v"),
	}
	fsys["a/big.bin"] = file(string(make([]byte, 1<<20+1)))
	set, err := scan(fsys, selection{})
	if err != nil {
		t.Fatal(err)
	}
	a := set.Packages[0]
	if a.Name != "a" || !slices.Equal(a.Imports, []string{"b/c", "vendor/golang.org/x/v"}) {
		t.Errorf("package %s imports %v", a.Name, a.Imports)
	}
	if want := []string{"a.go", "a_test.go", "gen.go", "static/page.html", "tool.go"}; !slices.Equal(a.Files, want) {
		t.Errorf("files %v, want %v", a.Files, want)
	}
	if set.TooLarge != 1 || len(set.Packages) != 6 {
		t.Errorf("%d too large, %d packages", set.TooLarge, len(set.Packages))
	}
	small, err := scan(fsys, selection{skipTests: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.go", "gen.go", "tool.go"}; !slices.Equal(small.Packages[0].Files, want) {
		t.Errorf("without tests: files %v, want %v", small.Packages[0].Files, want)
	}
}
