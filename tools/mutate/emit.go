package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
)

// The names that the changed program uses for what it is told from outside.
const (
	runtimeFile = "schema_of_mutants.go"
	stepName    = "SchemaStep"
)

//go:embed runtime.go.txt
var runtimeText string

// emitted is a changed file and where in it what stands.
type emitted struct {
	source *source
	text   []byte
	parts  []part
}

// part is a site, or one of its variants, in a changed file.
type part struct {
	from, to int
	site     *site
	mutant   *mutant
}

// texts writes all files that have sites, and what they need.
func (s *schema) texts() []*emitted {
	for n, at := range s.sites {
		at.number = n
	}
	var all []*emitted
	for _, u := range s.program.units {
		for _, f := range u.sources {
			e := &emitter{source: f, step: stepName}
			if u != s.program.target {
				e.step = s.program.target.pkg.Name() + "." + stepName
			}
			e.span(0, len(f.text), s.of(f))
			all = append(all, &emitted{f, e.out.Bytes(), e.parts})
		}
	}
	return all
}

// runtime is the file that the changed package has besides its own.
func (s *schema) runtime() []byte {
	text := strings.ReplaceAll(runtimeText, "PACKAGE", s.program.target.pkg.Name())
	return []byte(strings.ReplaceAll(text, "SITES", fmt.Sprint(len(s.sites)+1)))
}

type emitter struct {
	source *source
	step   string
	out    bytes.Buffer
	parts  []part
}

// span copies a part of the source with the sites in it.
func (e *emitter) span(from, to int, sites []*site) {
	for len(sites) > 0 {
		at := sites[0]
		n := 1
		for n < len(sites) && sites[n].from < at.to {
			n++
		}
		e.out.Write(e.source.text[from:at.from])
		begin := e.out.Len()
		e.site(at, sites[1:n])
		e.parts = append(e.parts, part{begin, e.out.Len(), at, nil})
		from, sites = at.to, sites[n:]
	}
	e.out.Write(e.source.text[from:to])
}

func (e *emitter) site(at *site, inner []*site) {
	if at.result != "" {
		e.write("func() %s { switch %s(%d) {", at.result, e.step, at.number)
		for _, v := range at.variants {
			e.write("\ncase %d: return (", v.mutant.number)
			e.variant(at, v)
			e.write(")")
		}
		e.write("\n}; return ")
		e.span(at.from, at.to, inner)
		e.write(" }()")
		return
	}
	if at.simple {
		e.write("func() { ")
		defer e.write(" }()")
	}
	e.write("if schemaNow := %s(%d); ", e.step, at.number)
	for _, v := range at.variants {
		e.write("schemaNow == %d {\n", v.mutant.number)
		e.variant(at, v)
		e.write("\n} else if ")
	}
	e.write("true {\n")
	e.span(at.from, at.to, inner)
	e.write("\n}")
}

func (e *emitter) variant(at *site, v variant) {
	begin := e.out.Len()
	e.out.WriteString(v.text)
	e.parts = append(e.parts, part{begin, e.out.Len() + 1, at, v.mutant})
}

func (e *emitter) write(format string, args ...any) { fmt.Fprintf(&e.out, format, args...) }

// fault is why the changed program does not compile, and whose fault it is.
type fault struct {
	err    error
	mutant *mutant
	site   *site
}

// faults compiles what was written as far as types go.
func (s *schema) faults(texts []*emitted) (list []fault) {
	p := s.program
	changed := &program{files: token.NewFileSet(), exports: p.exports}
	byPath := make(map[string]*emitted)
	report := func(err error) { list = append(list, faultOf(err, changed.files, byPath)) }
	for _, u := range p.units {
		c := &unit{path: u.path}
		changed.units = append(changed.units, c)
		var trees []*ast.File
		parse := func(path string, text []byte) {
			tree, err := parser.ParseFile(changed.files, path, text, parser.SkipObjectResolution)
			if err != nil {
				list = append(list, fault{err: err})
			}
			trees = append(trees, tree)
		}
		if u == p.target {
			parse(runtimeFile, s.runtime())
		}
		for _, t := range texts {
			if t.source.unit == u {
				byPath[t.source.path] = t
				parse(t.source.path, t.text)
			}
		}
		if len(list) > 0 {
			return list
		}
		_ = changed.checkUnit(c, changed.files, trees, report) // reported
	}
	return list
}

// faultOf finds the innermost part that an error is in, a mutant before all.
func faultOf(err error, files *token.FileSet, byPath map[string]*emitted) fault {
	found := fault{err: err}
	var where types.Error
	if !errors.As(err, &where) {
		return found
	}
	at := files.Position(where.Pos)
	text := byPath[at.Filename]
	if text == nil {
		return found
	}
	size := len(text.text) + 1
	for _, p := range text.parts {
		if p.from <= at.Offset && at.Offset < p.to && p.to-p.from < size {
			found.site, found.mutant, size = p.site, p.mutant, p.to-p.from
		}
	}
	return found
}
