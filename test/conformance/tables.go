package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// spec is one table: a specification with what it demands of a server.
type spec struct {
	Name    string // RFC 6120, XEP-0199
	Title   string
	Version string // of a XEP
	Note    string // what of it does not concern this server
	Order   int    // in the document
	Must    []must
}

// must is a demand: a MUST, MUST NOT, REQUIRED or SHALL, in our own words.
type must struct {
	S   string   // section
	Do  string   // what the server does
	By  []string // tests, as package.Test/subtest
	Not string   // why it does not; then there need not be a test
}

// load reads all tables of a folder, in their order.
func load(dir string) ([]spec, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.toml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no tables in %s: %w", dir, errors.Join(err, os.ErrNotExist))
	}
	var specs []spec
	for _, f := range files {
		var s spec
		meta, err := toml.DecodeFile(f, &s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if u := meta.Undecoded(); len(u) > 0 {
			return nil, fmt.Errorf("%s: unknown key %s", f, u[0])
		}
		if s.Name == "" || s.Title == "" || len(s.Must) == 0 {
			return nil, fmt.Errorf("%s: a table needs name, title and at least one demand", f)
		}
		specs = append(specs, s)
	}
	slices.SortFunc(specs, func(a, b spec) int {
		if a.Order != b.Order {
			return a.Order - b.Order
		}
		return strings.Compare(a.Name, b.Name)
	})
	return specs, nil
}

// check holds that each demand is either shown by tests that exist or says why it is not met.
func check(root string, specs []spec) error {
	var errs []error
	tests := make(map[string]*testFiles)
	for _, s := range specs {
		for _, m := range s.Must {
			where := s.Name + " section " + m.S + ", " + m.Do
			if m.S == "" || m.Do == "" || len(m.By) == 0 && m.Not == "" {
				errs = append(errs, fmt.Errorf("%s: needs s, do, and by or not", where))
			}
			for _, ref := range m.By {
				if err := exists(root, tests, ref); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", where, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// render writes the document.
func render(specs []spec) []byte {
	var b bytes.Buffer
	shown, not := 0, 0
	for _, s := range specs {
		n, g := s.count()
		shown, not = shown+n, not+g
	}
	fmt.Fprintf(&b, `<!-- Written by "go run ./test/conformance" from the tables in docs/conformance; don't edit. -->
# Conformance

What the specifications demand of a server for one domain (MUST, MUST NOT, REQUIRED, SHALL), in our
own words, and the test that shows that `+"`xmppd`"+` does it. **%d** demands are shown by tests, **%d** are not met
and say why.

`+"`go test ./PACKAGE -run 'TEST'`"+` runs a test; of its subtests only the one that matters is named, without those
around it. What a specification demands of clients, or of servers
that talk to other servers, is not listed before there is federation.

| specification | shown | not met |
| --- | --- | --- |
`, shown, not)
	for _, s := range specs {
		n, g := s.count()
		fmt.Fprintf(&b, "| [%s](#%s) | %d | %d |\n", s.heading(), anchor(s.heading()), n, g)
	}
	for _, s := range specs {
		fmt.Fprintf(&b, "\n## %s\n\n", s.heading())
		if s.Note != "" {
			fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(s.Note))
		}
		b.WriteString("| section | the server | shown by |\n| --- | --- | --- |\n")
		for _, m := range s.Must {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", m.S, cell(m.Do), m.evidence())
		}
	}
	return b.Bytes()
}

func (s *spec) heading() string {
	h := s.Name + ": " + s.Title
	if s.Version != "" {
		h += " (" + s.Version + ")"
	}
	return h
}

// count tells how many demands are shown, and how many are not met.
func (s *spec) count() (shown, not int) {
	for _, m := range s.Must {
		if m.Not != "" {
			not++
		} else {
			shown++
		}
	}
	return shown, not
}

func (m *must) evidence() string {
	var parts []string
	if m.Not != "" {
		parts = append(parts, "**not met**: "+cell(m.Not))
	}
	for _, ref := range m.By {
		parts = append(parts, "`"+strings.ReplaceAll(ref, "|", "\\|")+"`")
	}
	return strings.Join(parts, "<br>")
}

func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(strings.TrimSpace(s))
}

// anchor is how GitHub names a heading.
func anchor(h string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(h) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			b.WriteRune(r)
		}
	}
	return b.String()
}
