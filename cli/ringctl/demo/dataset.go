package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
)

// indexRoot is the root that refers to all packages.
const indexRoot = "std"

// Package is one root object: a package of the tree, with its files as the
// objects under it and its imports as weak references to other roots.
type Package struct {
	Name    string   // import path, which is the root's name
	Files   []string // paths below the package's directory, sorted
	Imports []string // import paths of packages in the set, sorted
	Bytes   int64
	dir     string // in the set's file system
}

// Dataset is a tree of packages. Files are read when they are wanted.
type Dataset struct {
	Title    string // for people: where it comes from
	Packages []Package
	Files    int
	Bytes    int64
	// TooLarge counts files over the store's limit on a value; they are left out.
	TooLarge int
	fsys     fs.FS
}

// Read returns a file's content.
func (d *Dataset) Read(p *Package, file string) ([]byte, error) {
	b, err := fs.ReadFile(d.fsys, path.Join(p.dir, file))
	if err != nil {
		return nil, fmt.Errorf("read %s of package %s: %w", file, p.Name, err)
	}
	return b, nil
}

// summary is the value of a root object: small JSON for whoever looks at it.
type summary struct {
	Package string   `json:"package"`
	Files   int      `json:"files"`
	Bytes   int64    `json:"bytes"`
	Imports []string `json:"imports"`
}

func (p *Package) summary() ([]byte, error) {
	return json.Marshal(summary{p.Name, len(p.Files), p.Bytes, p.Imports})
}

// selection says which files of a tree belong to the set.
type selection struct {
	skipTests bool // leave out _test.go files, and what is no Go source
}

func (s selection) wants(file string) bool {
	return !s.skipTests || strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
}

// scan collects the packages below the root of fsys: each directory with Go
// files is one; other files belong to the nearest package above them. Commands
// (cmd), testdata and hidden directories are left out.
func scan(fsys fs.FS, sel selection) (*Dataset, error) {
	d := &Dataset{fsys: fsys}
	byDir := make(map[string]*Package)
	imports := make(map[string]map[string]bool)
	err := fs.WalkDir(fsys, ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if name := e.Name(); file == "cmd" || name == "testdata" || len(name) > 1 && (name[0] == '.' || name[0] == '_') {
				return fs.SkipDir
			}
			if holdsGo(fsys, file) {
				byDir[file] = &Package{Name: file, dir: file}
			}
			return nil
		}
		p := nearest(byDir, path.Dir(file))
		if p == nil || !sel.wants(file) || !e.Type().IsRegular() {
			return nil
		}
		return d.add(p, file, e, imports)
	})
	if err != nil {
		return nil, fmt.Errorf("scan source tree: %w", err)
	}
	d.link(byDir, imports)
	return d, nil
}

func holdsGo(fsys fs.FS, dir string) bool {
	entries, err := fs.ReadDir(fsys, dir)
	return err == nil && dir != "." && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() && strings.HasSuffix(e.Name(), ".go")
	})
}

func nearest(byDir map[string]*Package, dir string) *Package {
	for ; dir != "."; dir = path.Dir(dir) {
		if p := byDir[dir]; p != nil {
			return p
		}
	}
	return nil
}

// add takes a file into its package and collects what it imports.
func (d *Dataset) add(p *Package, file string, e fs.DirEntry, imports map[string]map[string]bool) error {
	st, err := e.Info()
	if err != nil {
		return err
	}
	if st.Size() > op.MaxValue {
		d.TooLarge++
		return nil
	}
	p.Files = append(p.Files, strings.TrimPrefix(file, p.dir+"/"))
	p.Bytes += st.Size()
	d.Files++
	d.Bytes += st.Size()
	if !strings.HasSuffix(file, ".go") || path.Dir(file) != p.dir {
		return nil
	}
	src, err := fs.ReadFile(d.fsys, file)
	if err != nil {
		return err
	}
	if imports[p.dir] == nil {
		imports[p.dir] = make(map[string]bool)
	}
	for _, i := range importsOf(file, src) {
		imports[p.dir][i] = true
	}
	return nil
}

// link turns import paths into references to packages of the set. The standard
// library's copies of other modules lie below vendor/.
func (d *Dataset) link(byDir map[string]*Package, imports map[string]map[string]bool) {
	for dir, p := range byDir {
		if len(p.Files) == 0 {
			continue
		}
		for i := range imports[dir] {
			for _, target := range []string{i, "vendor/" + i} {
				if t := byDir[target]; t != nil && t != p && len(t.Files) > 0 {
					p.Imports = append(p.Imports, target)
					break
				}
			}
		}
		slices.Sort(p.Imports)
		slices.Sort(p.Files)
		d.Packages = append(d.Packages, *p)
	}
	slices.SortFunc(d.Packages, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
}

// values returns how many bytes the values of all objects have together.
func (d *Dataset) values() int64 {
	n := d.Bytes + int64(len(d.index()))
	for i := range d.Packages {
		if s, err := d.Packages[i].summary(); err == nil { // load tells
			n += int64(len(s))
		}
	}
	return n
}

// index returns the value of the root that refers to all packages.
func (d *Dataset) index() []byte {
	var b bytes.Buffer
	for i := range d.Packages {
		fmt.Fprintln(&b, d.Packages[i].Name)
	}
	return b.Bytes()
}
