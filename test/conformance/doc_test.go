package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// TestDocument: docs/conformance.md is what its tables say, and they name tests that exist.
func TestDocument(t *testing.T) {
	specs, err := load(filepath.Join(root, "docs", "conformance"))
	if err != nil {
		t.Fatal(err)
	}
	if err := check(root, specs); err != nil {
		t.Error(err)
	}
	have, err := os.ReadFile(filepath.Join(root, "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, render(specs)) {
		t.Error("docs/conformance.md is out of date: go run ./test/conformance")
	}
}

// TestChecksBite: a reference to a test that does not exist is found.
func TestChecksBite(t *testing.T) {
	for ref, want := range map[string]string{
		"test/conformance.TestChecksBite":                     "",
		"test/hostile.TestRestrictedXML/comment":              "",
		"internal/stanza.FuzzScanner":                         "",
		"test/conformance.TestNothing":                        "has no test",
		"test/hostile.TestRestrictedXML/no such sub" + "test": "has no subtest",
		"nowhere.TestNothing":                                 "has no test",
		"TestChecksBite":                                      "is no test",
	} {
		err := exists(root, make(map[string]*testFiles), ref)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
	}
	for _, m := range []must{{}, {S: "1", Do: "x"}, {S: "1", Do: "x", By: []string{"a.TestB"}}} {
		if check(root, []spec{{Name: "n", Must: []must{m}}}) == nil {
			t.Errorf("%+v was accepted", m)
		}
	}
}
