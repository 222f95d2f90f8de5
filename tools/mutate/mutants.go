package main

import (
	"bytes"
	"go/ast"
	"go/token"
	"path/filepath"
	"strings"
)

// fate is what became of a mutant.
type fate int

const (
	// untried mutants have no verdict yet.
	untried fate = iota
	// killed by a test that failed, panicked or took too long.
	killed
	// survived all tests that reach it.
	survived
	// unreached by any test; it survived as well.
	unreached
	// impossible mutants do not compile.
	impossible
)

var fates = [...]string{"untried", "killed", "survived", "survived, not reached", "does not compile"}

// mutant replaces the bytes from..to of a file.
type mutant struct {
	number int
	source *source
	// owner is the smallest expression or statement that holds the change.
	owner    ast.Node
	from, to int
	text     string
	// where it is: a line's number and the name of the declaration.
	line        int
	declaration string
	// change changes the tree and returns what undoes it; only of a mutant in a
	// constant expression, whose value may be used anywhere.
	change func() (undo func())
	// alone: it has to be compiled by itself.
	alone bool
	fate  fate
}

// mutants lists the changes of the chosen files, and numbers them from 1.
func (p *program) mutants() []*mutant {
	var all []*mutant
	for _, s := range p.target.sources {
		if !s.chosen {
			continue
		}
		for _, d := range s.tree.Decls {
			f := &finder{program: p, source: s}
			ast.Inspect(d, f.visit)
			all = append(all, f.list...)
		}
	}
	for n, m := range all {
		m.number = n + 1
	}
	return all
}

// whole is the file with the change.
func (m *mutant) whole() []byte {
	return bytes.Join([][]byte{m.source.text[:m.from], []byte(m.text), m.source.text[m.to:]}, nil)
}

// describe is how mutants are printed and explained.
func (m *mutant) describe() string {
	begin := bytes.LastIndexByte(m.source.text[:m.from], '\n') + 1
	end := m.to + bytes.IndexByte(m.source.text[m.to:], '\n')
	before := string(m.source.text[begin:end])
	after := string(m.source.text[begin:m.from]) + m.text + string(m.source.text[m.to:end])
	return "- `" + filepath.Base(m.source.path) + "` `" + m.declaration + "`: `" + oneLine(before) + "` becomes `" + oneLine(after) + "`"
}

func oneLine(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "`", "'")
}

// nameOf is a declaration's, of a method with the type's.
func nameOf(node ast.Node) string {
	switch n := node.(type) {
	case *ast.FuncDecl:
		if n.Recv == nil || len(n.Recv.List) == 0 {
			return n.Name.Name
		}
		return receiver(n.Recv.List[0].Type) + "." + n.Name.Name
	case *ast.ValueSpec:
		return n.Names[0].Name
	default:
		return ""
	}
}

func receiver(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	default:
		return ""
	}
}

func (p *program) offset(pos token.Pos) int { return p.files.Position(pos).Offset }
