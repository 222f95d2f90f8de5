package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
)

const constantEqual = token.EQL

// places are what must be known of a file to put something else somewhere.
type places struct {
	source *source
	// constants are the constant expressions that are part of no other one.
	constants map[ast.Expr]*place
	// unique are the expressions that must differ from others if they are constant:
	// values of cases and keys.
	unique map[ast.Node]bool
	// simple are the statements that stand where a block cannot.
	simple map[ast.Node]bool
}

// place is a constant expression.
type place struct {
	value constant.Value
	// fixed: only a constant may stand there.
	fixed bool
}

func placesOf(f *source) *places {
	p := &places{source: f, constants: make(map[ast.Expr]*place), simple: make(map[ast.Node]bool), unique: make(map[ast.Node]bool)}
	for _, d := range f.tree.Decls {
		p.walk(d, false)
	}
	return p
}

func (p *places) walk(root ast.Node, fixed bool) {
	ast.Inspect(root, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.GenDecl:
			// What follows from a constant counts where it is used.
			return n.Tok == token.VAR || n.Tok == token.TYPE
		case *ast.ArrayType:
			if n.Len != nil {
				p.walk(n.Len, true)
			}
			p.walk(n.Elt, fixed)
			return false
		case *ast.CompositeLit:
			p.composite(n, fixed)
			return false
		case *ast.IfStmt:
			p.simple[n.Init] = true
		case *ast.SwitchStmt:
			p.simple[n.Init] = true
		case *ast.CaseClause:
			for _, e := range n.List {
				p.unique[e] = true
			}
		case *ast.ForStmt:
			p.simple[n.Init], p.simple[n.Post] = true, true
		case ast.Expr:
			if tv := p.source.unit.info.Types[n]; tv.Value != nil {
				p.constants[n] = &place{tv.Value, fixed}
				return false
			}
		}
		return true
	})
}

// composite walks a literal: indexes in it must be constants, keys of a map need not.
func (p *places) composite(n *ast.CompositeLit, fixed bool) {
	if n.Type != nil {
		p.walk(n.Type, fixed)
	}
	_, isMap := p.source.unit.info.Types[n].Type.Underlying().(*types.Map)
	for _, e := range n.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			p.walk(e, fixed)
			continue
		}
		if _, ok := p.source.unit.info.Types[pair.Key]; ok {
			p.unique[pair.Key] = true
			p.walk(pair.Key, fixed || !isMap)
		}
		p.walk(pair.Value, fixed)
	}
}
