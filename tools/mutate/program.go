package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// program is the package that is changed and the one whose tests judge; both
// may be the same.
type program struct {
	files    *token.FileSet
	target   *unit
	units    []*unit // in the order of their imports
	testDir  string
	testPath string
	exports  types.Importer
}

// unit is a package without its tests.
type unit struct {
	path, dir string
	sources   []*source
	info      *types.Info
	pkg       *types.Package
}

// source is a file.
type source struct {
	unit *unit
	path string
	text []byte
	tree *ast.File
	// chosen tells whether the file was named: only those are changed.
	chosen bool
}

type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// load reads the package that has the files, and the one that tests it.
func load(files []string, test string) (*program, error) {
	if len(files) == 0 {
		return nil, errors.New("name the files to change")
	}
	chosen, err := absolute(files)
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(chosen[0])
	// What is added to the package imports some more.
	list, err := listPackages(folder, test, "fmt", "os", "strconv", "sync/atomic")
	if err != nil {
		return nil, err
	}
	testDir, err := filepath.Abs(test)
	if err != nil {
		return nil, err
	}
	p := &program{files: token.NewFileSet(), testDir: testDir, testPath: test}
	exports := make(map[string]string)
	for _, l := range list {
		exports[l.ImportPath] = l.Export
		if l.Dir != folder && l.Dir != testDir {
			continue
		}
		u, err := p.read(l, chosen)
		if err != nil {
			return nil, err
		}
		if l.Dir == folder {
			p.target = u
		}
		p.units = append(p.units, u)
	}
	if p.target == nil {
		return nil, fmt.Errorf("%s is not what %s tests: it does not import it", folder, test)
	}
	p.exports = importer.ForCompiler(p.files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return p, p.check()
}

func absolute(files []string) ([]string, error) {
	var all []string
	for _, f := range files {
		path, err := filepath.Abs(f)
		if err != nil {
			return nil, err
		}
		all = append(all, path)
	}
	return all, nil
}

// listPackages lists the packages and all that they import, what is imported first.
func listPackages(packages ...string) ([]listed, error) {
	args := append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles"}, packages...)
	command := exec.CommandContext(context.Background(), "go", args...) //nolint:gosec // packages of the command line
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var list []listed
	for decoder := json.NewDecoder(bytes.NewReader(output)); decoder.More(); {
		var l listed
		if err := decoder.Decode(&l); err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

func (p *program) read(l listed, chosen []string) (*unit, error) {
	u := &unit{path: l.ImportPath, dir: l.Dir}
	for _, name := range l.GoFiles {
		s := &source{unit: u, path: filepath.Join(l.Dir, name)}
		s.chosen = slices.Contains(chosen, s.path)
		var err error
		if s.text, err = os.ReadFile(s.path); err != nil {
			return nil, err
		}
		if s.tree, err = parser.ParseFile(p.files, s.path, s.text, parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		u.sources = append(u.sources, s)
	}
	return u, nil
}

// check finds the types of all units as their trees are now.
func (p *program) check() error {
	for _, u := range p.units {
		trees := make([]*ast.File, 0, len(u.sources))
		for _, s := range u.sources {
			trees = append(trees, s.tree)
		}
		if err := p.checkUnit(u, p.files, trees, nil); err != nil {
			return err
		}
	}
	return nil
}

// checkUnit finds the types of one. It ends with the first error, unless report
// gets them all.
func (p *program) checkUnit(u *unit, files *token.FileSet, trees []*ast.File, report func(error)) (err error) {
	u.info = &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	config := types.Config{Importer: ours{p}, Error: report}
	u.pkg, err = config.Check(u.path, files, trees, u.info)
	return err
}

// ours imports the units as they are, and everything else as it was compiled.
type ours struct{ program *program }

func (o ours) Import(path string) (*types.Package, error) {
	for _, u := range o.program.units {
		if u.path == path && u.pkg != nil {
			return u.pkg, nil
		}
	}
	return o.program.exports.Import(path)
}
