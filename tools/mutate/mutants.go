package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
)

// mutant replaces the bytes from..to of a file.
type mutant struct {
	from, to, line int
	text           string
}

// operators and what each becomes.
var operators = map[token.Token][]token.Token{
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
	token.SHL: {token.SHR}, token.SHR: {token.SHL}, token.AND: {token.OR}, token.OR: {token.AND}, token.XOR: {token.AND},
	token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN}, token.INC: {token.DEC}, token.DEC: {token.INC},
}

// mutantsOf lists the changes of one file: operators, conditions that always or
// never hold, numbers, truth values, and statements that are left out.
func mutantsOf(path string, source []byte) ([]mutant, error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, source, 0)
	if err != nil {
		return nil, err
	}
	f := &finder{files: files}
	ast.Inspect(parsed, f.visit)
	return f.list, nil
}

type finder struct {
	files *token.FileSet
	list  []mutant
}

func (f *finder) add(from, to token.Pos, text string) {
	begin := f.files.Position(from)
	f.list = append(f.list, mutant{begin.Offset, f.files.Position(to).Offset, begin.Line, text})
}

func (f *finder) swap(at token.Pos, op token.Token) {
	for _, other := range operators[op] {
		f.add(at, at+token.Pos(len(op.String())), other.String())
	}
}

func (f *finder) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.GenDecl:
		return n.Tok == token.CONST || n.Tok == token.VAR
	case *ast.BinaryExpr:
		f.swap(n.OpPos, n.Op)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			f.add(n.OpPos, n.OpPos+1, "")
		}
	case *ast.IfStmt:
		f.condition(n.Cond)
	case *ast.CaseClause:
		f.clause(n)
	case *ast.BasicLit:
		if n.Kind == token.INT {
			f.number(n)
		}
	case *ast.Ident:
		f.truth(n)
	case *ast.IncDecStmt:
		f.swap(n.TokPos, n.Tok)
	case *ast.AssignStmt:
		f.swap(n.TokPos, n.Tok)
		if n.Tok == token.ASSIGN {
			f.add(n.Pos(), n.TokPos+1, repeat("_", len(n.Lhs))+" =")
		}
	case *ast.ExprStmt:
		f.add(n.Pos(), n.End(), "")
	}
	return true
}

func repeat(text string, n int) string {
	all := text
	for range n - 1 {
		all += ", " + text
	}
	return all
}

// condition makes an if always or never hold, and keeps its operands in use.
func (f *finder) condition(cond ast.Expr) {
	f.add(cond.Pos(), cond.Pos(), "true || ")
	f.add(cond.Pos(), cond.Pos(), "false && ")
}

// clause leaves out a case of a switch over conditions.
func (f *finder) clause(n *ast.CaseClause) {
	for _, e := range n.List {
		if _, ok := e.(*ast.BinaryExpr); ok {
			f.add(e.Pos(), e.Pos(), "false && ")
		}
	}
}

func (f *finder) number(n *ast.BasicLit) {
	if value, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
		f.add(n.Pos(), n.End(), strconv.FormatInt(value+1, 10))
	}
}

func (f *finder) truth(n *ast.Ident) {
	switch n.Name {
	case "true":
		f.add(n.Pos(), n.End(), "false")
	case "false":
		f.add(n.Pos(), n.End(), "true")
	}
}
