package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"slices"
)

// schema is all mutants in one program: at each site a number that is known only
// when it runs chooses between the original and the mutants.
type schema struct {
	program *program
	sites   []*site
	byNode  map[ast.Node]*site
}

// site is an expression or a statement with its mutants.
type site struct {
	number   int
	source   *source
	from, to int
	// result is the type of an expression; empty of a statement.
	result string
	// simple statements stand where a block cannot.
	simple   bool
	variants []variant
}

// variant is what stands at a site in place of the original, for one mutant.
type variant struct {
	mutant *mutant
	text   string
}

// schemaOf finds the sites, until all of it compiles.
func (p *program) schemaOf(mutants []*mutant) (*schema, error) {
	s := &schema{program: p, byNode: make(map[ast.Node]*site)}
	var all []*places
	for _, u := range p.units {
		for _, f := range u.sources {
			all = append(all, placesOf(f))
		}
	}
	constants := make([]*mutant, 0, len(mutants))
	for _, m := range mutants {
		if !s.direct(m, all) {
			constants = append(constants, m)
		}
	}
	if err := s.constants(constants, all); err != nil {
		return nil, err
	}
	return s, s.settle()
}

// direct adds a mutant to the site that is its owner; false if it changes a
// constant, which may be used anywhere.
func (s *schema) direct(m *mutant, all []*places) bool {
	index := slices.IndexFunc(all, func(p *places) bool { return p.source == m.source })
	here := all[index]
	e, isExpression := m.owner.(ast.Expr)
	if isExpression && m.source.unit.info.Types[e].Value != nil {
		if place := here.constants[e]; place == nil || place.fixed {
			return false
		}
	}
	if here.unique[m.owner] && m.change != nil && !s.possible(m) {
		m.fate = impossible
		return true
	}
	text := m.source.text
	begin, end := s.program.offset(m.owner.Pos()), s.program.offset(m.owner.End())
	at := s.at(m.source, m.owner, here)
	at.variants = append(at.variants, variant{m, string(bytes.Join([][]byte{text[begin:m.from], []byte(m.text), text[m.to:end]}, nil))})
	return true
}

// possible tells whether a mutant compiles by itself. Among the others it does
// where two constants must differ, as there nothing is constant.
func (s *schema) possible(m *mutant) bool {
	undo := m.change()
	changed := &program{files: s.program.files, exports: s.program.exports}
	for _, u := range s.program.units {
		changed.units = append(changed.units, &unit{path: u.path, sources: u.sources})
	}
	err := changed.check()
	undo()
	return err == nil
}

// at is the site of a node.
func (s *schema) at(f *source, node ast.Node, here *places) *site {
	if known := s.byNode[node]; known != nil {
		return known
	}
	added := &site{source: f, from: s.program.offset(node.Pos()), to: s.program.offset(node.End()), simple: here.simple[node]}
	if e, ok := node.(ast.Expr); ok {
		added.result = types.TypeString(types.Default(f.unit.info.Types[e].Type), func(p *types.Package) string {
			if p == f.unit.pkg {
				return ""
			}
			return p.Name()
		})
	}
	s.byNode[node] = added
	s.sites = append(s.sites, added)
	return added
}

// constants adds mutants of constants wherever what follows from them is used.
func (s *schema) constants(mutants []*mutant, all []*places) error {
	for _, m := range mutants {
		if m.change == nil {
			m.alone = true
			continue
		}
		undo := m.change()
		bad := s.program.check()
		var moved []func() // once the types are the original's again
		for _, here := range all {
			for e, place := range here.constants {
				now := here.source.unit.info.Types[e].Value
				if bad != nil || now == nil || constant.Compare(now, constantEqual, place.value) {
					continue
				}
				m.alone = m.alone || place.fixed
				moved = append(moved, func() {
					at := s.at(here.source, e, here)
					at.variants = append(at.variants, variant{m, now.ExactString()})
				})
			}
		}
		undo()
		if err := s.program.check(); err != nil {
			return err
		}
		switch {
		case bad != nil:
			m.fate = impossible
		case !m.alone:
			for _, add := range moved {
				add()
			}
		}
	}
	return nil
}

// settle writes the schema and leaves out what does not compile, until nothing
// is left that does not.
func (s *schema) settle() error {
	for range 20 {
		texts := s.texts()
		faults := s.faults(texts)
		if len(faults) == 0 {
			return nil
		}
		for _, f := range faults {
			if err := s.leaveOut(f); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("what was made of the mutants does not compile, whatever is left out")
}

func (s *schema) leaveOut(f fault) error {
	switch {
	case f.mutant != nil:
		f.mutant.fate = impossible
	case f.site != nil:
		for _, v := range f.site.variants {
			v.mutant.alone = true
		}
	default:
		return fmt.Errorf("what was made of the mutants does not compile: %w", f.err)
	}
	for _, at := range s.sites {
		at.variants = slices.DeleteFunc(at.variants, func(v variant) bool { return v.mutant.alone || v.mutant.fate == impossible })
	}
	s.sites = slices.DeleteFunc(s.sites, func(at *site) bool { return len(at.variants) == 0 })
	return nil
}

// of are the sites in a file, the outer before the inner.
func (s *schema) of(f *source) []*site {
	var list []*site
	for _, at := range s.sites {
		if at.source == f {
			list = append(list, at)
		}
	}
	slices.SortStableFunc(list, func(a, b *site) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	return list
}
